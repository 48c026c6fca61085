/** Routes over NETLINK_ROUTE (linux/rtnetlink.h, `struct rtmsg`). */
import type { Address, Family, Prefix } from '../net/address.ts';
import { decodeFamily, encodeFamily } from './address-family.ts';
import {
  type Attributes,
  decodeAddress,
  decodeAttributes,
  encodeAddress,
  encodeAttribute,
  encodeU32,
} from './attribute.ts';
import { concatBytes, readU8, readU32, u32 } from './bytes.ts';
import type { NetlinkMessage, NetlinkRequest } from './message.ts';
import {
  decodeGateway,
  decodeNexthops,
  encodeGateway,
  encodeNexthops,
  type Nexthop,
  RTNH_F_ONLINK,
} from './nexthop.ts';
import { requireMessageType } from './nfnetlink.ts';
import { decodePrefix, encodePrefix } from './prefix-attribute.ts';
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST } from './uapi.ts';

export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;

export const RT_TABLE_DEFAULT = 253;
export const RT_TABLE_MAIN = 254;
export const RT_TABLE_LOCAL = 255;

export const RTN_UNICAST = 1;
export const RTN_LOCAL = 2;
export const RTN_BROADCAST = 3;
export const RTN_BLACKHOLE = 6;
export const RTN_UNREACHABLE = 7;
export const RTN_PROHIBIT = 8;
export const RTN_THROW = 9;

export const RT_SCOPE_UNIVERSE = 0;
export const RT_SCOPE_LINK = 253;
export const RT_SCOPE_HOST = 254;
export const RT_SCOPE_NOWHERE = 255;

export const RTPROT_REDIRECT = 1;
export const RTPROT_KERNEL = 2;
export const RTPROT_BOOT = 3;
export const RTPROT_STATIC = 4;
export const RTPROT_RA = 9;
export const RTPROT_DHCP = 16;

const RTMSG_BYTES = 12;
/** `rtm_table` has 8 bits; a larger number stands only in RTA_TABLE. */
const RT_TABLE_UNSPEC = 0;
const LARGEST_HEADER_TABLE = 255;
const RTA_DST = 1;
const RTA_SRC = 2;
const RTA_OIF = 4;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_MULTIPATH = 9;
const RTA_TABLE = 15;
const RTA_MARK = 16;
const RTA_NH_ID = 30;

/**
 * `type` RTN_*, `scope` RT_SCOPE_*, `protocol` RTPROT_*. `metric` 0 is none; for IPv6 the kernel makes 1024 of it.
 * A multipath route has `nexthops`, and neither `gateway` nor `oif`; so has one by a next hop that stands for itself (`nexthopId`), of
 * which the kernel does not say more where net.ipv4.nexthop_compat_mode is 0.
 */
export interface Route {
  readonly family: Family;
  readonly table: number;
  readonly destination: Prefix;
  /** IPv6 only: for packets from this prefix. */
  readonly source?: Prefix;
  readonly type: number;
  readonly scope: number;
  readonly protocol: number;
  readonly metric: number;
  readonly gateway?: Address;
  readonly oif?: number;
  readonly onlink: boolean;
  readonly preferredSource?: Address;
  readonly nexthops?: readonly Nexthop[];
  readonly nexthopId?: number;
}

/** All tables of one family: the caller keeps the ones it wants. AF_UNSPEC would also give multicast routing's own families. */
export function encodeRouteDump(family: Family): NetlinkRequest {
  const body = new Uint8Array(RTMSG_BYTES);
  body[0] = encodeFamily(family);
  return { type: RTM_GETROUTE, flags: NLM_F_REQUEST | NLM_F_DUMP, body };
}

/** The way that the kernel would send a packet with this mark; answered by one route, or by an error where there is none. */
export function encodeRouteLookup(destination: Address, mark: number): NetlinkRequest {
  const header = new Uint8Array(RTMSG_BYTES);
  header[0] = encodeFamily(destination.family);
  header[1] = destination.family === 4 ? 32 : 128;
  const body = concatBytes([header, encodeAddress(RTA_DST, destination), encodeU32(RTA_MARK, mark)]);
  return { type: RTM_GETROUTE, flags: NLM_F_REQUEST, body };
}

/** `replace` takes the place of the route with the same table, destination and metric; `fail` gives EEXIST where there is one. */
export function encodeRouteAdd(route: Route, options: { readonly ifExists: 'replace' | 'fail' }): NetlinkRequest {
  const mode = options.ifExists === 'replace' ? NLM_F_REPLACE : NLM_F_EXCL;
  return { type: RTM_NEWROUTE, flags: NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | mode, body: encodeRoute(route) };
}

/** Deletes only the route that equals in all that is stated; ESRCH where there is none. */
export function encodeRouteDelete(route: Route): NetlinkRequest {
  return { type: RTM_DELROUTE, flags: NLM_F_REQUEST | NLM_F_ACK, body: encodeRoute(route) };
}

function encodeRoute(route: Route): Uint8Array {
  const { family, table, destination, source } = route;
  const shortTable = table > LARGEST_HEADER_TABLE ? RT_TABLE_UNSPEC : table;
  const lengths = [destination.length, source?.length ?? 0, 0];
  const header = [encodeFamily(family), ...lengths, shortTable, route.protocol, route.scope, route.type];
  const optional = [
    ...(source === undefined ? [] : encodePrefix(RTA_SRC, source)),
    ...(route.oif === undefined ? [] : [encodeU32(RTA_OIF, route.oif)]),
    ...(route.metric === 0 ? [] : [encodeU32(RTA_PRIORITY, route.metric)]),
    ...(route.preferredSource === undefined ? [] : [encodeAddress(RTA_PREFSRC, route.preferredSource)]),
    ...(route.nexthops === undefined ? [] : [encodeAttribute(RTA_MULTIPATH, encodeNexthops(family, route.nexthops))]),
  ];
  return concatBytes([
    new Uint8Array(header),
    u32(route.onlink ? RTNH_F_ONLINK : 0),
    encodeU32(RTA_TABLE, table),
    ...encodePrefix(RTA_DST, destination),
    ...encodeGateway(family, route.gateway),
    ...optional,
  ]);
}

/** RTM_NEWROUTE or RTM_DELROUTE: the caller looks at the message's type. Throws DecodeError. */
export function decodeRoute(message: NetlinkMessage): Route {
  requireMessageType(message, [RTM_NEWROUTE, RTM_DELROUTE]);
  const { body } = message;
  const attributes = decodeAttributes(body, RTMSG_BYTES);
  const family = decodeFamily(readU8(body));
  const table = attributes.get(RTA_TABLE);
  const metric = attributes.get(RTA_PRIORITY);
  const sourceLength = readU8(body, 2);
  return {
    family,
    table: table === undefined ? readU8(body, 4) : readU32(table),
    destination: decodePrefix(attributes, RTA_DST, family, readU8(body, 1)),
    ...(sourceLength > 0 && { source: decodePrefix(attributes, RTA_SRC, family, sourceLength) }),
    type: readU8(body, 7),
    scope: readU8(body, 6),
    protocol: readU8(body, 5),
    metric: metric === undefined ? 0 : readU32(metric),
    onlink: (readU32(body, 8) & RTNH_F_ONLINK) !== 0,
    ...decodeWay(attributes, readU8(body, 7)),
  };
}

function decodeWay(attributes: Attributes, type: number): Partial<Route> {
  // IPv6 says "by lo" of a route that refuses, IPv4 does not; no device is involved in either.
  if (type >= RTN_BLACKHOLE && type <= RTN_THROW) return {};
  const gateway = decodeGateway(attributes);
  const oif = attributes.get(RTA_OIF);
  const preferredSource = attributes.get(RTA_PREFSRC);
  const multipath = attributes.get(RTA_MULTIPATH);
  const nexthopId = attributes.get(RTA_NH_ID);
  return {
    ...(gateway !== undefined && { gateway }),
    ...(oif !== undefined && { oif: readU32(oif) }),
    ...(preferredSource !== undefined && { preferredSource: decodeAddress(preferredSource) }),
    ...(multipath !== undefined && { nexthops: decodeNexthops(multipath) }),
    ...(nexthopId !== undefined && { nexthopId: readU32(nexthopId) }),
  };
}
