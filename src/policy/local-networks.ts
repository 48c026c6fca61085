/**
 * Destinations for which no uplink is involved, so that no `via` speaks of them: what cannot leave the link by its nature, and
 * directly connected networks of private addresses. A connected network of other addresses is no exception: whoever runs a
 * network can claim any prefix to be on it (DHCP option 121, router advertisements), and would draw traffic out of its way.
 */
import { type Address, type Prefix, parsePrefix, prefixContains } from '../net/address.ts';
import { groupPrefixes } from './groups.ts';

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

const isPrivate = ({ address, length }: Prefix): boolean =>
  groupPrefixes('lan').some((group) => group.length <= length && prefixContains(group, address));

export function localNetworks(onLink: readonly Prefix[]): readonly Prefix[] {
  return [...LINK_SCOPED, ...onLink.filter(isPrivate)];
}

export const isLocalDestination = (onLink: readonly Prefix[], address: Address): boolean =>
  localNetworks(onLink).some((prefix) => prefixContains(prefix, address));
