/**
 * A rule that allows a named host cannot hold unless the program may ask for its address: the queries to the configured
 * resolvers are implied, at the head of that rule's layer, so that a `lan: deny` beside it does not kill them, but a stronger
 * layer does. They go by the way of the rule that needs them. Where a rule speaks of port 53 itself, nothing is implied: its
 * author has decided.
 */
import { type Address, formatAddress, prefixWidth } from '../net/address.ts';
import type { EffectivePolicy, EffectiveRule } from './effective-policy.ts';
import type { Destination } from './model.ts';

const DNS_PORT = { first: 53, last: 53 };

/** A rule as it is tried: with its place in the policy, or implied by another. */
export interface RuleInForce {
  readonly rule: EffectiveRule;
  readonly index: number | 'implied';
}

/** Queries to it. */
export const resolverEntry = (address: Address): Omit<Destination, 'at'> => ({
  text: `resolver ${formatAddress(address)}`,
  target: { kind: 'prefix', prefix: { address, length: prefixWidth(address.family) } },
  ports: [DNS_PORT],
});

/** Port 53, and no other. */
export const speaksOfDns = ({ ports }: Destination): boolean =>
  ports?.some(({ first, last }) => first === DNS_PORT.first && last === DNS_PORT.last) ?? false;

const isEverything = ({ target, ports, protocol }: Destination): boolean =>
  target.kind === 'any' && ports === undefined && protocol === undefined;

const allowsName = ({ do: verb, to }: EffectiveRule): boolean =>
  verb === 'allow' && to.some(({ target }) => target.kind === 'name');

/** The first rule that needs queries and can be reached at all. */
function needingRule({ rules }: EffectivePolicy): EffectiveRule | undefined {
  const end = rules.findIndex(({ to }) => to.some(isEverything));
  return rules.slice(0, end < 0 ? rules.length : end).find(allowsName);
}

/** All rules in the order in which they are tried. */
export function rulesInForce(policy: EffectivePolicy, resolvers: readonly Address[]): readonly RuleInForce[] {
  const rules: RuleInForce[] = policy.rules.map((rule, index) => ({ rule, index }));
  const needing = needingRule(policy);
  const isStated = policy.rules.some(({ to }) => to.some(speaksOfDns));
  if (needing === undefined || isStated || resolvers.length === 0) return rules;
  const { at, layer, via } = needing;
  const to = resolvers.map((address) => ({ ...resolverEntry(address), at }));
  const rule: EffectiveRule = { to, do: 'allow', at, layer, ...(via !== undefined && { via }) };
  const head = policy.rules.findIndex((other) => other.layer === layer);
  return rules.toSpliced(head, 0, { rule, index: 'implied' });
}
