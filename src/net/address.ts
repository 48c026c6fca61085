/**
 * IP addresses and prefixes as plain values that survive structured cloning.
 * Text forms: RFC 4291 section 2.2 in, RFC 5952 out.
 */
export type Family = 4 | 6;

/** An address. `value` is the number its bytes spell in network order: 32 bits for family 4, 128 for family 6. */
export interface Address {
  readonly family: Family;
  readonly value: bigint;
}

/** A prefix. Bits of `address` beyond `length` are zero. */
export interface Prefix {
  readonly address: Address;
  readonly length: number;
}

const V4_MAPPED_HIGH_BITS = 0xffffn;
const LOOPBACK_V4_HIGH_BYTE = 127n;

const DOTTED_QUAD = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;
const HEX_GROUP = /^[0-9a-f]{1,4}$/i;
const PREFIX_LENGTH = /^(0|[1-9]\d{0,2})$/;
/** No text of an address is longer: eight full groups, the last two as a dotted quad. */
const LONGEST_ADDRESS_TEXT = 45;

/** Number of bits of an address of this family. */
export function prefixWidth(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/**
 * Reads an address: a dotted quad of four decimal numbers without leading zeros, or RFC 4291 section 2.2 text.
 * Zone ids, brackets and surrounding space are not part of an address: undefined.
 */
export function parseAddress(text: string): Address | undefined {
  if (text.length > LONGEST_ADDRESS_TEXT) return undefined;
  const family = text.includes(':') ? 6 : 4;
  const value = family === 6 ? parseV6(text) : parseV4(text);
  return value === undefined ? undefined : { family, value };
}

function parseV4(text: string): bigint | undefined {
  const match = DOTTED_QUAD.exec(text);
  if (match === null) return undefined;
  let value = 0;
  for (const part of match.slice(1)) {
    const byte = Number(part);
    if (byte > 255) return undefined;
    value = value * 256 + byte;
  }
  return BigInt(value);
}

function parseV6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [headText = '', tailText] = halves;
  // Only the end of the whole text may be a dotted quad.
  const head = parseGroups(headText, tailText === undefined);
  const tail = tailText === undefined ? [] : parseGroups(tailText, true);
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (tailText === undefined ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  return groups.reduce((value, group) => (value << 16n) | BigInt(group), 0n);
}

function parseGroups(text: string, mayEndInDottedQuad: boolean): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (HEX_GROUP.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const quad = mayEndInDottedQuad && index === parts.length - 1 ? parseV4(part) : undefined;
    if (quad === undefined) return undefined;
    groups.push(Number(quad >> 16n), Number(quad & 0xffffn));
  }
  return groups;
}

/** RFC 5952 text; IPv4-mapped addresses keep their dotted quad (section 5). */
export function formatAddress(address: Address): string {
  if (address.family === 4) return formatV4(address.value);
  if (isV4Mapped(address)) return `::ffff:${formatV4(address.value & 0xffffffffn)}`;
  const groups = Array.from({ length: 8 }, (_, index) => Number((address.value >> BigInt(112 - 16 * index)) & 0xffffn));
  const zeros = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (zeros.length < 2) return hex.join(':');
  return `${hex.slice(0, zeros.start).join(':')}::${hex.slice(zeros.start + zeros.length).join(':')}`;
}

function formatV4(value: bigint): string {
  const bits = Number(value);
  return `${bits >>> 24}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${bits & 255}`;
}

function longestZeroRun(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (const [index, group] of groups.entries()) {
    if (group !== 0) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  }
  return best;
}

/** 4 or 16 bytes in network order. Throws RangeError for any other number of bytes. */
export function addressFromBytes(bytes: Uint8Array): Address {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length === 4) return { family: 4, value: BigInt(view.getUint32(0)) };
  if (bytes.length === 16) return { family: 6, value: (view.getBigUint64(0) << 64n) | view.getBigUint64(8) };
  throw new RangeError(`an address has 4 or 16 bytes, not ${bytes.length}`);
}

/** The 4 or 16 bytes in network order. */
export function addressToBytes(address: Address): Uint8Array {
  const bytes = new Uint8Array(prefixWidth(address.family) / 8);
  const view = new DataView(bytes.buffer);
  if (address.family === 4) {
    view.setUint32(0, Number(address.value));
  } else {
    view.setBigUint64(0, address.value >> 64n);
    view.setBigUint64(8, address.value);
  }
  return bytes;
}

/** Order for sorting: all of family 4 before family 6, then by value. */
export function compareAddress(a: Address, b: Address): -1 | 0 | 1 {
  if (a.family !== b.family) return a.family < b.family ? -1 : 1;
  if (a.value === b.value) return 0;
  return a.value < b.value ? -1 : 1;
}

/** Same family and value: a mapped IPv6 address is not equal to its IPv4 address. */
export function equalAddress(a: Address, b: Address): boolean {
  return a.family === b.family && a.value === b.value;
}

function isV4Mapped(address: Address): boolean {
  return address.family === 6 && address.value >> 32n === V4_MAPPED_HIGH_BITS;
}

/** The IPv4 address inside `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2); any other address as it is. */
export function unmapAddress(address: Address): Address {
  return isV4Mapped(address) ? { family: 4, value: address.value & 0xffffffffn } : address;
}

/** 127.0.0.0/8, ::1 and mapped 127.0.0.0/8. */
export function isLoopbackAddress(address: Address): boolean {
  const { family, value } = unmapAddress(address);
  return family === 4 ? value >> 24n === LOOPBACK_V4_HIGH_BYTE : value === 1n;
}

/** `ADDRESS/LENGTH`, or a bare address as its full-length prefix. Host bits are cleared. */
export function parsePrefix(text: string): Prefix | undefined {
  const written = parseWithLength(text);
  if (written === undefined) return undefined;
  const { address, length } = written;
  return { address: { family: address.family, value: address.value & ~hostMask(address.family, length) }, length };
}

/** True where `parsePrefix` had to clear bits. False also for text that is no prefix. */
export function prefixHasHostBits(text: string): boolean {
  const written = parseWithLength(text);
  return written !== undefined && (written.address.value & hostMask(written.address.family, written.length)) !== 0n;
}

function parseWithLength(text: string): Prefix | undefined {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const width = prefixWidth(address.family);
  if (slash < 0) return { address, length: width };
  const lengthText = text.slice(slash + 1);
  const length = Number(lengthText);
  return PREFIX_LENGTH.test(lengthText) && length <= width ? { address, length } : undefined;
}

function hostMask(family: Family, length: number): bigint {
  return (1n << BigInt(prefixWidth(family) - length)) - 1n;
}

/** `ADDRESS/LENGTH`; a full-length prefix prints as its address. */
export function formatPrefix(prefix: Prefix): string {
  const address = formatAddress(prefix.address);
  return prefix.length === prefixWidth(prefix.address.family) ? address : `${address}/${prefix.length}`;
}

/** False across families. */
export function prefixContains(prefix: Prefix, address: Address): boolean {
  if (prefix.address.family !== address.family) return false;
  const hostBits = BigInt(prefixWidth(address.family) - prefix.length);
  return prefix.address.value >> hostBits === address.value >> hostBits;
}

/** First and last address of a prefix, as `Address.value` of the prefix's family. */
export function prefixRange(prefix: Prefix): { readonly first: bigint; readonly last: bigint } {
  const first = prefix.address.value;
  return { first, last: first | hostMask(prefix.address.family, prefix.length) };
}

/** Order for sorting: by address, then the shorter (wider) prefix first. */
export function comparePrefix(a: Prefix, b: Prefix): -1 | 0 | 1 {
  const byAddress = compareAddress(a.address, b.address);
  if (byAddress !== 0 || a.length === b.length) return byAddress;
  return a.length < b.length ? -1 : 1;
}
