/**
 * Integers in and out of byte arrays. Plain names are host order (little-endian, see `uapi.ts`), `Be` is network order.
 * Readers throw DecodeError beyond the end; writers throw RangeError for a number that does not fit.
 * No DataView on the reading side: creating one per attribute costs more than the shifts.
 */
import { DecodeError } from './errors.ts';

function check(bytes: Uint8Array, offset: number, width: number): void {
  if (offset + width > bytes.length) {
    throw new DecodeError(`${width} bytes wanted at offset ${offset}, ${bytes.length} there are`);
  }
}

export function readU8(bytes: Uint8Array, offset = 0): number {
  check(bytes, offset, 1);
  return bytes[offset] as number;
}

export function readU16(bytes: Uint8Array, offset = 0): number {
  check(bytes, offset, 2);
  return (bytes[offset] as number) | ((bytes[offset + 1] as number) << 8);
}

export function readU16Be(bytes: Uint8Array, offset = 0): number {
  check(bytes, offset, 2);
  return ((bytes[offset] as number) << 8) | (bytes[offset + 1] as number);
}

export function readU32(bytes: Uint8Array, offset = 0): number {
  check(bytes, offset, 4);
  const low = (bytes[offset] as number) | ((bytes[offset + 1] as number) << 8) | ((bytes[offset + 2] as number) << 16);
  return (low | ((bytes[offset + 3] as number) << 24)) >>> 0;
}

export function readU32Be(bytes: Uint8Array, offset = 0): number {
  check(bytes, offset, 4);
  const high = ((bytes[offset] as number) << 24) | ((bytes[offset + 1] as number) << 16);
  return (high | ((bytes[offset + 2] as number) << 8) | (bytes[offset + 3] as number)) >>> 0;
}

export function readI32(bytes: Uint8Array, offset = 0): number {
  return readU32(bytes, offset) | 0;
}

export function readI32Be(bytes: Uint8Array, offset = 0): number {
  return readU32Be(bytes, offset) | 0;
}

export function readU64(bytes: Uint8Array, offset = 0): bigint {
  return BigInt(readU32(bytes, offset)) | (BigInt(readU32(bytes, offset + 4)) << 32n);
}

export function readU64Be(bytes: Uint8Array, offset = 0): bigint {
  return (BigInt(readU32Be(bytes, offset)) << 32n) | BigInt(readU32Be(bytes, offset + 4));
}

/** A view of `length` bytes; throws DecodeError where they are not all there. */
export function readBytes(bytes: Uint8Array, offset: number, length: number): Uint8Array {
  check(bytes, offset, length);
  return bytes.subarray(offset, offset + length);
}

function checkInteger(value: number, limit: number): void {
  if (!Number.isInteger(value) || value < 0 || value >= limit)
    throw new RangeError(`${value} is not in 0..${limit - 1}`);
}

export function u8(value: number): Uint8Array {
  checkInteger(value, 2 ** 8);
  return new Uint8Array([value]);
}

export function u16(value: number): Uint8Array {
  checkInteger(value, 2 ** 16);
  return new Uint8Array([value & 0xff, value >>> 8]);
}

export function u16Be(value: number): Uint8Array {
  checkInteger(value, 2 ** 16);
  return new Uint8Array([value >>> 8, value & 0xff]);
}

export function u32(value: number): Uint8Array {
  checkInteger(value, 2 ** 32);
  return new Uint8Array([value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24]);
}

export function u32Be(value: number): Uint8Array {
  return u32(value).reverse();
}

export function u64(value: bigint): Uint8Array {
  if (value < 0n || value >= 1n << 64n) throw new RangeError(`${value} does not fit 64 bits`);
  return concatBytes([u32(Number(value & 0xffffffffn)), u32(Number(value >> 32n))]);
}

export function u64Be(value: bigint): Uint8Array {
  return u64(value).reverse();
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
