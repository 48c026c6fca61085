/**
 * A rule that names a host cannot hold unless the program may ask for its address: the queries to the configured resolvers
 * are implied, before all rules, so that a `lan: deny` does not kill them. They go by the way of the rule that needs them.
 * Where a rule speaks of port 53 itself, nothing is implied: its author has decided.
 */
import { type Address, formatAddress, prefixWidth } from '../net/address.ts';
import type { EffectivePolicy, EffectiveRule } from './effective-policy.ts';
import type { Destination } from './model.ts';

const DNS_PORT = { first: 53, last: 53 };

const entryFor = (address: Address, at: Destination['at']): Destination => ({
  text: `resolver ${formatAddress(address)}`,
  target: { kind: 'prefix', prefix: { address, length: prefixWidth(address.family) } },
  ports: [DNS_PORT],
  at,
});

const speaksOfDns = ({ ports }: Destination): boolean =>
  ports?.some(({ first, last }) => first === DNS_PORT.first && last === DNS_PORT.last) ?? false;

/** For the first rule that names a host; undefined where none does or no resolver is configured. */
export function impliedRule(policy: EffectivePolicy, resolvers: readonly Address[]): EffectiveRule | undefined {
  if (policy.blocked !== undefined || resolvers.length === 0) return undefined;
  if (policy.rules.some(({ to }) => to.some(speaksOfDns))) return undefined;
  const needing = policy.rules.find(({ to }) => to.some(({ target }) => target.kind === 'name'));
  if (needing === undefined) return undefined;
  const { at, layer, via } = needing;
  const to = resolvers.map((address) => entryFor(address, at));
  return { to, do: 'allow', at, layer, ...(needing.do === 'allow' && via !== undefined ? { via } : {}) };
}
