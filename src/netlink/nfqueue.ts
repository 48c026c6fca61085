/**
 * Packets to userspace and verdicts back (linux/netfilter/nfnetlink_queue.h). The decoder and `VerdictMessage` are the
 * verdict loop's hot path: one object and one view per packet, nothing per verdict.
 */
import { align4, attributeLengthAt, encodeAttribute, encodeU32Be, NLA_HDRLEN, NLA_TYPE_MASK } from './attribute.ts';
import { concatBytes, readU8, readU16, readU16Be, readU32Be, u16, u16Be, u32, u32Be } from './bytes.ts';
import { DecodeError } from './errors.ts';
import { type NetlinkRequest, NLMSG_HDRLEN } from './message.ts';
import { encodeNfnetlink, NFGENMSG_BYTES, nfnetlinkType } from './nfnetlink.ts';
import {
  AF_UNSPEC,
  type NF_ACCEPT,
  type NF_DROP,
  type NF_REPEAT,
  NFNL_SUBSYS_QUEUE,
  NLM_F_ACK,
  NLM_F_REQUEST,
} from './uapi.ts';

const NFQNL_MSG_PACKET = 0;
const NFQNL_MSG_VERDICT = 1;
const NFQNL_MSG_CONFIG = 2;

const NFQA_CFG_CMD = 1;
const NFQA_CFG_PARAMS = 2;
const NFQA_CFG_QUEUE_MAXLEN = 3;
const NFQA_CFG_MASK = 4;
const NFQA_CFG_FLAGS = 5;
const NFQNL_CFG_CMD_BIND = 1;
const NFQNL_CFG_CMD_UNBIND = 2;

export const NFQA_CFG_F_FAIL_OPEN = 0x01;
export const NFQA_CFG_F_CONNTRACK = 0x02;
export const NFQA_CFG_F_GSO = 0x04;
export const NFQA_CFG_F_UID_GID = 0x08;

export const NFQNL_COPY_NONE = 0;
export const NFQNL_COPY_META = 1;
export const NFQNL_COPY_PACKET = 2;

const NFQA_PACKET_HDR = 1;
const NFQA_VERDICT_HDR = 2;
const NFQA_MARK = 3;
const NFQA_IFINDEX_INDEV = 5;
const NFQA_IFINDEX_OUTDEV = 6;
const NFQA_PAYLOAD = 10;
const NFQA_CAP_LEN = 13;
const NFQA_UID = 16;
const NFQA_GID = 17;

/** `struct nfqnl_msg_packet_hdr` without padding. */
const PACKET_HDR_BYTES = 7;
const VERDICT_TYPE = nfnetlinkType(NFNL_SUBSYS_QUEUE, NFQNL_MSG_VERDICT);
const VERDICT_OFFSET = NLMSG_HDRLEN + NFGENMSG_BYTES + NLA_HDRLEN;
const MARK_OFFSET = VERDICT_OFFSET + 8;

/** The message type of a queued packet. */
export const NFQUEUE_PACKET: number = nfnetlinkType(NFNL_SUBSYS_QUEUE, NFQNL_MSG_PACKET);

export type QueueVerdict = typeof NF_ACCEPT | typeof NF_DROP | typeof NF_REPEAT;

/** `packetId` is unique in one binding of one queue; verdicts may come in any order. */
export interface QueuePacket {
  readonly queue: number;
  readonly packetId: number;
  /** NF_INET_* hook number; 3 is output. */
  readonly hook: number;
  /** ETH_P_*, 0x0800 or 0x86dd; 0 where the kernel has none. */
  readonly hwProtocol: number;
  readonly mark: number;
  readonly ifIndexIn?: number;
  readonly ifIndexOut?: number;
  /** Of the socket, with NFQA_CFG_F_UID_GID. */
  readonly uid?: number;
  readonly gid?: number;
  /** From the IP header on: a view of the receive buffer, valid until that is used again. */
  readonly payload: Uint8Array;
  /** Length of the whole packet in bytes (NFQA_CAP_LEN): more than `payload` has where the copy range cut it. */
  readonly capturedLength: number;
}

function encodeConfig(queue: number, attributes: readonly Uint8Array[]): NetlinkRequest {
  const operation = NFQNL_MSG_CONFIG;
  const flags = NLM_F_REQUEST | NLM_F_ACK;
  return encodeNfnetlink(
    { subsystem: NFNL_SUBSYS_QUEUE, operation, flags, family: AF_UNSPEC, resourceId: queue },
    attributes,
  );
}

/** EPERM where another socket has the queue, or without CAP_NET_ADMIN. */
export function encodeQueueBind(queue: number): NetlinkRequest {
  return encodeConfig(queue, [encodeAttribute(NFQA_CFG_CMD, new Uint8Array([NFQNL_CFG_CMD_BIND, 0, 0, 0]))]);
}

/** The packets that wait in the queue are dropped. */
export function encodeQueueUnbind(queue: number): NetlinkRequest {
  return encodeConfig(queue, [encodeAttribute(NFQA_CFG_CMD, new Uint8Array([NFQNL_CFG_CMD_UNBIND, 0, 0, 0]))]);
}

/** `copyRange` bytes of each packet at most; 0 is the kernel's maximum. Without this nothing is copied at all. */
export function encodeQueueParams(
  queue: number,
  params: { readonly copyMode: number; readonly copyRange: number },
): NetlinkRequest {
  const payload = concatBytes([u32Be(params.copyRange), new Uint8Array([params.copyMode])]);
  return encodeConfig(queue, [encodeAttribute(NFQA_CFG_PARAMS, payload)]);
}

/** How many packets may wait (kernel default 1024). */
export function encodeQueueMaxLength(queue: number, packets: number): NetlinkRequest {
  return encodeConfig(queue, [encodeU32Be(NFQA_CFG_QUEUE_MAXLEN, packets)]);
}

/** Sets the NFQA_CFG_F_* in `mask` to their value in `flags`. EOPNOTSUPP for one that the kernel does not have. */
export function encodeQueueFlags(
  queue: number,
  change: { readonly flags: number; readonly mask: number },
): NetlinkRequest {
  return encodeConfig(queue, [encodeU32Be(NFQA_CFG_FLAGS, change.flags), encodeU32Be(NFQA_CFG_MASK, change.mask)]);
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const EMPTY: Uint8Array = new Uint8Array(0);

/**
 * The body of a NFQUEUE_PACKET message, `start` to `end` of `bytes`: a whole receive buffer can be walked in place.
 * Throws DecodeError.
 */
export function decodeQueuePacket(bytes: Uint8Array, start = 0, end: number = bytes.length): QueuePacket {
  if (start + NFGENMSG_BYTES > end || end > bytes.length) throw new DecodeError('packet message cut off');
  const packet: Mutable<QueuePacket> = {
    queue: readU16Be(bytes, start + 2),
    packetId: 0,
    hook: 0,
    hwProtocol: 0,
    mark: 0,
    payload: EMPTY,
    capturedLength: 0,
  };
  let hasHeader = false;
  for (let offset = start + NFGENMSG_BYTES; offset < end; ) {
    const length = attributeLengthAt(bytes, offset, end);
    const type = readU16(bytes, offset + 2) & NLA_TYPE_MASK;
    hasHeader = hasHeader || type === NFQA_PACKET_HDR;
    readPacketAttribute(packet, type, bytes, offset + NLA_HDRLEN, length - NLA_HDRLEN);
    offset += align4(length);
  }
  if (!hasHeader) throw new DecodeError('NFQA_PACKET_HDR is missing');
  if (packet.capturedLength === 0) packet.capturedLength = packet.payload.length;
  return packet;
}

/** Reads in place, without a view per attribute; attributes that are not listed are passed over. */
function readPacketAttribute(
  packet: Mutable<QueuePacket>,
  type: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
): void {
  switch (type) {
    case NFQA_PACKET_HDR:
      requireLength(length, PACKET_HDR_BYTES);
      packet.packetId = readU32Be(bytes, offset);
      packet.hwProtocol = readU16Be(bytes, offset + 4);
      packet.hook = readU8(bytes, offset + 6);
      return;
    case NFQA_MARK:
      packet.mark = u32At(bytes, offset, length);
      return;
    case NFQA_IFINDEX_INDEV:
      packet.ifIndexIn = u32At(bytes, offset, length);
      return;
    case NFQA_IFINDEX_OUTDEV:
      packet.ifIndexOut = u32At(bytes, offset, length);
      return;
    case NFQA_UID:
      packet.uid = u32At(bytes, offset, length);
      return;
    case NFQA_GID:
      packet.gid = u32At(bytes, offset, length);
      return;
    case NFQA_CAP_LEN:
      packet.capturedLength = u32At(bytes, offset, length);
      return;
    case NFQA_PAYLOAD:
      packet.payload = bytes.subarray(offset, offset + length);
      return;
  }
}

function requireLength(length: number, wanted: number): void {
  if (length < wanted) throw new DecodeError(`attribute payload of ${length} bytes, not ${wanted}`);
}

function u32At(bytes: Uint8Array, offset: number, length: number): number {
  requireLength(length, 4);
  return readU32Be(bytes, offset);
}

/** `mark`: the packet's new mark; absent, it stays. */
export interface Verdict {
  readonly queue: number;
  readonly packetId: number;
  readonly verdict: QueueVerdict;
  readonly mark?: number;
}

/** Not acknowledged; ENOENT comes back where the packet is not in the queue any more. */
export function encodeVerdict(verdict: Verdict): NetlinkRequest {
  const header = encodeAttribute(NFQA_VERDICT_HDR, concatBytes([u32Be(verdict.verdict), u32Be(verdict.packetId)]));
  const mark = verdict.mark === undefined ? [] : [encodeU32Be(NFQA_MARK, verdict.mark)];
  return encodeNfnetlink(
    {
      subsystem: NFNL_SUBSYS_QUEUE,
      operation: NFQNL_MSG_VERDICT,
      flags: NLM_F_REQUEST,
      family: AF_UNSPEC,
      resourceId: verdict.queue,
    },
    [header, ...mark],
  );
}

/** One verdict message for one queue, filled in again and again: whole netlink messages without allocation. */
export class VerdictMessage {
  readonly #withMark: Uint8Array;
  readonly #withoutMark: Uint8Array;
  readonly #view: DataView;

  constructor(queue: number) {
    const header = concatBytes([u32(0), u16(VERDICT_TYPE), u16(NLM_F_REQUEST), u32(0), u32(0)]);
    const generic = concatBytes([new Uint8Array([AF_UNSPEC, 0]), u16Be(queue)]);
    const verdict = encodeAttribute(NFQA_VERDICT_HDR, new Uint8Array(8));
    this.#withMark = concatBytes([header, generic, verdict, encodeU32Be(NFQA_MARK, 0)]);
    this.#withoutMark = this.#withMark.subarray(0, MARK_OFFSET);
    this.#view = new DataView(this.#withMark.buffer);
  }

  /** The message to send; it is valid until the next call. Without `mark` the packet's mark stays. */
  set(packetId: number, verdict: QueueVerdict, mark?: number): Uint8Array {
    const message = mark === undefined ? this.#withoutMark : this.#withMark;
    this.#view.setUint32(0, message.length, true);
    this.#view.setUint32(VERDICT_OFFSET, verdict);
    this.#view.setUint32(VERDICT_OFFSET + 4, packetId);
    if (mark !== undefined) this.#view.setUint32(MARK_OFFSET + NLA_HDRLEN, mark);
    return message;
  }
}
