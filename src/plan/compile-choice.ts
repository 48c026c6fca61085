/** What a `via` comes to right now: one short chain a constraint, so that a change of uplinks changes just these. */
import type { Family } from '../net/address.ts';
import { PROTOCOLS_WITH_PORTS } from '../net/protocol.ts';
import { chooseUplink, waysOut } from '../policy/choose-uplink.ts';
import { mayWait } from '../policy/decide.ts';
import type { SharedRange, UplinkChoice } from '../policy/decision.ts';
import type { PolicySet } from '../policy/effective-policy.ts';
import type { Facts } from '../policy/facts.ts';
import { protects } from '../policy/local-networks.ts';
import type { Share, Via } from '../policy/model.ts';
import { SHARE_SEED, SHARE_SLOTS } from '../policy/share-slot.ts';
import { CHAIN, type Choice } from './compile-app.ts';
import { goto, hashVmap, inSet, is, jump, rule } from './nft/expressions.ts';
import type { Chain, Expression, Field, Rule, Verdict } from './nft/ruleset.ts';

/** Sets of destinations for which no uplink is involved: `policy/local-networks.ts`. */
export const LOCAL4 = 'local4';
export const LOCAL6 = 'local6';

/** Less, for who has something to protect; present where something is doubted. */
export const BELIEVED4 = 'believed4';
export const BELIEVED6 = 'believed6';

/** What becomes of what goes to these; present where choices refer to it. */
const CHAIN_LOCAL = 'local';
const CHAIN_BELIEVED = 'believed';

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

/** What of local destinations is told apart: whether less is believed, and what becomes of them. */
export interface LocalRules {
  readonly chain: string;
  readonly rules: readonly Rule[];
}

function localRules(target: Expression, prefix: string, isCareful: boolean): LocalRules {
  const [set4, set6] = isCareful ? [BELIEVED4, BELIEVED6] : [LOCAL4, LOCAL6];
  return {
    chain: `${prefix}${isCareful ? CHAIN_BELIEVED : CHAIN_LOCAL}`,
    rules: [rule(inSet(set4, { kind: 'ip daddr' }), target), rule(inSet(set6, { kind: 'ip6 daddr' }), target)],
  };
}

function rulesFor(via: Via, { doubted }: Pick<Facts, 'doubted'>): LocalRules | undefined {
  const isCareful = doubted !== undefined && protects(via);
  switch (via.local) {
    case undefined:
      return localRules(goto(CHAIN.acceptLocal), '', isCareful);
    case 'block':
      return localRules(goto(CHAIN.localBlocked), 'no_', isCareful);
    case 'via':
      return undefined;
  }
}

/** Of these choices, each once. */
export const localRulesOf = (choices: Iterable<Choice>, facts: Pick<Facts, 'doubted'>): readonly LocalRules[] => {
  const all = [...choices].flatMap(({ via }) => rulesFor(via, facts) ?? []);
  return [...new Map(all.map((one) => [one.chain, one])).values()];
};

/** For local destinations, except queries to resolvers there: these go where the application goes. */
function localFirst(via: Via, facts: Facts): readonly Rule[] {
  const local = rulesFor(via, facts);
  if (local === undefined) return [];
  return facts.resolvers.length > 0 ? [rule(jump(local.chain))] : local.rules;
}

/** Whom the queue cannot hold must not count as somebody whose owner is not known. */
export const waitForUplink: Chain = {
  name: CHAIN.waitForUplink,
  comment: 'held until an uplink comes up that will do',
  rules: [rule(is({ kind: 'ct state' }, 'invalid', 'untracked'), goto(CHAIN.noUplink)), rule(goto(CHAIN.ask))],
};

const ADDRESSES: Record<Family, { readonly source: Field; readonly destination: Field }> = {
  4: { source: { kind: 'ip saddr' }, destination: { kind: 'ip daddr' } },
  6: { source: { kind: 'ip6 saddr' }, destination: { kind: 'ip6 daddr' } },
};
const PROTOCOL: Field = { kind: 'meta l4proto' };
const PORTS: readonly Field[] = [{ kind: 'th sport' }, { kind: 'th dport' }];
const HASH = { modulus: SHARE_SLOTS, seed: SHARE_SEED };

/** The fields that `shareSlot` hashes. */
function sharingRules(share: Share, family: Family, ranges: readonly SharedRange[]): readonly Rule[] {
  const { source, destination } = ADDRESSES[family];
  const ofFamily = is({ kind: 'meta nfproto' }, `ipv${family}`);
  const elements = ranges.map(({ first, last, id }) => {
    const verdict: Verdict = { kind: 'goto', chain: acceptVia(id) };
    return { first, last, verdict };
  });
  const by = (...fields: readonly Field[]): Expression => hashVmap(fields, HASH, elements);
  if (share !== 'connection') return [rule(ofFamily, by(destination))];
  return [
    rule(ofFamily, is(PROTOCOL, ...PROTOCOLS_WITH_PORTS), by(source, destination, PROTOCOL, ...PORTS)),
    rule(ofFamily, by(source, destination, PROTOCOL)),
  ];
}

export function compileChoice(name: string, { via, slot }: Choice, policySet: PolicySet, facts: Facts): Chain {
  const isHeld = mayWait(via, policySet.systemDefault);
  const choose = (family: Family) => chooseUplink(via, family, waysOut(policySet, facts), slot);
  const v4 = choose(4);
  const v6 = choose(6);
  const sharing = (family: Family, { shared }: UplinkChoice): readonly Rule[] =>
    shared === undefined || slot !== undefined || via.share === undefined
      ? []
      : sharingRules(via.share, family, shared);
  const to4 = target(v4.way, isHeld);
  const to6 = target(v6.way, isHeld);
  const last =
    to4 === to6 ? [rule(goto(to4))] : [rule(is({ kind: 'meta nfproto' }, 'ipv4'), goto(to4)), rule(goto(to6))];
  return { name, rules: [...localFirst(via, facts), ...sharing(4, v4), ...sharing(6, v6), ...last] };
}
