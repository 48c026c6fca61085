/** Routing rules (`ip rule`) over NETLINK_ROUTE (linux/fib_rules.h, `struct fib_rule_hdr`). */
import type { Family, Prefix } from '../net/address.ts';
import { decodeFamily, encodeFamily } from './address-family.ts';
import {
  type Attributes,
  decodeAttributes,
  decodeString,
  encodeAttribute,
  encodeString,
  encodeU32,
} from './attribute.ts';
import { concatBytes, readU8, readU32, u8, u32 } from './bytes.ts';
import type { NetlinkMessage, NetlinkRequest } from './message.ts';
import { requireMessageType } from './nfnetlink.ts';
import { decodePrefix, encodePrefix } from './prefix-attribute.ts';
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST } from './uapi.ts';

export const RTM_NEWRULE = 32;
export const RTM_DELRULE = 33;
const RTM_GETRULE = 34;

export const FR_ACT_TO_TBL = 1;
export const FR_ACT_GOTO = 2;
export const FR_ACT_NOP = 3;
export const FR_ACT_BLACKHOLE = 6;
export const FR_ACT_UNREACHABLE = 7;
export const FR_ACT_PROHIBIT = 8;

const FIB_RULE_HDR_BYTES = 12;
const FIB_RULE_INVERT = 0x2;
/** The header's table has 8 bits; a larger number stands only in FRA_TABLE. */
const LARGEST_HEADER_TABLE = 255;
const UNSET = 0xffff_ffff;
const FRA_DST = 1;
const FRA_SRC = 2;
const FRA_IIFNAME = 3;
const FRA_GOTO = 4;
const FRA_PRIORITY = 6;
const FRA_FWMARK = 10;
const FRA_TUN_ID = 12;
const FRA_SUPPRESS_PREFIXLEN = 14;
const FRA_TABLE = 15;
const FRA_FWMASK = 16;
const FRA_OIFNAME = 17;
const FRA_L3MDEV = 19;
const FRA_UID_RANGE = 20;
const FRA_PROTOCOL = 21;
const FRA_IP_PROTO = 22;
const FRA_SPORT_RANGE = 23;
const FRA_DPORT_RANGE = 24;
const FRA_DSCP = 25;
const FRA_FLOWLABEL = 26;
/** Selectors that are not read any further. */
const OTHER_SELECTORS = [FRA_TUN_ID, FRA_IP_PROTO, FRA_SPORT_RANGE, FRA_DPORT_RANGE, FRA_DSCP, FRA_FLOWLABEL];

/**
 * `action` FR_ACT_*, with `table` for FR_ACT_TO_TBL and `goto` for FR_ACT_GOTO; `protocol` RTPROT_*: who added it.
 * `fwmask` stands with every `fwmark`, also with 0, which matches where the masked mark is 0.
 * `table` of a rule with `l3mdev` is 0: the VRF device's.
 */
export interface RoutingRule {
  readonly family: Family;
  readonly priority: number;
  readonly fwmark?: number;
  readonly fwmask?: number;
  readonly source?: Prefix;
  readonly destination?: Prefix;
  readonly iif?: string;
  readonly oif?: string;
  readonly uidRange?: { readonly first: number; readonly last: number };
  /** It also looks at ports, protocol, TOS or the like. Decoded only. */
  readonly selectsMore?: true;
  readonly invert: boolean;
  readonly l3mdev: boolean;
  readonly action: number;
  readonly table: number;
  readonly goto?: number;
  /** Routes with a prefix of this length or shorter do not count: 0 leaves default routes out. */
  readonly suppressPrefixLength?: number;
  readonly protocol: number;
}

export function encodeRuleDump(family: Family): NetlinkRequest {
  const body = new Uint8Array(FIB_RULE_HDR_BYTES);
  body[0] = encodeFamily(family);
  return { type: RTM_GETRULE, flags: NLM_F_REQUEST | NLM_F_DUMP, body };
}

/** EEXIST where an equal rule of the same priority is there. */
export function encodeRuleAdd(rule: RoutingRule): NetlinkRequest {
  const flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  return { type: RTM_NEWRULE, flags, body: encodeRule(rule) };
}

/** Deletes only a rule that equals in all that is stated; ENOENT where there is none. */
export function encodeRuleDelete(rule: RoutingRule): NetlinkRequest {
  return { type: RTM_DELRULE, flags: NLM_F_REQUEST | NLM_F_ACK, body: encodeRule(rule) };
}

function encodeRule(rule: RoutingRule): Uint8Array {
  const shortTable = rule.table > LARGEST_HEADER_TABLE ? 0 : rule.table;
  const lengths = [rule.destination?.length ?? 0, rule.source?.length ?? 0];
  const header = [encodeFamily(rule.family), ...lengths, 0, shortTable, 0, 0, rule.action];
  return concatBytes([
    new Uint8Array(header),
    u32(rule.invert ? FIB_RULE_INVERT : 0),
    encodeU32(FRA_PRIORITY, rule.priority),
    ...encodeSelector(rule),
    ...(rule.table === 0 ? [] : [encodeU32(FRA_TABLE, rule.table)]),
    ...(rule.goto === undefined ? [] : [encodeU32(FRA_GOTO, rule.goto)]),
    ...(rule.suppressPrefixLength === undefined ? [] : [encodeU32(FRA_SUPPRESS_PREFIXLEN, rule.suppressPrefixLength)]),
    encodeAttribute(FRA_PROTOCOL, u8(rule.protocol)),
  ]);
}

function encodeSelector(rule: RoutingRule): readonly Uint8Array[] {
  const { uidRange } = rule;
  return [
    ...(rule.destination === undefined ? [] : encodePrefix(FRA_DST, rule.destination)),
    ...(rule.source === undefined ? [] : encodePrefix(FRA_SRC, rule.source)),
    ...(rule.fwmark === undefined ? [] : [encodeU32(FRA_FWMARK, rule.fwmark)]),
    ...(rule.fwmask === undefined ? [] : [encodeU32(FRA_FWMASK, rule.fwmask)]),
    ...(rule.iif === undefined ? [] : [encodeString(FRA_IIFNAME, rule.iif)]),
    ...(rule.oif === undefined ? [] : [encodeString(FRA_OIFNAME, rule.oif)]),
    ...(rule.l3mdev ? [encodeAttribute(FRA_L3MDEV, u8(1))] : []),
    ...(uidRange === undefined
      ? []
      : [encodeAttribute(FRA_UID_RANGE, concatBytes([u32(uidRange.first), u32(uidRange.last)]))]),
  ];
}

/** RTM_NEWRULE or RTM_DELRULE: the caller looks at the message's type. Throws DecodeError. */
export function decodeRule(message: NetlinkMessage): RoutingRule {
  requireMessageType(message, [RTM_NEWRULE, RTM_DELRULE]);
  const { body } = message;
  const attributes = decodeAttributes(body, FIB_RULE_HDR_BYTES);
  const family = decodeFamily(readU8(body));
  const number = (type: number): number | undefined => optionalU32(attributes, type);
  const goto = number(FRA_GOTO);
  const suppress = number(FRA_SUPPRESS_PREFIXLEN);
  const protocol = attributes.get(FRA_PROTOCOL);
  const l3mdev = attributes.get(FRA_L3MDEV);
  return {
    family,
    priority: number(FRA_PRIORITY) ?? 0,
    ...decodeSelector(attributes),
    ...decodePrefixes(body, attributes, family),
    ...((readU8(body, 3) !== 0 || OTHER_SELECTORS.some((type) => attributes.has(type))) && { selectsMore: true }),
    invert: (readU32(body, 8) & FIB_RULE_INVERT) !== 0,
    l3mdev: l3mdev !== undefined && readU8(l3mdev) !== 0,
    action: readU8(body, 7),
    table: number(FRA_TABLE) ?? readU8(body, 4),
    ...(goto !== undefined && { goto }),
    ...(suppress !== undefined && suppress !== UNSET && { suppressPrefixLength: suppress }),
    protocol: protocol === undefined ? 0 : readU8(protocol),
  };
}

function optionalU32(attributes: Attributes, type: number): number | undefined {
  const payload = attributes.get(type);
  return payload === undefined ? undefined : readU32(payload);
}

function decodePrefixes(body: Uint8Array, attributes: Attributes, family: Family): Partial<RoutingRule> {
  const destinationLength = readU8(body, 1);
  const sourceLength = readU8(body, 2);
  return {
    ...(destinationLength > 0 && { destination: decodePrefix(attributes, FRA_DST, family, destinationLength) }),
    ...(sourceLength > 0 && { source: decodePrefix(attributes, FRA_SRC, family, sourceLength) }),
  };
}

function decodeSelector(attributes: Attributes): Partial<RoutingRule> {
  const fwmark = optionalU32(attributes, FRA_FWMARK);
  const fwmask = optionalU32(attributes, FRA_FWMASK);
  const iif = attributes.get(FRA_IIFNAME);
  const oif = attributes.get(FRA_OIFNAME);
  const uids = attributes.get(FRA_UID_RANGE);
  return {
    // The kernel leaves a mark of 0 out, but sends its mask.
    ...((fwmark !== undefined || fwmask !== undefined) && { fwmark: fwmark ?? 0, fwmask: fwmask ?? 0xffff_ffff }),
    ...(iif !== undefined && { iif: decodeString(iif) }),
    ...(oif !== undefined && { oif: decodeString(oif) }),
    ...(uids !== undefined && { uidRange: { first: readU32(uids), last: readU32(uids, 4) } }),
  };
}
