import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeUtf8, encodeUtf8 } from './text.ts';

describe('encodeUtf8()', () => {
  it('agrees with TextEncoder, lone surrogates included', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(encodeUtf8(text)).toEqual(new TextEncoder().encode(text));
      }),
    );
    expect(encodeUtf8('\ud800')).toEqual(new TextEncoder().encode('\ud800'));
  });
});

describe('decodeUtf8()', () => {
  it('is the inverse of encodeUtf8()', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(decodeUtf8(encodeUtf8(text))).toBe(text);
      }),
    );
  });

  it('never fails, and accepts exactly what a strict decoder accepts', () => {
    const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6 }), (bytes) => {
        const text = decodeUtf8(bytes);
        let expected: string | undefined;
        try {
          expected = strict.decode(bytes);
        } catch {
          expected = undefined;
        }
        if (expected === undefined) expect(text).toContain('\ufffd');
        else expect(text).toBe(expected);
      }),
    );
  });

  it('replaces overlong forms, surrogates and numbers beyond Unicode', () => {
    for (const bytes of [
      [0xc0, 0xaf],
      [0xed, 0xa0, 0x80],
      [0xf4, 0x90, 0x80, 0x80],
    ]) {
      expect(decodeUtf8(new Uint8Array(bytes))).toBe('\ufffd'.repeat(bytes.length));
    }
  });
});
