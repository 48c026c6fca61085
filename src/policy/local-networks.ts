/**
 * Destinations for which no uplink is involved, so that no `via` speaks of them: what cannot leave the link by its nature, and
 * directly connected networks of private addresses. A connected network of other addresses is no exception: whoever runs a
 * network can claim any prefix to be on it (DHCP option 121, router advertisements), and would draw traffic out of its way.
 * A `via` that protects what it sends believes less: see `protects`.
 */
import { type Address, type Prefix, parsePrefix, prefixContains, prefixRange } from '../net/address.ts';
import type { Facts } from './facts.ts';
import { groupPrefixes } from './groups.ts';
import type { Verb, Via } from './model.ts';

/** RFC 3927, RFC 5771 section 4, RFC 4291 sections 2.5.6 and 2.7 (interface-local and link-local scope). */
const LINK_SCOPED: readonly Prefix[] = [
  '169.254.0.0/16',
  '224.0.0.0/24',
  '255.255.255.255',
  'fe80::/10',
  'ff01::/16',
  'ff02::/16',
]
  .map(parsePrefix)
  .filter((prefix) => prefix !== undefined);

export const isPrivate = ({ address, length }: Prefix): boolean =>
  groupPrefixes('lan').some((group) => group.length <= length && prefixContains(group, address));

/** All that can be reached without a next hop. Which networks those are, whoever runs them says. */
export const linkNetworks = (onLink: readonly Prefix[]): readonly Prefix[] => [...LINK_SCOPED, ...onLink];

export function localNetworks(onLink: readonly Prefix[]): readonly Prefix[] {
  return [...LINK_SCOPED, ...onLink.filter(isPrivate)];
}

export const isLocalDestination = (onLink: readonly Prefix[], address: Address): boolean =>
  localNetworks(onLink).some((prefix) => prefixContains(prefix, address));

/** Both ends are included. */
export interface AddressRange {
  readonly family: Address['family'];
  readonly first: bigint;
  readonly last: bigint;
}

type LocalFacts = Pick<Facts, 'onLink' | 'doubted'>;

/**
 * Whether a `via` asks for an uplink because of who may see what it sends. Whoever runs the network of another uplink must not be able
 * to draw that to himself by what he says of his network.
 */
export function protects({ require, prohibit }: Via): boolean {
  const isVpn = require.type?.every((type) => type === 'vpn') === true;
  return (
    isVpn ||
    require.name !== undefined ||
    [require.encrypted, require.trusted].includes(true) ||
    [prohibit.encrypted, prohibit.trusted].includes(false)
  );
}

/**
 * What such a `via` takes for local. Where networks lie in each other the kernel takes the smaller one: what of a network belongs to a
 * smaller, or an equal one, that is doubted is not local.
 */
export function believedRanges({ onLink, doubted = [] }: LocalFacts): readonly AddressRange[] {
  return [...LINK_SCOPED.map(rangeOf), ...rangesBut(onLink.filter(isPrivate), doubted)];
}

const rangesBut = (networks: readonly Prefix[], doubted: readonly Prefix[]): readonly AddressRange[] =>
  networks
    .filter((prefix) => !doubted.some((one) => equalPrefix(one, prefix)))
    .flatMap((prefix) =>
      doubted
        .filter(({ address, length }) => length > prefix.length && prefixContains(prefix, address))
        .map(rangeOf)
        .reduce(without, [rangeOf(prefix)]),
    );

export function isBelievedLocal(facts: LocalFacts, { family, value }: Address): boolean {
  return believedRanges(facts).some((range) => range.family === family && range.first <= value && value <= range.last);
}

/** Whether no uplink is involved where this `via` would choose one. */
export const isLocalFor = (via: Via, facts: LocalFacts, address: Address): boolean =>
  facts.doubted !== undefined && protects(via)
    ? isBelievedLocal(facts, address)
    : isLocalDestination(facts.onLink, address);

/**
 * What `on-link` means to a rule with this verb: all that is connected, whatever its addresses, and what cannot leave the link. Nobody's word
 * opens anything by being too large, nor gets round a rule that refuses: only who allows leaves out what is overstated.
 */
export const onLinkRanges = ({ onLink, overstated = [] }: OnLinkFacts, verb: Verb): readonly AddressRange[] => [
  ...LINK_SCOPED.map(rangeOf),
  ...rangesBut(onLink, verb === 'allow' ? overstated : []),
];

export type OnLinkFacts = Pick<Facts, 'onLink' | 'overstated'>;

export const isOnLink = (facts: OnLinkFacts, verb: Verb, { family, value }: Address): boolean =>
  onLinkRanges(facts, verb).some((range) => range.family === family && range.first <= value && value <= range.last);

const equalPrefix = (a: Prefix, b: Prefix): boolean =>
  a.length === b.length && a.address.family === b.address.family && a.address.value === b.address.value;

export const rangeOf = (prefix: Prefix): AddressRange => ({ family: prefix.address.family, ...prefixRange(prefix) });

/** What of `ranges` does not lie in `hole`. */
export function without(ranges: readonly AddressRange[], hole: AddressRange): readonly AddressRange[] {
  return ranges.flatMap((range) => {
    if (hole.last < range.first || range.last < hole.first) return [range];
    return [
      { ...range, last: hole.first - 1n },
      { ...range, first: hole.last + 1n },
    ].filter(({ first, last }) => first <= last);
  });
}
