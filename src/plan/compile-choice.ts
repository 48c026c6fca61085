/** What a `via` comes to right now: one short chain a constraint, so that a change of uplinks changes just these. */
import type { Family } from '../net/address.ts';
import { chooseUplink } from '../policy/choose-uplink.ts';
import type { UplinkChoice } from '../policy/decision.ts';
import type { PolicySet } from '../policy/effective-policy.ts';
import type { Facts } from '../policy/facts.ts';
import type { Via } from '../policy/model.ts';
import { CHAIN } from './compile-app.ts';
import { goto, inSet, is, jump, rule } from './nft/expressions.ts';
import type { Chain, Rule } from './nft/ruleset.ts';

/** Sets of destinations for which no uplink is involved: `policy/local-networks.ts`. */
export const LOCAL4 = 'local4';
export const LOCAL6 = 'local6';

/** Accepts what goes to these; present where choices refer to it. */
export const CHAIN_LOCAL = 'local';

export const acceptVia = (id: number): string => `accept_via_${id}`;

function target(way: UplinkChoice['way']): string {
  switch (way.kind) {
    case 'none':
      return CHAIN.noUplink;
    case 'uplink':
      return acceptVia(way.id);
    case 'local':
      return CHAIN.acceptLocal;
    case 'system':
      return CHAIN.acceptSystem;
  }
}

export const localRules: readonly Rule[] = [
  rule(inSet(LOCAL4, { kind: 'ip daddr' }), goto(CHAIN.acceptLocal)),
  rule(inSet(LOCAL6, { kind: 'ip6 daddr' }), goto(CHAIN.acceptLocal)),
];

/** For local destinations, except queries to resolvers there: these go where the application goes. */
const localFirst = (facts: Facts): readonly Rule[] =>
  facts.resolvers.length === 0 ? localRules : [rule(jump(CHAIN_LOCAL))];

export function compileChoice(name: string, via: Via, policySet: PolicySet, facts: Facts): Chain {
  const choose = (family: Family) => target(chooseUplink(via, family, policySet.uplinks, facts.uplinks).way);
  const v4 = choose(4);
  const v6 = choose(6);
  const last = v4 === v6 ? [rule(goto(v4))] : [rule(is({ kind: 'meta nfproto' }, 'ipv4'), goto(v4)), rule(goto(v6))];
  return { name, rules: [...localFirst(facts), ...last] };
}
