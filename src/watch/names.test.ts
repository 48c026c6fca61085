import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import { parseAddress } from '../net/address.ts';
import { type NameState, NEVER } from '../policy/facts.ts';
import type { NameAnswer } from './name-lookup.ts';
import { ABSENCE_MS, MAX_LOOKUPS_AT_ONCE, MIN_LIFETIME_MS, MIN_REFRESH_MS, Names } from './names.ts';

const START_MS = 1_800_000_000_000;

beforeEach(() => {
  vi.useFakeTimers({ now: START_MS });
});

afterEach(() => {
  vi.useRealTimers();
});

const answer = (ttlSeconds: number, ...texts: string[]): NameAnswer => ({
  kind: 'addresses',
  addresses: texts.map((text) => {
    const address = parseAddress(text);
    if (address === undefined) throw new Error(text);
    return { address, ttlSeconds };
  }),
});

/** A resolver whose zone can be changed while it runs. `failures`: how many names had failed, each time it was said. */
function zone(records: Record<string, NameAnswer>) {
  const asked: string[] = [];
  let changes = 0;
  const failures: number[] = [];
  const names = new Names({
    background: testBackground,
    lookUp: async (name) => {
      asked.push(name);
      return records[name] ?? { kind: 'none' };
    },
    nowMs: () => performance.now(),
    isInside: ({ value }) => value === parseAddress('192.168.7.1')?.value,
    onChange: () => {
      changes += 1;
    },
    onFailures: () => failures.push(names.failures().length),
  });
  return { names, asked, records, changes: () => changes, failures };
}

const values = (state: NameState | undefined) =>
  state?.known === true ? state.addresses.map(({ address }) => Number(address.value & 255n)) : 'unknown';
const settle = () => vi.advanceTimersByTimeAsync(0);

describe('Names', () => {
  it('Names says when what cannot be resolved is something else, and does not say it twice', async () => {
    const { names, records, failures } = zone({ 'a.example': { kind: 'failed', because: 'ETIMEOUT' } });
    names.watch(['a.example']);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(failures).toEqual([1]);
    records['a.example'] = answer(60, '203.0.113.1');
    await vi.advanceTimersByTimeAsync(300_000);
    expect(failures).toEqual([1, 0]);
    names[Symbol.dispose]();
  });

  it('Names resolves what it watches, and keeps the state object while an answer says nothing new', async () => {
    const { names, changes, asked } = zone({ 'a.example': answer(60, '203.0.113.1') });
    names.watch(['a.example']);
    expect(values(names.states().get('a.example'))).toBe('unknown');
    await settle();
    const state = names.states().get('a.example');
    const before = changes();
    expect(values(state)).toEqual([1]);
    await vi.advanceTimersByTimeAsync(61_000);
    expect(asked).toHaveLength(2);
    expect(names.states().get('a.example')).toBe(state);
    expect(changes()).toBe(before);
    names[Symbol.dispose]();
  });

  it('Names keeps an old address for its lifetime beside new ones', async () => {
    const { names, records } = zone({ 'a.example': answer(1, '203.0.113.1') });
    names.watch(['a.example']);
    await settle();
    records['a.example'] = answer(1, '203.0.113.2');
    await vi.advanceTimersByTimeAsync(MIN_REFRESH_MS + 1);
    expect(values(names.states().get('a.example'))).toEqual([1, 2]);
    await vi.advanceTimersByTimeAsync(MIN_LIFETIME_MS);
    expect(values(names.states().get('a.example'))).toEqual([2]);
    expect(values(names.remembered().get('a.example'))).toEqual([1, 2]);
    names[Symbol.dispose]();
  });

  it('Names renews the expiry before it runs out', async () => {
    const { names } = zone({ 'a.example': answer(60, '203.0.113.1') });
    names.watch(['a.example']);
    await vi.advanceTimersByTimeAsync(10 * MIN_LIFETIME_MS);
    const state = names.states().get('a.example');
    expect(state?.known === true && (state.addresses[0]?.expiresAtMs ?? 0) > performance.now()).toBe(true);
    names[Symbol.dispose]();
  });

  it('Names keeps addresses while the resolver fails, and is unknown after their lifetime', async () => {
    const { names, records } = zone({ 'a.example': answer(60, '203.0.113.1') });
    names.watch(['a.example']);
    await settle();
    records['a.example'] = { kind: 'failed', because: 'ETIMEOUT' };
    await vi.advanceTimersByTimeAsync(120_000);
    expect(values(names.states().get('a.example'))).toEqual([1]);
    expect(names.failures()).toEqual([{ name: 'a.example', because: 'ETIMEOUT' }]);
    await vi.advanceTimersByTimeAsync(MIN_LIFETIME_MS);
    expect(values(names.states().get('a.example'))).toBe('unknown');
    names[Symbol.dispose]();
  });

  it('Names asks less and less often for a name that fails', async () => {
    const { names, asked } = zone({ 'a.example': { kind: 'failed', because: 'ESERVFAIL' } });
    names.watch(['a.example']);
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(asked.length).toBeGreaterThan(10);
    expect(asked.length).toBeLessThan(30);
    names[Symbol.dispose]();
  });

  it('Names takes a name that does not exist for one without addresses, for a short time', async () => {
    const { names, records, asked } = zone({});
    names.watch(['a.example']);
    await settle();
    expect(values(names.states().get('a.example'))).toEqual([]);
    await vi.advanceTimersByTimeAsync(FIRST_RETRY_OVER_MS);
    expect(values(names.states().get('a.example'))).toBe('unknown');
    records['a.example'] = answer(60, '203.0.113.1');
    const before = asked.length;
    names.resolveNow('a.example');
    await settle();
    expect(asked).toHaveLength(before + 1);
    expect(values(names.states().get('a.example'))).toEqual([1]);
    names[Symbol.dispose]();
  });

  it('Names never asks more at once than it may, and comes to all of them', async () => {
    let running = 0;
    let most = 0;
    const release: (() => void)[] = [];
    const names = new Names({
      background: testBackground,
      lookUp: () => {
        running += 1;
        most = Math.max(most, running);
        return new Promise((resolve) => {
          release.push(() => {
            running -= 1;
            resolve(answer(60, '203.0.113.1'));
          });
        });
      },
      nowMs: () => performance.now(),
      onChange: () => undefined,
    });
    const wanted = Array.from({ length: 30 }, (_, i) => `n${i}.example`);
    names.watch(wanted);
    for (let done = 0; done < wanted.length; done += 1) {
      release.shift()?.();
      await settle();
    }
    expect(most).toBe(MAX_LOOKUPS_AT_ONCE);
    expect(wanted.map((name) => values(names.states().get(name)))).toEqual(wanted.map(() => [1]));
    names[Symbol.dispose]();
  });

  it('Names keeps every address of a name that never expires, through outages and when the name has gone', async () => {
    const { names, records } = zone({ 'a.example': answer(60, '203.0.113.1'), 'b.example': answer(60, '203.0.113.3') });
    names.watch(['a.example', 'b.example'], { never: new Set(['a.example']) });
    await settle();
    const expiries = (name: string) => {
      const state = names.states().get(name);
      return state?.known === true ? state.addresses.map(({ expiresAtMs }) => expiresAtMs) : [];
    };
    expect(expiries('a.example')).toEqual([NEVER]);
    records['a.example'] = answer(60, '203.0.113.2');
    await vi.advanceTimersByTimeAsync(61_000);
    for (const outage of [{ kind: 'failed', because: 'no answer' }, { kind: 'none' }] as const) {
      records['a.example'] = outage;
      records['b.example'] = outage;
      await vi.advanceTimersByTimeAsync(MIN_LIFETIME_MS * 2);
      expect(values(names.states().get('a.example'))).toEqual([1, 2]);
      expect(values(names.states().get('b.example'))).not.toEqual([3]);
    }
    names.watch(['a.example', 'b.example']);
    expect(expiries('a.example')).toEqual([0, 0].map(() => performance.now() + MIN_LIFETIME_MS));
    names[Symbol.dispose]();
  });

  it('Names keeps of a refused name for good neither what is inside the network nor what an allowed name has', async () => {
    const { names, records } = zone({
      'bad.example': answer(60, '203.0.113.1', '192.168.7.1'),
      'good.example': answer(60, '203.0.113.9'),
    });
    const watched = { never: new Set(['bad.example']), allowed: new Set(['good.example', 'bad.example']) };
    names.watch(['good.example', 'bad.example'], watched);
    await settle();
    records['bad.example'] = answer(60, '203.0.113.9');
    await vi.advanceTimersByTimeAsync(61_000);
    expect(values(names.states().get('bad.example'))).toEqual([1, 1, 9]);
    records['bad.example'] = { kind: 'none' };
    await vi.advanceTimersByTimeAsync(MIN_LIFETIME_MS + 61_000);
    expect(names.states().get('bad.example')).toEqual({
      known: true,
      addresses: [{ address: parseAddress('203.0.113.1'), expiresAtMs: NEVER }],
    });
    names[Symbol.dispose]();
  });

  it('Names tells what is inside the network apart also where a name comes to be refused later', async () => {
    const { names } = zone({ 'bad.example': answer(60, '203.0.113.1', '192.168.7.1') });
    names.watch(['bad.example'], { allowed: new Set(['bad.example']) });
    await settle();
    names.watch(['bad.example'], { never: new Set(['bad.example']) });
    const state = names.states().get('bad.example');
    expect(state?.known === true && state.addresses.map(({ expiresAtMs }) => expiresAtMs)).toEqual([
      NEVER,
      performance.now() + MIN_LIFETIME_MS,
    ]);
    names[Symbol.dispose]();
  });

  it('Names forgets what is no longer watched, an answer on its way included', async () => {
    const { names } = zone({ 'a.example': answer(60, '203.0.113.1'), 'b.example': answer(60, '203.0.113.2') });
    names.watch(['a.example', 'b.example']);
    names.watch(['b.example']);
    await settle();
    expect([...names.states().keys()]).toEqual(['b.example']);
    names[Symbol.dispose]();
  });

  it('Names learns at once what somebody was answered, and says it later for many at a time', async () => {
    const { names, changes } = zone({ 'a.example': answer(60, '203.0.113.1') });
    names.watch(['a.example', 'b.example']);
    await settle();
    const before = changes();
    const learned = (name: string, ...texts: string[]) => {
      const told = answer(0, ...texts);
      return names.learn([{ name, addresses: told.kind === 'addresses' ? told.addresses : [] }]);
    };
    expect([...learned('a.example', '203.0.113.1', '203.0.113.2')].map(([, state]) => values(state))).toEqual([[2]]);
    expect(learned('a.example', '203.0.113.2').size).toBe(0);
    expect(learned('other.example', '203.0.113.3').size).toBe(0);
    expect(values(learned('b.example', '203.0.113.9').get('b.example'))).toEqual([9]);
    expect(values(names.states().get('a.example'))).toEqual([1, 2]);
    expect(values(names.states().get('b.example'))).toEqual([9]);
    expect(changes()).toBe(before);
    await vi.advanceTimersByTimeAsync(1000);
    expect(changes()).toBe(before + 1);
    // However short its record's life was, programs go on using it.
    await vi.advanceTimersByTimeAsync(MIN_LIFETIME_MS - 2000);
    expect(values(names.states().get('b.example'))).toEqual([9]);
    await vi.advanceTimersByTimeAsync(2 * MIN_REFRESH_MS);
    expect(values(names.states().get('b.example'))).not.toContain(9);
    names[Symbol.dispose]();
  });

  it('Names goes on asking itself about what it has learned', async () => {
    const { names, asked } = zone({ 'a.example': answer(60, '203.0.113.1') });
    names.watch(['a.example']);
    const [address] = (() => {
      const told = answer(3600, '203.0.113.2');
      return told.kind === 'addresses' ? told.addresses : [];
    })();
    if (address === undefined) throw new Error('test data');
    names.learn([{ name: 'a.example', addresses: [address] }]);
    await settle();
    expect(asked).toEqual(['a.example']);
    expect(values(names.states().get('a.example'))).toEqual([2, 1]);
    names[Symbol.dispose]();
  });
});

/** Between the retries at 5 s and 15 s the absence of the second answer has run out at 15 s; the third makes it absent again. */
const FIRST_RETRY_OVER_MS = 5_000 + 10_000 + ABSENCE_MS + 1;
