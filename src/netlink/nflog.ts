/** Logged packets (linux/netfilter/nfnetlink_log.h; integers in network order). */
import { decodeString, encodeAttribute, requireAttribute } from './attribute.ts';
import { concatBytes, readU8, readU16Be, readU32Be, u32Be } from './bytes.ts';
import type { NetlinkMessage, NetlinkRequest } from './message.ts';
import { decodeNfnetlink, encodeNfnetlink, nfnetlinkType, requireMessageType } from './nfnetlink.ts';
import { AF_UNSPEC, NFNL_SUBSYS_ULOG, NLM_F_ACK, NLM_F_REQUEST } from './uapi.ts';

const NFULNL_MSG_PACKET = 0;
const NFULNL_MSG_CONFIG = 1;
const NFULA_CFG_CMD = 1;
const NFULA_CFG_MODE = 2;
const NFULA_CFG_TIMEOUT = 4;
const NFULA_CFG_QTHRESH = 5;
const NFULNL_CFG_CMD_BIND = 1;
const NFULNL_CFG_CMD_UNBIND = 2;

export const NFULNL_COPY_META = 1;
export const NFULNL_COPY_PACKET = 2;

const NFULA_PACKET_HDR = 1;
const NFULA_MARK = 2;
const NFULA_IFINDEX_INDEV = 4;
const NFULA_IFINDEX_OUTDEV = 5;
const NFULA_PAYLOAD = 9;
const NFULA_PREFIX = 10;
const NFULA_UID = 11;
const NFULA_GID = 14;

/** The message type of a logged packet. */
export const NFLOG_PACKET: number = nfnetlinkType(NFNL_SUBSYS_ULOG, NFULNL_MSG_PACKET);

/** `prefix` is the log statement's. `payload` is a view, from the IP header on. */
export interface LoggedPacket {
  readonly group: number;
  /** NF_INET_* hook number. */
  readonly hook: number;
  /** ETH_P_*. */
  readonly hwProtocol: number;
  readonly prefix: string;
  readonly mark: number;
  readonly ifIndexIn?: number;
  readonly ifIndexOut?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly payload: Uint8Array;
}

function encodeConfig(group: number, attributes: readonly Uint8Array[]): NetlinkRequest {
  const flags = NLM_F_REQUEST | NLM_F_ACK;
  const header = { subsystem: NFNL_SUBSYS_ULOG, operation: NFULNL_MSG_CONFIG, flags, family: AF_UNSPEC };
  return encodeNfnetlink({ ...header, resourceId: group }, attributes);
}

/** EPERM where another socket has the group, or without CAP_NET_ADMIN. */
export function encodeLogBind(group: number): NetlinkRequest {
  return encodeConfig(group, [encodeAttribute(NFULA_CFG_CMD, new Uint8Array([NFULNL_CFG_CMD_BIND]))]);
}

export function encodeLogUnbind(group: number): NetlinkRequest {
  return encodeConfig(group, [encodeAttribute(NFULA_CFG_CMD, new Uint8Array([NFULNL_CFG_CMD_UNBIND]))]);
}

/** `copyRange` bytes of each packet at most; 0 is the kernel's maximum. */
export function encodeLogMode(
  group: number,
  mode: { readonly copyMode: number; readonly copyRange: number },
): NetlinkRequest {
  const payload = concatBytes([u32Be(mode.copyRange), new Uint8Array([mode.copyMode, 0])]);
  return encodeConfig(group, [encodeAttribute(NFULA_CFG_MODE, payload)]);
}

/** The kernel keeps packets back until `packets` are there or `timeoutMs` (rounded up to 10 ms) is over; its own default is 1 s. */
export function encodeLogBatching(
  group: number,
  batching: { readonly packets: number; readonly timeoutMs: number },
): NetlinkRequest {
  return encodeConfig(group, [
    encodeAttribute(NFULA_CFG_QTHRESH, u32Be(batching.packets)),
    encodeAttribute(NFULA_CFG_TIMEOUT, u32Be(Math.ceil(batching.timeoutMs / 10))),
  ]);
}

/** Throws DecodeError. */
export function decodeLoggedPacket(message: NetlinkMessage): LoggedPacket {
  requireMessageType(message, [NFLOG_PACKET]);
  const { attributes, resourceId } = decodeNfnetlink(message);
  const header = requireAttribute(attributes, NFULA_PACKET_HDR, 'NFULA_PACKET_HDR');
  const prefix = attributes.get(NFULA_PREFIX);
  const number = (type: number): number | undefined => {
    const payload = attributes.get(type);
    return payload === undefined ? undefined : readU32Be(payload);
  };
  const ifIndexIn = number(NFULA_IFINDEX_INDEV);
  const ifIndexOut = number(NFULA_IFINDEX_OUTDEV);
  const uid = number(NFULA_UID);
  const gid = number(NFULA_GID);
  return {
    group: resourceId,
    hwProtocol: readU16Be(header),
    hook: readU8(header, 2),
    prefix: prefix === undefined ? '' : decodeString(prefix),
    mark: number(NFULA_MARK) ?? 0,
    ...(ifIndexIn !== undefined && { ifIndexIn }),
    ...(ifIndexOut !== undefined && { ifIndexOut }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    payload: attributes.get(NFULA_PAYLOAD) ?? new Uint8Array(0),
  };
}
