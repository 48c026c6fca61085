/**
 * Numbers of network namespaces over NETLINK_ROUTE (linux/net_namespace.h; `struct rtgenmsg` in linux/rtnetlink.h): each
 * namespace numbers the others that it has to do with, and devices name the one of their other end by that number.
 */
import { decodeAttributes, encodeU32, requireAttribute } from './attribute.ts';
import { concatBytes, readI32 } from './bytes.ts';
import type { NetlinkMessage, NetlinkRequest } from './message.ts';
import { requireMessageType } from './nfnetlink.ts';
import { NLM_F_REQUEST } from './uapi.ts';

const RTM_NEWNSID = 88;
const RTM_GETNSID = 90;

/** `struct rtgenmsg` is one byte, padded. */
const RTGENMSG_BYTES = 4;
const NETNSA_NSID = 1;
const NETNSA_PID = 2;
const NETNSA_NSID_NOT_ASSIGNED = -1;

/** Asks for the number of the namespace that a process is in. ESRCH where there is no such process. */
export function encodeNamespaceIdGet(pid: number): NetlinkRequest {
  const body = concatBytes([new Uint8Array(RTGENMSG_BYTES), encodeU32(NETNSA_PID, pid)]);
  return { type: RTM_GETNSID, flags: NLM_F_REQUEST, body };
}

/** `undefined`: this namespace has not numbered that one, so that no device here has its other end there. Throws DecodeError. */
export function decodeNamespaceId(message: NetlinkMessage): number | undefined {
  requireMessageType(message, [RTM_NEWNSID]);
  const id = readI32(requireAttribute(decodeAttributes(message.body, RTGENMSG_BYTES), NETNSA_NSID, 'NETNSA_NSID'));
  return id === NETNSA_NSID_NOT_ASSIGNED ? undefined : id;
}
