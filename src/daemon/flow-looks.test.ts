import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import { type ChangedPolicies, FACTS_CHANGED, NOTHING_CHANGED } from './changed-policies.ts';
import { FlowLooks, LOOK_EVERY_MS, SETTLED_AFTER_MS } from './flow-looks.ts';

const MAIL_CHANGED: ChangedPolicies = { ...NOTHING_CHANGED, apps: new Set(['mail']) };

describe('FlowLooks', () => {
  let requests: number;
  let looks: FlowLooks;

  beforeEach(() => {
    vi.useFakeTimers();
    requests = 0;
    looks = new FlowLooks(
      () => {
        requests += 1;
      },
      testBackground,
      () => Date.now(),
    );
  });

  afterEach(() => {
    looks.stop();
    vi.useRealTimers();
  });

  it('take() gives a change at once, and once more when it has settled', () => {
    expect(looks.take(MAIL_CHANGED)).toEqual(MAIL_CHANGED);
    expect(looks.take(NOTHING_CHANGED)).toEqual(NOTHING_CHANGED);
    vi.advanceTimersByTime(SETTLED_AFTER_MS);
    expect(requests).toBe(1);
    expect(looks.take(NOTHING_CHANGED)).toEqual(MAIL_CHANGED);
    vi.advanceTimersByTime(10 * SETTLED_AFTER_MS);
    expect(requests).toBe(1);
  });

  it('take() has flows read no more often than that while uplinks come and go, and once more at the end', () => {
    let taken = 0;
    const take = (changed: ChangedPolicies): void => {
      if (looks.take(changed).facts) taken += 1;
    };
    const flaps = 100;
    for (let flap = 0; flap < flaps; flap += 1) {
      take(FACTS_CHANGED);
      const before = requests;
      vi.advanceTimersByTime(10);
      if (requests > before) take(NOTHING_CHANGED);
    }
    expect(taken).toBeGreaterThan(1);
    expect(taken).toBeLessThanOrEqual((flaps * 10) / LOOK_EVERY_MS + 1);
    const before = taken;
    for (let waited = 0; waited < 2 * SETTLED_AFTER_MS; waited += 10) {
      const asked = requests;
      vi.advanceTimersByTime(10);
      if (requests > asked) take(NOTHING_CHANGED);
    }
    expect(taken).toBeGreaterThan(before);
  });

  it('take() never puts a change of policies off', () => {
    expect(looks.take(FACTS_CHANGED)).toEqual(FACTS_CHANGED);
    expect(looks.take(MAIL_CHANGED)).toEqual(MAIL_CHANGED);
  });

  it('soon() asks for another look at what may be moved', () => {
    looks.take(FACTS_CHANGED);
    looks.soon();
    looks.soon();
    vi.advanceTimersByTime(LOOK_EVERY_MS);
    expect(requests).toBe(1);
    expect(looks.take(NOTHING_CHANGED)).toEqual(FACTS_CHANGED);
  });

  it('stop() lets nothing come after', () => {
    looks.take(MAIL_CHANGED);
    looks.soon();
    looks.stop();
    vi.advanceTimersByTime(10 * SETTLED_AFTER_MS);
    expect(requests).toBe(0);
  });
});
