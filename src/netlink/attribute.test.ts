import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  attributeList,
  decodeAddress,
  decodeAttributes,
  decodeNested,
  decodeString,
  encodeAttribute,
  encodeNested,
  encodeString,
  MAX_ATTRIBUTE_PAYLOAD,
  requireAttribute,
} from './attribute.ts';
import { concatBytes } from './bytes.ts';
import { DecodeError } from './errors.ts';

const attribute = fc.record({
  type: fc.integer({ min: 0, max: 0x3fff }),
  payload: fc.uint8Array({ maxLength: 20 }),
});

describe('attributeList()', () => {
  it('gives back what encodeAttribute() wrote, unknown and repeated numbers included', () => {
    fc.assert(
      fc.property(fc.array(attribute, { maxLength: 6 }), (attributes) => {
        const bytes = concatBytes(attributes.map(({ type, payload }) => encodeAttribute(type, payload)));
        expect(bytes.length % 4).toBe(0);
        expect(attributeList(bytes)).toEqual(attributes);
      }),
    );
  });

  it('refuses a length below the header, instead of standing still', () => {
    expect(() => attributeList(new Uint8Array([0, 0, 1, 0]))).toThrow(DecodeError);
    expect(() => attributeList(new Uint8Array([3, 0, 1, 0]))).toThrow(DecodeError);
  });

  it('refuses an attribute that reaches beyond the end', () => {
    expect(() => attributeList(new Uint8Array([9, 0, 1, 0, 1, 2, 3, 4]))).toThrow(DecodeError);
  });

  it('refuses a header that is cut off', () => {
    expect(() => attributeList(new Uint8Array([4, 0, 1]))).toThrow(DecodeError);
  });
});

describe('decodeAttributes()', () => {
  it('lets the last of a repeated number count', () => {
    const bytes = concatBytes([encodeAttribute(1, new Uint8Array([1])), encodeAttribute(1, new Uint8Array([2]))]);
    expect(decodeAttributes(bytes)).toEqual(new Map([[1, new Uint8Array([2])]]));
  });

  it('refuses bytes that end within the family’s header', () => {
    expect(() => decodeAttributes(new Uint8Array(3), 4)).toThrow(DecodeError);
  });
});

describe('decodeNested()', () => {
  it('reads a nest with its flag set and is empty for an absent one', () => {
    const attributes = decodeAttributes(encodeNested(3, [encodeAttribute(5, new Uint8Array([7]))]));
    expect(decodeNested(attributes, 3)).toEqual(new Map([[5, new Uint8Array([7])]]));
    expect(decodeNested(attributes, 4).size).toBe(0);
  });
});

describe('encodeAttribute()', () => {
  it('refuses a payload that its length field cannot count', () => {
    expect(encodeAttribute(1, new Uint8Array(MAX_ATTRIBUTE_PAYLOAD)).length).toBe(0x10000);
    expect(() => encodeAttribute(1, new Uint8Array(MAX_ATTRIBUTE_PAYLOAD + 1))).toThrow(RangeError);
  });
});

describe('encodeString()', () => {
  it('ends with a zero and refuses one inside', () => {
    expect([...encodeString(3, 'eth')]).toEqual([8, 0, 3, 0, 101, 116, 104, 0]);
    expect(() => encodeString(3, 'a\0b')).toThrow(RangeError);
  });
});

describe('decodeString()', () => {
  it('stops at the first zero and does without one', () => {
    expect(decodeString(new Uint8Array([97, 0, 98]))).toBe('a');
    expect(decodeString(new Uint8Array([97, 98]))).toBe('ab');
  });
});

describe('decodeAddress()', () => {
  it('refuses lengths that no family has', () => {
    expect(decodeAddress(new Uint8Array([10, 0, 0, 1]))).toEqual({ family: 4, value: 0x0a000001n });
    expect(() => decodeAddress(new Uint8Array(5))).toThrow(DecodeError);
  });
});

describe('requireAttribute()', () => {
  it('names what is missing', () => {
    expect(() => requireAttribute(new Map(), 1, 'IFLA_IFNAME')).toThrow('IFLA_IFNAME');
  });
});
