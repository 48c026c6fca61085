/** IP protocol numbers (IANA "protocol-numbers"), spelled as in linux/in.h and linux/in6.h. */
export const IPPROTO_HOPOPTS = 0;
export const IPPROTO_ICMP = 1;
export const IPPROTO_IGMP = 2;
export const IPPROTO_IPIP = 4;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_DCCP = 33;
export const IPPROTO_IPV6 = 41;
export const IPPROTO_ROUTING = 43;
export const IPPROTO_FRAGMENT = 44;
export const IPPROTO_GRE = 47;
export const IPPROTO_ESP = 50;
export const IPPROTO_AH = 51;
export const IPPROTO_ICMPV6 = 58;
export const IPPROTO_DSTOPTS = 60;
export const IPPROTO_PIM = 103;
export const IPPROTO_COMP = 108;
export const IPPROTO_L2TP = 115;
export const IPPROTO_SCTP = 132;
export const IPPROTO_UDPLITE = 136;

/** The first name of a number is the one that is printed; later ones are read too. */
const NAMES: readonly (readonly [name: string, protocol: number])[] = [
  ['icmp', IPPROTO_ICMP],
  ['igmp', IPPROTO_IGMP],
  ['ipip', IPPROTO_IPIP],
  ['tcp', IPPROTO_TCP],
  ['udp', IPPROTO_UDP],
  ['dccp', IPPROTO_DCCP],
  ['ipv6', IPPROTO_IPV6],
  ['gre', IPPROTO_GRE],
  ['esp', IPPROTO_ESP],
  ['ah', IPPROTO_AH],
  ['icmpv6', IPPROTO_ICMPV6],
  ['ipv6-icmp', IPPROTO_ICMPV6],
  ['pim', IPPROTO_PIM],
  ['comp', IPPROTO_COMP],
  ['l2tp', IPPROTO_L2TP],
  ['sctp', IPPROTO_SCTP],
  ['udplite', IPPROTO_UDPLITE],
];

const DECIMAL_BYTE = /^(0|[1-9]\d{0,2})$/;

/** Lower-case name, or the number in decimal where it has none here. */
export function protocolName(protocol: number): string {
  return NAMES.find(([, number]) => number === protocol)?.[0] ?? `${protocol}`;
}

/** Reads a lower-case name or a decimal number 0..255; undefined for anything else. */
export function protocolNumber(name: string): number | undefined {
  if (DECIMAL_BYTE.test(name)) return Number(name) <= 255 ? Number(name) : undefined;
  return NAMES.find(([known]) => known === name)?.[1];
}

/** Protocols whose header starts with a source and a destination port of 16 bits each. */
export const PROTOCOLS_WITH_PORTS: readonly number[] = [
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_DCCP,
  IPPROTO_SCTP,
  IPPROTO_UDPLITE,
];

export function protocolHasPorts(protocol: number): boolean {
  return PROTOCOLS_WITH_PORTS.includes(protocol);
}
