import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  readBytes,
  readI32,
  readI32Be,
  readU8,
  readU16,
  readU16Be,
  readU32,
  readU32Be,
  readU64,
  readU64Be,
  u8,
  u16,
  u16Be,
  u32,
  u32Be,
  u64,
  u64Be,
} from './bytes.ts';
import { DecodeError } from './errors.ts';

describe('readers', () => {
  it('agree with DataView in both byte orders at every offset', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 16 }), fc.nat(8), (bytes, offset) => {
        fc.pre(offset + 8 <= bytes.length);
        const view = new DataView(bytes.buffer, bytes.byteOffset);
        expect(readU8(bytes, offset)).toBe(view.getUint8(offset));
        expect(readU16(bytes, offset)).toBe(view.getUint16(offset, true));
        expect(readU16Be(bytes, offset)).toBe(view.getUint16(offset));
        expect(readU32(bytes, offset)).toBe(view.getUint32(offset, true));
        expect(readU32Be(bytes, offset)).toBe(view.getUint32(offset));
        expect(readI32(bytes, offset)).toBe(view.getInt32(offset, true));
        expect(readI32Be(bytes, offset)).toBe(view.getInt32(offset));
        expect(readU64(bytes, offset)).toBe(view.getBigUint64(offset, true));
        expect(readU64Be(bytes, offset)).toBe(view.getBigUint64(offset));
      }),
    );
  });

  it('throw DecodeError one byte beyond the end', () => {
    const bytes = new Uint8Array(7);
    for (const read of [readU64, readU64Be]) expect(() => read(bytes)).toThrow(DecodeError);
    for (const read of [readU32, readU32Be, readI32]) expect(() => read(bytes, 4)).toThrow(DecodeError);
    for (const read of [readU16, readU16Be]) expect(() => read(bytes, 6)).toThrow(DecodeError);
    expect(() => readU8(bytes, 7)).toThrow(DecodeError);
    expect(() => readBytes(bytes, 4, 4)).toThrow(DecodeError);
  });
});

describe('writers', () => {
  it('are the inverse of the readers', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        const low = Number(value & 0xffff_ffffn);
        expect(readU64(u64(value))).toBe(value);
        expect(readU64Be(u64Be(value))).toBe(value);
        expect(readU32(u32(low))).toBe(low);
        expect(readU32Be(u32Be(low))).toBe(low);
        expect(readU16(u16(low & 0xffff))).toBe(low & 0xffff);
        expect(readU16Be(u16Be(low & 0xffff))).toBe(low & 0xffff);
        expect(readU8(u8(low & 0xff))).toBe(low & 0xff);
      }),
    );
  });

  it('refuse numbers that do not fit', () => {
    for (const write of [u8, u16, u16Be, u32, u32Be]) {
      for (const value of [-1, 1.5, 2 ** 32, Number.NaN]) expect(() => write(value)).toThrow(RangeError);
    }
    for (const value of [-1n, 2n ** 64n]) expect(() => u64(value)).toThrow(RangeError);
    expect(() => u16(2 ** 16)).toThrow(RangeError);
    expect(() => u8(2 ** 8)).toThrow(RangeError);
  });
});
