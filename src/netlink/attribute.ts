/**
 * Netlink attributes: type, length, value, padded to 4 bytes (linux/netlink.h, `struct nlattr`).
 *
 *    0        2        4                      nla_len
 *    +--------+--------+--------------------+ - - - +
 *    | nla_len| type   | payload            | pad   |     both fields in host order; nla_len counts the header
 *    +--------+--------+--------------------+ - - - +     but not the padding
 */
import { type Address, addressFromBytes, addressToBytes } from '../net/address.ts';
import { concatBytes, readBytes, readU16, u16, u32, u32Be } from './bytes.ts';
import { DecodeError } from './errors.ts';
import { decodeUtf8, encodeUtf8 } from './text.ts';

export const NLA_F_NESTED = 0x8000;
/** Without NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
export const NLA_TYPE_MASK = 0x3fff;
export const NLA_HDRLEN = 4;
/** The largest payload that `nla_len`, 16 bits, can count. */
export const MAX_ATTRIBUTE_PAYLOAD: number = 0xffff - NLA_HDRLEN;

/** Payloads by attribute number; all numbers are kept, known or not. Where one is repeated the last counts, as in the kernel. */
export type Attributes = ReadonlyMap<number, Uint8Array>;

export function align4(length: number): number {
  return (length + 3) & ~3;
}

/**
 * `nla_len` of the attribute at `offset`, at least 4 and not beyond `end`; so a walk that adds `align4` of it ends.
 * Throws DecodeError.
 */
export function attributeLengthAt(bytes: Uint8Array, offset: number, end: number): number {
  if (offset + NLA_HDRLEN > end) throw new DecodeError(`attribute header cut off at offset ${offset}`);
  const length = readU16(bytes, offset);
  if (length < NLA_HDRLEN || offset + length > end) {
    throw new DecodeError(`attribute of ${length} bytes at offset ${offset}, ${end - offset} are left`);
  }
  return length;
}

/** In order, repeated ones too. Payloads are views. Throws DecodeError. */
export function attributeList(bytes: Uint8Array, start = 0): { readonly type: number; readonly payload: Uint8Array }[] {
  const list: { readonly type: number; readonly payload: Uint8Array }[] = [];
  for (let offset = start; offset < bytes.length; ) {
    const length = attributeLengthAt(bytes, offset, bytes.length);
    const type = readU16(bytes, offset + 2) & NLA_TYPE_MASK;
    list.push({ type, payload: bytes.subarray(offset + NLA_HDRLEN, offset + length) });
    offset += align4(length);
  }
  return list;
}

/** `start`: where the attributes begin, after the family's header. Throws DecodeError, also where the header is cut off. */
export function decodeAttributes(bytes: Uint8Array, start = 0): Attributes {
  readBytes(bytes, 0, start);
  const attributes = new Map<number, Uint8Array>();
  for (const { type, payload } of attributeList(bytes, start)) attributes.set(type, payload);
  return attributes;
}

/** A nest that may be absent: then it has no attributes. */
export function decodeNested(attributes: Attributes, type: number): Attributes {
  const payload = attributes.get(type);
  return payload === undefined ? new Map() : decodeAttributes(payload);
}

/** Throws DecodeError where the attribute is absent. */
export function requireAttribute(attributes: Attributes, type: number, name: string): Uint8Array {
  const payload = attributes.get(type);
  if (payload === undefined) throw new DecodeError(`${name} is missing`);
  return payload;
}

/** A C string, with or without its final zero. */
export function decodeString(payload: Uint8Array): string {
  const zero = payload.indexOf(0);
  return decodeUtf8(zero === -1 ? payload : payload.subarray(0, zero));
}

/** 4 or 16 bytes in network order. Throws DecodeError. */
export function decodeAddress(payload: Uint8Array): Address {
  if (payload.length !== 4 && payload.length !== 16) throw new DecodeError(`an address of ${payload.length} bytes`);
  return addressFromBytes(payload);
}

/** Header, payload, padding. Throws RangeError for a payload beyond MAX_ATTRIBUTE_PAYLOAD. */
export function encodeAttribute(type: number, payload: Uint8Array): Uint8Array {
  if (payload.length > MAX_ATTRIBUTE_PAYLOAD) throw new RangeError(`attribute payload of ${payload.length} bytes`);
  const bytes = new Uint8Array(align4(NLA_HDRLEN + payload.length));
  bytes.set(u16(NLA_HDRLEN + payload.length), 0);
  bytes.set(u16(type), 2);
  bytes.set(payload, NLA_HDRLEN);
  return bytes;
}

/** `attributes` are encoded ones. */
export function encodeNested(type: number, attributes: readonly Uint8Array[]): Uint8Array {
  return encodeAttribute(type | NLA_F_NESTED, concatBytes(attributes));
}

/** With the final zero. Throws RangeError for a text that has one inside. */
export function encodeString(type: number, text: string): Uint8Array {
  if (text.includes('\0')) throw new RangeError('a C string cannot hold a zero');
  return encodeAttribute(type, concatBytes([encodeUtf8(text), new Uint8Array(1)]));
}

export function encodeU32(type: number, value: number): Uint8Array {
  return encodeAttribute(type, u32(value));
}

export function encodeU32Be(type: number, value: number): Uint8Array {
  return encodeAttribute(type, u32Be(value));
}

export function encodeAddress(type: number, address: Address): Uint8Array {
  return encodeAttribute(type, addressToBytes(address));
}
