import { describe, expect, it } from 'vitest';
import { FakeClock } from '../kernel/fake/fake-clock.ts';
import { FR_ACT_TO_TBL, type RoutingRule } from '../netlink/routing-rule.ts';
import { reportForeignRouting } from './foreign-routing-warnings.ts';
import { Health } from './health.ts';
import { join, NOTHING_PENDING, type Trigger } from './pending.ts';

const WG_QUICK: RoutingRule = {
  family: 4,
  priority: 30_000,
  fwmark: 0xca6c,
  fwmask: 0xffffffff,
  invert: true,
  l3mdev: false,
  action: FR_ACT_TO_TBL,
  table: 51_820,
  protocol: 3,
};

/** The codes that hold after rounds with these triggers; the rule of wg-quick is there at those that are `true`. */
function codesAfter(...rounds: readonly (readonly [kind: 'start' | 'network' | 'names', isThere: boolean])[]) {
  const health = new Health({ onChange: () => undefined, clock: new FakeClock() });
  return rounds.map(([kind, isThere]) => {
    const trigger: Trigger = { kind };
    const routing = { rules: () => (isThere ? [WG_QUICK] : []), routes: () => [] };
    reportForeignRouting(health, { pending: join(NOTHING_PENDING, trigger) }, routing);
    return health.list().map(({ code }) => code);
  });
}

describe('reportForeignRouting', () => {
  it('reportForeignRouting tells of a foreign mark with the first round, and with each change of the network', () => {
    expect(codesAfter(['start', true], ['network', false], ['network', true])).toEqual([
      ['foreign-mark'],
      [],
      ['foreign-mark'],
    ]);
  });

  it('reportForeignRouting leaves what it said where nothing of the network has changed', () => {
    expect(codesAfter(['start', true], ['names', false])).toEqual([['foreign-mark'], ['foreign-mark']]);
  });
});
