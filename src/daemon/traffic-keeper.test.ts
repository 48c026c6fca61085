import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import { FakeClock } from '../kernel/fake/fake-clock.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { newConntrackCounts } from '../netlink/conntrack-counts.ts';
import { wayMark } from '../plan/reserved.ts';
import type { TrafficAccounts } from '../watch/traffic-accounts.ts';
import type { Warning } from './health.ts';
import { TrafficKeeper } from './traffic-keeper.ts';

const refused = (): KernelError => new KernelError('receive', 12, 'ENOMEM', 'ended connections', 'no memory (ENOMEM)');
const numbers = (...apps: readonly string[]) => ({
  apps: new Map(apps.map((app, i) => [app, i + 1])),
  uplinks: new Map([['wifi', 7]]),
});

/** A kernel that tells what it is told to, in order, and all that the keeper asked of it. */
class Script {
  readonly asked: string[] = [];
  readonly warnings: (Warning | undefined)[] = [];
  readonly clock: FakeClock = new FakeClock();
  failing: 'open' | 'take' | 'look' | undefined;
  /** Turns until all has been taken. */
  waiting = 0;
  /** The accounts that the keeper has. */
  accounts: TrafficAccounts | undefined;
  readonly keeper = new TrafficKeeper({
    background: testBackground,
    clock: this.clock,
    health: { report: (_, warning) => this.warnings.push(warning) },
    open: (accounts) => {
      this.accounts = accounts;
      this.#do('open');
      return {
        noteStanding: () => this.#do('standing'),
        takeEnded: () => {
          this.#do('take');
          this.waiting -= 1;
          return this.waiting <= 0;
        },
        look: () => this.#do('look'),
        [Symbol.dispose]: () => this.#do('close'),
      };
    },
  });

  end(app: number): void {
    const counts = newConntrackCounts();
    this.accounts?.noteEnded({ ...counts, mark: (wayMark(7) | app) >>> 0 });
  }

  #do(what: string): void {
    this.asked.push(what);
    if (what === this.failing) throw refused();
  }
}

describe('TrafficKeeper', () => {
  it('TrafficKeeper takes nothing before it knows names, and then all in parts', async () => {
    const script = new Script();
    using keeper = script.keeper;
    keeper.start();
    keeper.take();
    expect(script.asked).toEqual(['open', 'standing']);
    keeper.follow(numbers('mail'));
    script.waiting = 3;
    keeper.take();
    expect(script.asked.filter((what) => what === 'take')).toHaveLength(1);
    for (let i = 0; i < 5; i += 1) await setImmediate();
    expect(script.asked.filter((what) => what === 'take')).toHaveLength(3);
  });

  it('TrafficKeeper looks at what is open before a number gets another name, and then alone', () => {
    const script = new Script();
    using keeper = script.keeper;
    keeper.start();
    keeper.follow(numbers('mail'));
    keeper.follow(numbers('mail', 'sync'));
    expect(script.asked).not.toContain('look');
    script.end(1);
    keeper.follow(numbers('news', 'sync'));
    expect(script.asked.filter((what) => what === 'look')).toHaveLength(1);
    script.end(1);
    expect(keeper.totals().accounts.map(({ app, ended }) => [app, ended])).toEqual([
      ['mail', 1],
      ['news', 1],
    ]);
  });

  it('TrafficKeeper keeps its totals when its socket fails, opens another one later, and says that some were lost', () => {
    const script = new Script();
    using keeper = script.keeper;
    keeper.start();
    keeper.follow(numbers('mail'));
    script.end(1);
    script.failing = 'take';
    keeper.take();
    expect(script.asked.at(-1)).toBe('close');
    expect(script.warnings.at(-1)?.message).toContain('connections that end are not counted');
    script.failing = undefined;
    keeper.take();
    expect(script.asked.at(-1)).toBe('close');
    expect(keeper.totals()).toMatchObject({
      openUnknown: 'connections that end are not heard of',
      accounts: [{ ended: 1 }],
    });
    script.clock.pass(60_000);
    keeper.take();
    expect(script.asked.slice(-2)).toEqual(['open', 'take']);
    expect(script.warnings.at(-1)).toBeUndefined();
    expect(keeper.totals()).toMatchObject({
      overruns: 1,
      sinceMs: script.clock.wallMs() - 60_000,
      accounts: [{ ended: 1 }],
    });
  });

  it('TrafficKeeper has totals also where it cannot look, or not even begin', () => {
    const script = new Script();
    using keeper = script.keeper;
    script.failing = 'open';
    keeper.start();
    expect(keeper.totals()).toMatchObject({ accounts: [], openUnknown: 'connections that end are not heard of' });
    script.failing = 'look';
    script.clock.pass(60_000);
    keeper.follow(numbers('mail'));
    keeper.take();
    expect(keeper.totals().openUnknown).toContain('ENOMEM');
  });
});
