import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeUtf8 } from './utf8.ts';

const bytes = (...values: number[]) => Uint8Array.from(values);

describe('decodeUtf8()', () => {
  it('decodeUtf8() reads any text as the platform decoder does', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 50 }), (text) => {
        const encoded = new TextEncoder().encode(text);
        expect(decodeUtf8(encoded)).toEqual({ text: new TextDecoder().decode(encoded) });
      }),
    );
  });

  it('decodeUtf8() finds exactly the byte strings that the strict platform decoder refuses', () => {
    const near = fc.oneof(
      fc.constantFrom(0x41, 0x80, 0xbf, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0x9f, 0xa0, 0x8f, 0x90),
      fc.nat(255),
    );
    fc.assert(
      fc.property(fc.array(near, { maxLength: 8 }), (values) => {
        const strict = new TextDecoder('utf-8', { fatal: true });
        let isValid = true;
        try {
          strict.decode(Uint8Array.from(values));
        } catch {
          isValid = false;
        }
        expect(decodeUtf8(Uint8Array.from(values)).invalid === undefined).toBe(isValid);
      }),
      { numRuns: 5000 },
    );
  });

  it.each([
    ['an overlong form', [0xc0, 0x80]],
    ['an overlong three-byte form', [0xe0, 0x80, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['a value above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
    ['a sequence that ends early', [0xe2, 0x82]],
    ['a lone continuation byte', [0x80]],
  ])('decodeUtf8() refuses %s and says where it is', (_, values) => {
    expect(decodeUtf8(bytes(0x61, 0xc3, 0xa4, ...values)).invalid).toEqual({ offset: 2, byte: values[0] });
  });

  it('decodeUtf8() leaves out a byte order mark at the start only', () => {
    expect(decodeUtf8(bytes(0xef, 0xbb, 0xbf, 0x61, 0xef, 0xbb, 0xbf))).toEqual({ text: 'a\ufeff' });
  });

  it('decodeUtf8() joins chunks without losing a character', () => {
    const text = 'ä😀b'.repeat(10_000);
    expect(decodeUtf8(new TextEncoder().encode(text)).text).toBe(text);
  });
});
