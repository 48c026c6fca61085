/** Address groups that policies may name, and the RFCs that fix them. */
import { formatPrefix, type Prefix, parsePrefix, prefixContains } from '../net/address.ts';
import type { Group } from './model.ts';

export const GROUPS: readonly Group[] = ['lan', 'loopback', 'multicast', 'internet'];

/** RFC 1918 private, RFC 3927 and RFC 4291 section 2.5.6 link-local, RFC 4193 unique local. */
const LAN = prefixes('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', 'fc00::/7', 'fe80::/10');
/** RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3. */
const LOOPBACK = prefixes('127.0.0.0/8', '::1/128');
/** RFC 5771, RFC 919 (limited broadcast), RFC 4291 section 2.7. */
const MULTICAST = prefixes('224.0.0.0/4', '255.255.255.255/32', 'ff00::/8');
const INTERNET = prefixes('0.0.0.0/0', '::/0').flatMap((all) => outside(all, [...LAN, ...LOOPBACK, ...MULTICAST]));

/** The group as prefixes that do not overlap, in order of family and address for `internet`. Every address is in one group. */
export function groupPrefixes(group: Group): readonly Prefix[] {
  switch (group) {
    case 'lan':
      return LAN;
    case 'loopback':
      return LOOPBACK;
    case 'multicast':
      return MULTICAST;
    case 'internet':
      return INTERNET;
  }
}

/** What of `space` lies in none of `excluded`, as the fewest prefixes. */
function outside(space: Prefix, excluded: readonly Prefix[]): Prefix[] {
  if (excluded.some((prefix) => prefix.length <= space.length && prefixContains(prefix, space.address))) return [];
  const within = excluded.filter((prefix) => prefixContains(space, prefix.address));
  if (within.length === 0) return [space];
  return halves(space).flatMap((half) => outside(half, within));
}

function halves({ address, length }: Prefix): readonly [Prefix, Prefix] {
  const width = address.family === 4 ? 32 : 128;
  const upper = address.value | (1n << BigInt(width - length - 1));
  return [
    { address, length: length + 1 },
    { address: { family: address.family, value: upper }, length: length + 1 },
  ];
}

function prefixes(...texts: readonly string[]): readonly Prefix[] {
  return texts.map((text) => {
    const prefix = parsePrefix(text);
    if (prefix === undefined || formatPrefix(prefix) !== text.replace(/\/(32|128)$/, '')) throw new RangeError(text);
    return prefix;
  });
}
