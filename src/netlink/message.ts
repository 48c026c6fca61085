/**
 * Netlink messages: what stands around every family's body (linux/netlink.h, `struct nlmsghdr`).
 *
 *    0           4        6        8          12         16
 *    +-----------+--------+--------+----------+----------+------ - -
 *    | nlmsg_len | type   | flags  | sequence | port id  | body       all in host order; the next message
 *    +-----------+--------+--------+----------+----------+------ - -  starts at the next multiple of 4
 */
import { align4, decodeAttributes, decodeString } from './attribute.ts';
import { concatBytes, readI32, readU16, readU32, u16, u32 } from './bytes.ts';
import { DecodeError } from './errors.ts';
import { NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_DONE, NLMSG_ERROR } from './uapi.ts';

export const NLMSG_HDRLEN = 16;
const NLMSGERR_ATTR_MSG = 1;
const NLMSGERR_ATTR_OFFS = 2;
const ERRNO_BYTES = 4;

/** What an encoder of a family gives; whoever owns the socket numbers it. */
export interface NetlinkRequest {
  readonly type: number;
  readonly flags: number;
  readonly body: Uint8Array;
}

/** `body` is a view of the received bytes. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly portId: number;
  readonly body: Uint8Array;
}

/** How a request or a dump ended. `errno` 0 is success, else the positive number. `offset`: of the attribute to blame, in the request. */
export interface Acknowledgement {
  readonly errno: number;
  readonly message?: string;
  readonly offset?: number;
}

/** One message with port id 0 (the kernel fills it in), padded to a multiple of 4, so that messages can be joined. */
export function encodeMessage(message: NetlinkRequest & { readonly sequence: number }): Uint8Array {
  const length = NLMSG_HDRLEN + message.body.length;
  const header = [u32(length), u16(message.type), u16(message.flags), u32(message.sequence), u32(0)];
  return concatBytes([...header, message.body, new Uint8Array(align4(length) - length)]);
}

/**
 * `nlmsg_len` of the message at `offset`: at least NLMSG_HDRLEN and not beyond the end, so that a walk which adds `align4` of it ends.
 * Throws DecodeError.
 */
export function messageLengthAt(bytes: Uint8Array, offset: number): number {
  const length = readU32(bytes, offset);
  if (length < NLMSG_HDRLEN || offset + length > bytes.length) {
    throw new DecodeError(`message of ${length} bytes at offset ${offset}, ${bytes.length - offset} are left`);
  }
  return length;
}

export function messageTypeAt(bytes: Uint8Array, offset: number): number {
  return readU16(bytes, offset + 4);
}

/** All messages of one datagram. Throws DecodeError: also for a datagram cut off by a small buffer. */
export function decodeMessages(bytes: Uint8Array): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let offset = 0; offset < bytes.length; ) {
    const length = messageLengthAt(bytes, offset);
    messages.push({
      type: messageTypeAt(bytes, offset),
      flags: readU16(bytes, offset + 6),
      sequence: readU32(bytes, offset + 8),
      portId: readU32(bytes, offset + 12),
      body: bytes.subarray(offset + NLMSG_HDRLEN, offset + length),
    });
    offset += align4(length);
  }
  return messages;
}

/** NLMSG_ERROR, which also is the positive acknowledgement, or NLMSG_DONE, which ends a dump. Throws DecodeError. */
export function decodeAcknowledgement(message: NetlinkMessage): Acknowledgement {
  switch (message.type) {
    case NLMSG_ERROR:
      return acknowledgement(message, errorTextOffset(message));
    case NLMSG_DONE:
      // Some families end a dump with an empty body.
      return message.body.length === 0 ? { errno: 0 } : acknowledgement(message, ERRNO_BYTES);
    default:
      throw new DecodeError(`message type ${message.type} does not acknowledge`);
  }
}

/** The attributes follow the request's header, and its body too unless that was left out. */
function errorTextOffset(message: NetlinkMessage): number {
  const echoed = readU32(message.body, ERRNO_BYTES);
  if (echoed < NLMSG_HDRLEN) throw new DecodeError(`acknowledged request of ${echoed} bytes`);
  return ERRNO_BYTES + ((message.flags & NLM_F_CAPPED) !== 0 ? NLMSG_HDRLEN : align4(echoed));
}

function acknowledgement(message: NetlinkMessage, textOffset: number): Acknowledgement {
  const errno = 0 - readI32(message.body);
  if (errno < 0) throw new DecodeError(`error number ${errno}`);
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return { errno };
  const attributes = decodeAttributes(message.body, textOffset);
  const text = attributes.get(NLMSGERR_ATTR_MSG);
  const offset = attributes.get(NLMSGERR_ATTR_OFFS);
  return {
    errno,
    ...(text !== undefined && { message: decodeString(text) }),
    ...(offset !== undefined && { offset: readU32(offset) }),
  };
}
