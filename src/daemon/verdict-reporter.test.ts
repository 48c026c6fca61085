import { describe, expect, it } from 'vitest';
import type { VerdictEvent } from './verdict-loop.ts';
import { type EventBatch, MAX_UNREAD_EVENTS, VerdictReporter } from './verdict-reporter.ts';

const EVENT: VerdictEvent = {
  atMs: 1,
  revision: 1,
  flow: { protocol: 17, source: { family: 4, value: 1n }, destination: { family: 4, value: 2n }, loopback: false },
  owner: { kind: 'process', pid: 5, uid: 6, commandLine: ['mail', '--password=x'] },
  appId: 1,
  decision: { verdict: 'drop', reason: { kind: 'loopback' } },
  latencyUs: 10,
  packets: 1,
};

function bed() {
  const batches: EventBatch[] = [];
  const read = new Int32Array(1);
  return { batches, read, reporter: new VerdictReporter((batch) => batches.push(batch), read) };
}

describe('VerdictReporter', () => {
  it('VerdictReporter gathers events until the first has waited long enough', () => {
    const { batches, reporter } = bed();
    reporter.report(EVENT, 100);
    reporter.report(EVENT, 110);
    const dueInMs = reporter.timeoutMs(110) ?? 0;
    reporter.flushIfDue(110 + dueInMs - 1);
    expect(batches).toEqual([]);
    reporter.flushIfDue(110 + dueInMs);
    expect(batches.map(({ events }) => events.length)).toEqual([2]);
    expect(reporter.timeoutMs(200)).toBeUndefined();
  });

  it('VerdictReporter forgets and counts events while nobody reads, and goes on when somebody does', () => {
    const { batches, read, reporter } = bed();
    for (let sent = 0; sent < MAX_UNREAD_EVENTS + 3; sent++) reporter.report(EVENT, 0);
    reporter.flush();
    expect(batches.reduce((sum, { events }) => sum + events.length, 0)).toBe(MAX_UNREAD_EVENTS);
    expect(reporter.lost).toBe(3);
    expect(batches.at(-1)?.lost).toBe(3);
    Atomics.add(read, 0, MAX_UNREAD_EVENTS);
    reporter.report(EVENT, 0);
    reporter.flush();
    expect(batches.at(-1)).toMatchObject({ events: [{ appId: 1 }], lost: 0 });
  });
});
