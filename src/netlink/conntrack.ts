/** Connection tracking entries and events (linux/netfilter/nfnetlink_conntrack.h; integers in network order). */
import type { Family } from '../net/address.ts';
import { encodeFamily } from './address-family.ts';
import { type Attributes, decodeNested, encodeAttribute, encodeU32Be, requireAttribute } from './attribute.ts';
import { readU8, readU16Be, readU32Be, readU64Be, u16Be } from './bytes.ts';
import { type ConntrackTuple, decodeTuple, decodeTupleZone, encodeTuple } from './conntrack-tuple.ts';
import type { NetlinkMessage, NetlinkRequest } from './message.ts';
import { decodeNfnetlink, encodeNfnetlink, nfnetlinkType, requireMessageType } from './nfnetlink.ts';
import { AF_UNSPEC, NFNL_SUBSYS_CTNETLINK, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REQUEST } from './uapi.ts';

const IPCTNL_MSG_CT_NEW = 0;
const IPCTNL_MSG_CT_GET = 1;
const IPCTNL_MSG_CT_DELETE = 2;

/** The message types: entries of a dump and events new or update; event destroy. */
export const CONNTRACK_NEW: number = nfnetlinkType(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW);
export const CONNTRACK_DELETE: number = nfnetlinkType(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE);

/** Bits of `status`. */
export const IPS_SEEN_REPLY = 0x02;
export const IPS_ASSURED = 0x04;
export const IPS_CONFIRMED = 0x08;
export const IPS_SRC_NAT = 0x10;
export const IPS_DST_NAT = 0x20;
export const IPS_DYING = 0x200;

const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
export const CTA_STATUS = 3;
const CTA_PROTOINFO = 4;
const CTA_TIMEOUT = 7;
export const CTA_MARK = 8;
export const CTA_COUNTERS_ORIG = 9;
export const CTA_COUNTERS_REPLY = 10;
export const CTA_ID = 12;
const CTA_ZONE = 18;
const CTA_MARK_MASK = 21;
const CTA_PROTOINFO_TCP = 1;
const CTA_PROTOINFO_TCP_STATE = 1;
export const CTA_COUNTERS_PACKETS = 1;
export const CTA_COUNTERS_BYTES = 2;

/** Needs `net.netfilter.nf_conntrack_acct`. */
export interface ConntrackCounters {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/**
 * `id` tells an entry from a later one with the same tuple. `tcpState`: TCP_CONNTRACK_* of linux/netfilter/nf_conntrack_tcp.h, 3 is
 * established. Some events of destroyed entries have no timeout.
 */
export interface ConntrackEntry {
  readonly original: ConntrackTuple;
  readonly reply: ConntrackTuple;
  readonly id: number;
  readonly mark: number;
  readonly zone: number;
  /** Of the original direction alone. */
  readonly originalZone?: number;
  readonly status: number;
  readonly timeoutSeconds?: number;
  readonly tcpState?: number;
  readonly counters?: { readonly original: ConntrackCounters; readonly reply: ConntrackCounters };
}

export interface ConntrackEvent {
  readonly kind: 'new' | 'update' | 'destroy';
  readonly entry: ConntrackEntry;
}

/** An entry is named by its original tuple; zone 0 where it is absent. */
export interface ConntrackName {
  readonly original: ConntrackTuple;
  readonly zone?: number;
  readonly originalZone?: number;
}

/** Bits of `value` outside `mask` must be 0. */
export interface MaskedMark {
  readonly value: number;
  readonly mask: number;
}

/** Without `family`: both. `mark`: only entries whose masked mark is the value. */
export function encodeConntrackDump(filter: { readonly family?: Family; readonly mark?: MaskedMark }): NetlinkRequest {
  const family = filter.family === undefined ? AF_UNSPEC : encodeFamily(filter.family);
  const operation = IPCTNL_MSG_CT_GET;
  const flags = NLM_F_REQUEST | NLM_F_DUMP;
  const mark = filter.mark === undefined ? [] : encodeMark(filter.mark);
  return encodeNfnetlink({ subsystem: NFNL_SUBSYS_CTNETLINK, operation, flags, family, resourceId: 0 }, mark);
}

/** Answered by one entry, or by ENOENT. */
export function encodeConntrackGet(name: ConntrackName): NetlinkRequest {
  return encodeNamed(IPCTNL_MSG_CT_GET, NLM_F_REQUEST, name, []);
}

/** The same for an entry that is known by what answers carry. */
export function encodeConntrackGetByReply(reply: ConntrackTuple): NetlinkRequest {
  const family = encodeFamily(reply.source.family);
  const header = { subsystem: NFNL_SUBSYS_CTNETLINK, operation: IPCTNL_MSG_CT_GET, flags: NLM_F_REQUEST, family };
  return encodeNfnetlink({ ...header, resourceId: 0 }, [encodeTuple(CTA_TUPLE_REPLY, reply)]);
}

/** Changes the bits in `mask` of one entry's mark, and no others. ENOENT where it is gone. */
export function encodeConntrackMark(name: ConntrackName, mark: MaskedMark): NetlinkRequest {
  return encodeNamed(IPCTNL_MSG_CT_NEW, NLM_F_REQUEST | NLM_F_ACK, name, encodeMark(mark));
}

/** ENOENT where it is gone, or where the tuple belongs to another `id` by now. */
export function encodeConntrackDelete(name: ConntrackName & { readonly id: number }): NetlinkRequest {
  return encodeNamed(IPCTNL_MSG_CT_DELETE, NLM_F_REQUEST | NLM_F_ACK, name, [encodeU32Be(CTA_ID, name.id)]);
}

function encodeMark(mark: MaskedMark): readonly Uint8Array[] {
  return [encodeU32Be(CTA_MARK, mark.value), encodeU32Be(CTA_MARK_MASK, mark.mask)];
}

function encodeNamed(
  operation: number,
  flags: number,
  { original, zone = 0, originalZone }: ConntrackName,
  attributes: readonly Uint8Array[],
): NetlinkRequest {
  const family = encodeFamily(original.source.family);
  const header = { subsystem: NFNL_SUBSYS_CTNETLINK, operation, flags, family, resourceId: 0 };
  const zoneAttribute = zone === 0 ? [] : [encodeAttribute(CTA_ZONE, u16Be(zone))];
  return encodeNfnetlink(header, [
    encodeTuple(CTA_TUPLE_ORIG, original, originalZone),
    ...zoneAttribute,
    ...attributes,
  ]);
}

/** An event of NFNLGRP_CONNTRACK_*. Throws DecodeError. */
export function decodeConntrackEvent(message: NetlinkMessage): ConntrackEvent {
  const entry = decodeConntrackEntry(message);
  if (message.type === CONNTRACK_DELETE) return { kind: 'destroy', entry };
  return { kind: (message.flags & NLM_F_CREATE) === 0 ? 'update' : 'new', entry };
}

/** An entry of a dump or an event. Throws DecodeError. */
export function decodeConntrackEntry(message: NetlinkMessage): ConntrackEntry {
  requireMessageType(message, [CONNTRACK_NEW, CONNTRACK_DELETE]);
  const { attributes } = decodeNfnetlink(message);
  const number = (type: number): number | undefined => {
    const payload = attributes.get(type);
    return payload === undefined ? undefined : readU32Be(payload);
  };
  const zone = attributes.get(CTA_ZONE);
  const original = requireAttribute(attributes, CTA_TUPLE_ORIG, 'CTA_TUPLE_ORIG');
  const originalZone = decodeTupleZone(original);
  const timeoutSeconds = number(CTA_TIMEOUT);
  return {
    original: decodeTuple(original),
    reply: decodeTuple(requireAttribute(attributes, CTA_TUPLE_REPLY, 'CTA_TUPLE_REPLY')),
    id: readU32Be(requireAttribute(attributes, CTA_ID, 'CTA_ID')),
    // The kernel leaves a mark of 0 out of some messages.
    mark: number(CTA_MARK) ?? 0,
    zone: zone === undefined ? 0 : readU16Be(zone),
    ...(originalZone !== undefined && { originalZone }),
    status: number(CTA_STATUS) ?? 0,
    ...(timeoutSeconds !== undefined && { timeoutSeconds }),
    ...decodeTcpState(attributes),
    ...decodeCounters(attributes),
  };
}

function decodeTcpState(attributes: Attributes): Pick<ConntrackEntry, 'tcpState'> {
  const tcp = decodeNested(decodeNested(attributes, CTA_PROTOINFO), CTA_PROTOINFO_TCP);
  const state = tcp.get(CTA_PROTOINFO_TCP_STATE);
  return state === undefined ? {} : { tcpState: readU8(state) };
}

function decodeCounters(attributes: Attributes): Pick<ConntrackEntry, 'counters'> {
  const original = decodeCounter(attributes, CTA_COUNTERS_ORIG);
  const reply = decodeCounter(attributes, CTA_COUNTERS_REPLY);
  return original === undefined || reply === undefined ? {} : { counters: { original, reply } };
}

function decodeCounter(attributes: Attributes, type: number): ConntrackCounters | undefined {
  const counter = decodeNested(attributes, type);
  const packets = counter.get(CTA_COUNTERS_PACKETS);
  const bytes = counter.get(CTA_COUNTERS_BYTES);
  if (packets === undefined || bytes === undefined) return undefined;
  return { packets: readU64Be(packets), bytes: readU64Be(bytes) };
}
