import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../netlink/errors.ts';
import { Reader } from './decode-value.ts';
import { type Encodable, encodeValues } from './encode-value.ts';
import { parseSignature } from './type.ts';

const back = (signature: string, ...values: Encodable[]) =>
  new Reader(encodeValues(signature, values), true).values(signature);

describe('Reader', () => {
  it.each([
    ['ybnqiuh', [255, true, -2, 65535, -70000, 4294967295, 3]],
    ['xtd', [-(1n << 62n), (1n << 64n) - 1n, 0.25]],
    ['sog', ['Größe', '/a/b', 'a{sv}']],
    ['ayas', [new Uint8Array([1, 2, 3]), ['a', '', 'b']]],
    ['y(ysau)', [1, [2, 'three', [4, 5]]]],
    ['ya{sa{ut}}', [9, new Map([['k', new Map([[7, 8n]])]])]],
    ['aaay', [[[new Uint8Array([1])], []]]],
  ] satisfies [string, Encodable[]][])('Reader reads what encodeValues wrote of %s', (signature, values) => {
    expect(back(signature, ...values)).toEqual(values);
  });

  it('Reader gives a variant as its value', () => {
    const variant = new Map([['a', { signature: 'au', variant: [1, 2] }]]);
    expect(back('a{sv}', variant)).toEqual([new Map([['a', [1, 2]]])]);
  });

  it('Reader reads the other byte order', () => {
    const bytes = new Uint8Array([0, 0, 0, 2, 0x68, 0x69, 0, 0, 0, 0, 0, 5]);
    expect(new Reader(bytes, false).values('su')).toEqual(['hi', 5]);
  });

  it.each([
    ['padding that is not zero', 'yu', [1, 9, 0, 0, 1, 0, 0, 0]],
    ['a boolean of 2', 'b', [2, 0, 0, 0]],
    ['a text without its end', 's', [1, 0, 0, 0, 65, 66]],
    ['an array beyond the end', 'au', [8, 0, 0, 0, 1, 0, 0, 0]],
    ['an array that ends inside an element', 'au', [3, 0, 0, 0, 1, 0, 0, 0]],
    ['an array of 4 GB', 'ay', [255, 255, 255, 255]],
    ['a variant of two types', 'v', [2, 121, 121, 0, 1, 2]],
    ['a variant of none', 'v', [0, 0]],
  ])('Reader refuses %s', (_, signature, bytes) => {
    expect(() => new Reader(new Uint8Array(bytes), true).values(signature)).toThrow(DecodeError);
  });

  it('Reader refuses variants that are nested without end', () => {
    const nested = new Uint8Array(400).map((_, i) => [1, 118, 0][i % 3] ?? 0);
    expect(() => new Reader(nested, true).values('v')).toThrow('nested');
  });

  it('Reader gives only DecodeError for any bytes and any signature, and reads none twice', () => {
    const signature = fc.string({ maxLength: 12, unit: fc.constantFrom(...'ybnqiuxtdsogvah(){}') });
    fc.assert(
      fc.property(signature, fc.uint8Array({ maxLength: 100 }), fc.boolean(), (types, bytes, littleEndian) => {
        const reader = new Reader(bytes, littleEndian);
        try {
          reader.values(types);
        } catch (error) {
          if (!(error instanceof DecodeError)) throw error;
        }
        expect(reader.offset).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 5000 },
    );
  });
});

describe('parseSignature', () => {
  it.each(['', 'y', 'a{oa{sa{sv}}}', '(a(su)v)', 'aaaay'])('parseSignature takes %j', (signature) => {
    expect(() => parseSignature(signature)).not.toThrow();
  });

  it.each([
    'a',
    '(',
    '()',
    '(y',
    'y)',
    '{sv}',
    'a{vs}',
    'a{s}',
    'a{sv',
    'a{svv}',
    'z',
    'a'.repeat(40),
    'y'.repeat(256),
  ])('parseSignature refuses %j', (signature) => {
    expect(() => parseSignature(signature)).toThrow(DecodeError);
  });
});

describe('encodeValues', () => {
  it.each([
    ['s', [1]],
    ['s', ['a\0']],
    ['au', [1]],
    ['v', ['x']],
    ['(yy)', [[1]]],
    ['yy', [1]],
  ] satisfies [string, Encodable[]][])('encodeValues refuses %s of %j', (signature, values) => {
    expect(() => encodeValues(signature, values)).toThrow(TypeError);
  });
});
