/**
 * The look-up of one socket (`encodeSocketLookup`) as the packet path asks it: one request, filled in again and again, and
 * of the answer only what tells whose the socket is.
 */
import type { Address } from '../net/address.ts';
import { IPPROTO_UDP, IPPROTO_UDPLITE } from '../net/protocol.ts';
import { align4, attributeLengthAt, NLA_HDRLEN, NLA_TYPE_MASK } from './attribute.ts';
import { readU8, readU16, readU32, readU64 } from './bytes.ts';
import { DecodeError } from './errors.ts';
import { encodeMessage, messageLengthAt, messageTypeAt, NLMSG_HDRLEN } from './message.ts';
import {
  encodeSocketLookup,
  INET_DIAG_CGROUP_ID,
  INET_DIAG_MSG_BYTES,
  type InetSocket,
  SOCK_DIAG_BY_FAMILY,
  type SocketLookup,
} from './sock-diag.ts';
import { AF_INET, AF_INET6 } from './uapi.ts';

/** What tells whose a socket is. */
export type FoundSocket = Pick<InetSocket, 'state' | 'cookie' | 'uid' | 'inode' | 'cgroupId'>;

const SEQUENCE_OFFSET = 8;
const FAMILY_OFFSET = NLMSG_HDRLEN;
const PROTOCOL_OFFSET = FAMILY_OFFSET + 1;
/** After `struct inet_diag_req_v2`'s header of 8 bytes. */
const SOCKID_OFFSET = NLMSG_HDRLEN + 8;
const FIRST_ADDRESS = SOCKID_OFFSET + 4;
const SECOND_ADDRESS = SOCKID_OFFSET + 20;
const INTERFACE_OFFSET = SOCKID_OFFSET + 36;
const NOBODY: Address = { family: 4, value: 0n };
const LOW_64_BITS = 0xffff_ffff_ffff_ffffn;

/** Offsets in `struct inet_diag_msg`. */
const STATE = 1;
const COOKIE = 44;
const UID = 64;
const INODE = 68;

export class SocketLookupMessage {
  readonly #bytes = encodeMessage({
    ...encodeSocketLookup({ protocol: 0, local: NOBODY, localPort: 0, remote: NOBODY, remotePort: 0 }),
    sequence: 0,
  });
  readonly #view = new DataView(this.#bytes.buffer);

  /** The message to send; it is valid until the next call. Throws RangeError for addresses of two families. */
  set(lookup: SocketLookup, sequence: number): Uint8Array {
    const { protocol, local, localPort, remote, remotePort, interfaceIndex = 0 } = lookup;
    if (local.family !== remote.family) throw new RangeError('addresses of two families');
    const view = this.#view;
    view.setUint32(SEQUENCE_OFFSET, sequence, true);
    view.setUint8(FAMILY_OFFSET, local.family === 4 ? AF_INET : AF_INET6);
    view.setUint8(PROTOCOL_OFFSET, protocol);
    // As in `encodeSocketLookup`.
    const isSwapped = protocol === IPPROTO_UDP || protocol === IPPROTO_UDPLITE;
    view.setUint16(SOCKID_OFFSET, isSwapped ? remotePort : localPort);
    view.setUint16(SOCKID_OFFSET + 2, isSwapped ? localPort : remotePort);
    this.#setAddress(isSwapped ? SECOND_ADDRESS : FIRST_ADDRESS, local);
    this.#setAddress(isSwapped ? FIRST_ADDRESS : SECOND_ADDRESS, remote);
    view.setUint32(INTERFACE_OFFSET, interfaceIndex, true);
    return this.#bytes;
  }

  /** IPv4 stands in the first 4 of the 16 bytes. */
  #setAddress(offset: number, { family, value }: Address): void {
    if (family === 4) {
      this.#view.setUint32(offset, Number(value));
      this.#view.setUint32(offset + 4, 0);
      this.#view.setBigUint64(offset + 8, 0n);
    } else {
      this.#view.setBigUint64(offset, value >> 64n);
      this.#view.setBigUint64(offset + 8, value & LOW_64_BITS);
    }
  }
}

/** `undefined` where the first message of `bytes` is no socket, or answers another question. Throws DecodeError. */
export function decodeFoundSocket(bytes: Uint8Array, sequence: number): FoundSocket | undefined {
  const end = messageLengthAt(bytes, 0);
  if (messageTypeAt(bytes, 0) !== SOCK_DIAG_BY_FAMILY || readU32(bytes, SEQUENCE_OFFSET) !== sequence) return undefined;
  const body = NLMSG_HDRLEN;
  if (end < body + INET_DIAG_MSG_BYTES) throw new DecodeError('socket cut off');
  const cgroupId = cgroupIdIn(bytes, body + INET_DIAG_MSG_BYTES, end);
  return {
    state: readU8(bytes, body + STATE),
    cookie: readU64(bytes, body + COOKIE),
    uid: readU32(bytes, body + UID),
    inode: readU32(bytes, body + INODE),
    ...(cgroupId !== undefined && { cgroupId }),
  };
}

/** `nlmsg_seq` of the first message. */
export const sequenceOf = (bytes: Uint8Array): number => readU32(bytes, SEQUENCE_OFFSET);

function cgroupIdIn(bytes: Uint8Array, start: number, end: number): bigint | undefined {
  let cgroupId: bigint | undefined;
  for (let offset = start; offset < end; ) {
    const length = attributeLengthAt(bytes, offset, end);
    if ((readU16(bytes, offset + 2) & NLA_TYPE_MASK) === INET_DIAG_CGROUP_ID)
      cgroupId = readU64(bytes, offset + NLA_HDRLEN);
    offset += align4(length);
  }
  return cgroupId;
}
