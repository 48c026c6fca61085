/**
 * Addresses of the network itself: by them this machine asks, is reached and reaches others. Whoever answers for a name decides
 * what it points to, and blocking resolvers answer with their own address for what they block: a rule that refuses a *name*
 * does not speak of these, or one answer would cut its application off. Rules that state such an address do.
 */
import { type Address, equalAddress, type Prefix, parsePrefix, prefixContains, prefixRange } from '../net/address.ts';
import type { Facts } from './facts.ts';
import { groupPrefixes } from './groups.ts';
import type { Destination, Verb } from './model.ts';

export type InsideKind = 'unspecified' | 'loopback' | 'multicast' | 'broadcast' | 'resolver' | 'gateway' | 'own';

/** Beyond what is an inside address on every machine. */
export interface InsideAddress {
  readonly address: Address;
  readonly is: 'resolver' | 'gateway' | 'own';
}

export type InsideFacts = Pick<Facts, 'resolvers' | 'loopbackResolvers' | 'onLink' | 'inside'>;

export const insideFacts = ({ resolvers, loopbackResolvers, onLink, inside }: InsideFacts): InsideFacts => ({
  resolvers,
  onLink,
  ...(loopbackResolvers !== undefined && { loopbackResolvers }),
  ...(inside !== undefined && { inside }),
});

/** Whether what was made by one holds by the other: parts that say the same are the same objects. */
export const sameInside = (a: InsideFacts, b: InsideFacts): boolean =>
  a.resolvers === b.resolvers &&
  a.loopbackResolvers === b.loopbackResolvers &&
  a.onLink === b.onLink &&
  a.inside === b.inside;

/** RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.2. */
const UNSPECIFIED: readonly Prefix[] = ['0.0.0.0/8', '::/128'].map(parsePrefix).filter((one) => one !== undefined);
const LIMITED_BROADCAST: Address = { family: 4, value: 0xffffffffn };
/** RFC 3021: shorter ones have no address for all. */
const LONGEST_WITH_BROADCAST = 30;

const isIn = (prefixes: readonly Prefix[], address: Address): boolean =>
  prefixes.some((prefix) => prefixContains(prefix, address));

function isBroadcast(onLink: readonly Prefix[], address: Address): boolean {
  if (equalAddress(address, LIMITED_BROADCAST)) return true;
  if (address.family !== 4) return false;
  return onLink.some((prefix) => {
    if (prefix.address.family !== 4 || prefix.length > LONGEST_WITH_BROADCAST) return false;
    const { first, last } = prefixRange(prefix);
    return address.value === first || address.value === last;
  });
}

/** Undefined for the address of somebody else. */
export function insideKind(
  { resolvers, loopbackResolvers = [], onLink, inside = [] }: InsideFacts,
  address: Address,
): InsideKind | undefined {
  if (isIn(UNSPECIFIED, address)) return 'unspecified';
  if ([...resolvers, ...loopbackResolvers].some((resolver) => equalAddress(resolver, address))) return 'resolver';
  if (isIn(groupPrefixes('loopback'), address)) return 'loopback';
  if (isBroadcast(onLink, address)) return 'broadcast';
  if (isIn(groupPrefixes('multicast'), address)) return 'multicast';
  return inside.find((one) => equalAddress(one.address, address))?.is;
}

/** Whether a rule with this verb and entry could speak of the address, if a name had it. */
export const mayBeMeant = (facts: InsideFacts, verb: Verb, { target }: Destination, address: Address): boolean =>
  verb === 'allow' || target.kind !== 'name' || insideKind(facts, address) === undefined;
