import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { indentationHint } from './indentation-hint.ts';

describe('indentationHint()', () => {
  it.each([
    ['rules:\n  - to: a\n   do: allow\n', 'do', 'line 3 begins in column 4, and what stands above it in column 5'],
    ['rules:\n  - to: a\n     do: allow\n', 'do', 'line 3 begins in column 6, and what stands above it in column 5'],
    ['a: 1\n\n# text\n b: 2\n', 'b:', 'line 4 begins in column 2, and what stands above it in column 1'],
  ])('indentationHint() names both columns: %j', (text, where, hint) => {
    expect(indentationHint(text, text.indexOf(where))).toContain(hint);
  });

  it.each([
    ['a: 1\nb: 2\n', 'b'],
    ['rules:\n  - to: a\n    do: allow\n', 'do'],
    ['rules:\n  - to: a\notherwise: deny\n', 'otherwise'],
    ['b: 2\n', 'b'],
  ])('indentationHint() says nothing where lines stand as they may: %j', (text, where) => {
    expect(indentationHint(text, text.indexOf(where))).toBeUndefined();
  });

  it('indentationHint() takes any text and any place', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(' ', '\n', 'a', '-', '#', ':') }), fc.nat(40), (text, offset) => {
        const hint = indentationHint(text, offset);
        return hint === undefined || hint.startsWith('line ');
      }),
    );
  });
});
