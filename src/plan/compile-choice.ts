/** What a `via` comes to right now: one short chain a constraint, so that a change of uplinks changes just these. */
import type { Family } from '../net/address.ts';
import { chooseUplink } from '../policy/choose-uplink.ts';
import { mayWait } from '../policy/decide.ts';
import type { UplinkChoice } from '../policy/decision.ts';
import type { PolicySet } from '../policy/effective-policy.ts';
import type { Facts } from '../policy/facts.ts';
import type { Via } from '../policy/model.ts';
import { CHAIN } from './compile-app.ts';
import { goto, inSet, is, rule } from './nft/expressions.ts';
import type { Chain, Rule } from './nft/ruleset.ts';

/** Sets of destinations for which no uplink is involved: `policy/local-networks.ts`. */
export const LOCAL4 = 'local4';
export const LOCAL6 = 'local6';

export const acceptVia = (id: number): string => `accept_via_${id}`;

function target(way: UplinkChoice['way'], isHeld: boolean): string {
  switch (way.kind) {
    case 'none':
      return isHeld ? CHAIN.waitForUplink : CHAIN.noUplink;
    case 'uplink':
      return acceptVia(way.id);
    case 'local':
      return CHAIN.acceptLocal;
    case 'system':
      return CHAIN.acceptSystem;
  }
}

const local: readonly Rule[] = [
  rule(inSet(LOCAL4, { kind: 'ip daddr' }), goto(CHAIN.acceptLocal)),
  rule(inSet(LOCAL6, { kind: 'ip6 daddr' }), goto(CHAIN.acceptLocal)),
];

/** Whom the queue cannot hold must not count as somebody whose owner is not known. */
export const waitForUplink: Chain = {
  name: CHAIN.waitForUplink,
  comment: 'held until an uplink comes up that will do',
  rules: [rule(is({ kind: 'ct state' }, 'invalid', 'untracked'), goto(CHAIN.noUplink)), rule(goto(CHAIN.ask))],
};

export function compileChoice(name: string, via: Via, policySet: PolicySet, facts: Facts): Chain {
  const isHeld = mayWait(via, policySet.systemDefault);
  const choose = (family: Family) => target(chooseUplink(via, family, policySet.uplinks, facts.uplinks).way, isHeld);
  const v4 = choose(4);
  const v6 = choose(6);
  const last = v4 === v6 ? [rule(goto(v4))] : [rule(is({ kind: 'meta nfproto' }, 'ipv4'), goto(v4)), rule(goto(v6))];
  return { name, rules: [...local, ...last] };
}
