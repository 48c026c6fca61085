/**
 * What all netfilter families share (linux/netfilter/nfnetlink.h): the message type is subsystem << 8 | operation, and the body
 * starts with `struct nfgenmsg`: family u8, version u8 (0), res_id u16 in network order (the queue or group, else 0).
 */
import { type Attributes, decodeAttributes } from './attribute.ts';
import { concatBytes, readU8, readU16Be, u16Be } from './bytes.ts';
import { DecodeError } from './errors.ts';
import type { NetlinkMessage, NetlinkRequest } from './message.ts';

export const NFGENMSG_BYTES = 4;

export function nfnetlinkType(subsystem: number, operation: number): number {
  return (subsystem << 8) | operation;
}

export interface NfnetlinkHeader {
  readonly subsystem: number;
  readonly operation: number;
  readonly flags: number;
  readonly family: number;
  readonly resourceId: number;
}

/** `attributes` are encoded ones. */
export function encodeNfnetlink(header: NfnetlinkHeader, attributes: readonly Uint8Array[]): NetlinkRequest {
  const generic = concatBytes([new Uint8Array([header.family, 0]), u16Be(header.resourceId)]);
  return {
    type: nfnetlinkType(header.subsystem, header.operation),
    flags: header.flags,
    body: concatBytes([generic, ...attributes]),
  };
}

/** Throws DecodeError. */
export function decodeNfnetlink(message: NetlinkMessage): NfnetlinkHeader & { readonly attributes: Attributes } {
  return {
    subsystem: message.type >> 8,
    operation: message.type & 0xff,
    flags: message.flags,
    family: readU8(message.body),
    resourceId: readU16Be(message.body, 2),
    attributes: decodeAttributes(message.body, NFGENMSG_BYTES),
  };
}

/** Throws DecodeError for a message of another kind, so that a stray one is never read as what it is not. */
export function requireMessageType(message: NetlinkMessage, types: readonly number[]): void {
  if (!types.includes(message.type)) throw new DecodeError(`message type ${message.type}, not ${types.join(' or ')}`);
}
