import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printable, printableJson, printableLines, printableSource } from './printable.ts';

/** Code points that a terminal acts on, or that end a line of a journal. */
const ACTING = ['\u001b', '\u0007', '\r', '\n', '\u007f', '\u009b', '\u009d', '\u2028', '\u202e', '\u2066', '\u200f'];
const acts = (text: string): boolean => ACTING.some((one) => text.includes(one));
const withActing = fc.array(fc.oneof(fc.constantFrom(...ACTING), fc.string())).map((parts) => parts.join(''));

describe('printable', () => {
  it('printable lets nothing act, and keeps the length', () => {
    fc.assert(
      fc.property(withActing, (text) => {
        const shown = printable(text);
        expect(acts(shown)).toBe(false);
        expect(shown).toHaveLength(text.length);
      }),
    );
  });

  it('printable leaves what people write as it is', () => {
    expect(printable('Café "Zum Löwen" 日本 *#')).toBe('Café "Zum Löwen" 日本 *#');
  });
});

describe('printableSource', () => {
  it('printableSource keeps tabs', () => {
    expect(printableSource('\tto: \u001b[2J')).toBe('\tto: \ufffd[2J');
  });
});

describe('printableLines', () => {
  it('printableLines keeps lines', () => {
    expect(printableLines('a\u001b\nb\r\n')).toBe('a\ufffd\nb\ufffd\n');
  });
});

describe('printableJson', () => {
  it('printableJson is JSON of the same value, in which nothing acts', () => {
    fc.assert(
      fc.property(withActing, (text) => {
        const json = printableJson(JSON.stringify({ name: text }));
        expect(acts(json)).toBe(false);
        expect(JSON.parse(json)).toEqual({ name: text });
      }),
    );
  });
});
