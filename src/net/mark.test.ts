import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatMark, withBits } from './mark.ts';

const mark = fc.oneof(fc.constantFrom(0, 0x7fffffff, 0x80000000, 0xffffffff), fc.nat(0xffffffff));

describe('withBits()', () => {
  it('withBits() is mark & ~mask | value in unsigned 32-bit arithmetic', () => {
    const property = fc.property(mark, mark, mark, (start, value, mask) => {
      const wide = (BigInt(start) & (0xffffffffn ^ BigInt(mask))) | BigInt(value);
      expect(withBits(start, value, mask)).toBe(Number(wide));
    });
    fc.assert(property);
  });

  it('withBits() sets the top bit as a positive number and keeps foreign bits', () => {
    expect(withBits(0x00ff1234, 0x82000007, 0xff00ffff)).toBe(0x82ff0007);
  });
});

describe('formatMark()', () => {
  it('formatMark() writes eight unsigned hexadecimal digits', () => {
    expect([0, 7, 0x80000000, 0xffffffff, -1].map(formatMark)).toEqual([
      '0x00000000',
      '0x00000007',
      '0x80000000',
      '0xffffffff',
      '0xffffffff',
    ]);
  });
});
