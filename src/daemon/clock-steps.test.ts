/** Somebody sets the time of day, a day forward or back: nothing ends sooner or later for that, nor is it told otherwise. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import { FakeClock } from '../kernel/fake/fake-clock.ts';
import { type Address, parseAddress } from '../net/address.ts';
import { wallAt } from '../net/clock.ts';
import { renderRuleset } from '../plan/nft/render.ts';
import type { Ruleset } from '../plan/nft/ruleset.ts';
import type { PolicySet } from '../policy/effective-policy.ts';
import { matchDestination } from '../policy/match-destination.ts';
import type { SettledFiles } from '../store/policy-files.ts';
import type { NameAnswer } from '../watch/name-lookup.ts';
import { Names } from '../watch/names.ts';
import { ConfirmWindow } from './confirm-window.ts';
import { Health } from './health.ts';
import { PolicyHistory, SETTLED_MS } from './policy-history.ts';
import { QUIET_MS, RepairPace } from './repair-pace.ts';
import { TrafficKeeper } from './traffic-keeper.ts';

const DAY_MS = 86_400_000;
const STEPS = [
  ['forward', DAY_MS],
  ['back', -DAY_MS],
] as const;
const HOST = 'imap.example.org';

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}
const ADDRESS = address('203.0.113.9');
const setOf = (app: string): PolicySet => ({
  apps: [{ app, match: [], rules: [], files: [] }],
  uplinks: [],
  systemDefault: {
    otherwise: { do: 'allow', at: { file: 'a', line: 1, column: 1 } },
    unknown: { do: 'deny', at: { file: 'a', line: 1, column: 1 } },
    whenAway: 'closed',
  },
});

let clock: FakeClock;

/** Time passes, for timers as well. */
async function pass(ms: number): Promise<void> {
  clock.pass(ms);
  await vi.advanceTimersByTimeAsync(ms);
}

beforeEach(() => {
  clock = new FakeClock();
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe.each(STEPS)('a clock that is set a day %s', (_, stepMs) => {
  function step(): void {
    clock.step(stepMs);
    vi.setSystemTime(Date.now() + stepMs);
  }

  it('Names keeps what it knows, asks again no sooner, and lets it go when it is over', async () => {
    let answer: NameAnswer = { kind: 'addresses', addresses: [{ address: ADDRESS, ttlSeconds: 600 }] };
    let asked = 0;
    const names = new Names({
      background: testBackground,
      lookUp: async () => {
        asked += 1;
        return answer;
      },
      nowMs: clock.monotonicMs,
      onChange: () => undefined,
    });
    names.watch([HOST]);
    await pass(1);
    expect(asked).toBe(1);
    answer = { kind: 'failed', because: 'nobody answers' };
    step();
    await pass(60_000);
    expect(asked).toBe(1);
    const entry = { text: HOST, target: { kind: 'name', name: HOST }, at: { file: 'a', line: 1, column: 1 } } as const;
    const flow = { protocol: 6, source: address('192.0.2.2'), destination: ADDRESS, loopback: false };
    expect(matchDestination({ names: names.states(), onLink: [] }, 'allow', entry, flow, clock.monotonicMs())).toBe(
      'yes',
    );
    const table: Ruleset = {
      table: 'pointsman',
      sets: new Map([
        [
          'names',
          {
            name: 'names',
            key: ['ipv4_addr'],
            flags: ['timeout'],
            elements: [
              { key: [{ first: ADDRESS.value, last: ADDRESS.value }], expiresAtMs: clock.monotonicMs() + 540_000 },
            ],
          },
        ],
      ]),
      maps: new Map(),
      chains: new Map(),
    };
    expect(renderRuleset(table, clock.monotonicMs())).toContain('203.0.113.9 timeout 540s');
    names[Symbol.dispose]();
  });

  it('ConfirmWindow takes back when its time is over, and says when that will be', async () => {
    using window = new ConfirmWindow(testBackground);
    const takeBack = vi.fn();
    window.open(clock.monotonicMs(), 60_000, takeBack);
    step();
    await pass(20_000);
    expect(wallAt(clock, window.endsMs ?? 0) - clock.wallMs()).toBe(40_000);
    expect(takeBack).not.toHaveBeenCalled();
    await pass(40_000);
    expect(takeBack).toHaveBeenCalledOnce();
  });

  it('PolicyHistory goes back to what has been in force for long, whatever the time is', () => {
    const history = new PolicyHistory();
    const [old, edited] = [setOf('old'), setOf('edited')];
    const oldFiles: SettledFiles = new Map();
    const editedFiles: SettledFiles = new Map();
    history.note(old, oldFiles, clock.monotonicMs());
    clock.pass(SETTLED_MS);
    history.note(edited, editedFiles, clock.monotonicMs());
    step();
    expect(history.settled(clock.monotonicMs())).toBe(oldFiles);
    clock.pass(SETTLED_MS);
    expect(history.settled(clock.monotonicMs())).toBe(editedFiles);
  });

  it('Health tells for how long a warning has held', () => {
    const health = new Health({ clock, onChange: () => undefined });
    health.set('uplink-failed', { message: 'first' });
    clock.pass(1000);
    step();
    health.set('uplink-missing', { message: 'second' });
    clock.pass(1000);
    expect(health.list().map(({ code, sinceMs }) => [code, clock.wallMs() - sinceMs])).toEqual([
      ['uplink-failed', 2000],
      ['uplink-missing', 1000],
    ]);
  });

  it('RepairPace waits as long as it would have', () => {
    const pace = new RepairPace();
    pace.repaired(clock.monotonicMs());
    pace.looked(clock.monotonicMs(), false);
    step();
    clock.pass(400);
    expect(pace.delayMs(clock.monotonicMs(), false)).toBe(600);
    expect(pace.isQuiet(clock.monotonicMs())).toBe(false);
    clock.pass(QUIET_MS);
    expect(pace.isQuiet(clock.monotonicMs())).toBe(true);
  });

  it('TrafficKeeper says for how long it has counted', () => {
    using keeper = new TrafficKeeper({
      background: testBackground,
      clock,
      health: { report: () => undefined },
      open: () => ({
        noteStanding: () => undefined,
        takeEnded: () => true,
        look: () => undefined,
        [Symbol.dispose]: () => undefined,
      }),
    });
    keeper.start();
    step();
    clock.pass(5000);
    expect(clock.wallMs() - keeper.totals().sinceMs).toBe(5000);
  });
});
