import { describe, expect, it } from 'vitest';
import { lineAt, MAX_FILE_BYTES, positionAt, readSource, sourceText } from './source-text.ts';

const read = (text: string) => readSource('f', new TextEncoder().encode(text));

describe('positionAt()', () => {
  it('positionAt() agrees with a count of the lines before each offset', () => {
    const text = 'a\n\nbc\r\n\td\n';
    const source = sourceText('f', text);
    for (let offset = 0; offset <= text.length; offset += 1) {
      const before = text.slice(0, offset).split('\n');
      expect(positionAt(source, offset)).toEqual({ line: before.length, column: (before.at(-1) ?? '').length + 1 });
    }
  });
});

describe('lineAt()', () => {
  it('lineAt() leaves out the end of the line, LF or CR LF', () => {
    const source = sourceText('f', 'a\r\nbc\n\nd');
    expect([1, 2, 3, 4, 5].map((line) => lineAt(source, line))).toEqual(['a', 'bc', '', 'd', '']);
  });
});

describe('readSource()', () => {
  it.each([
    ['NUL', 'a\u0000b', 'U+0000'],
    ['escape', 'a\u001bb', 'U+001B'],
    ['a C1 control', 'a\u009bb', 'U+009B'],
    ['a CR that ends no line', 'a\rb', 'U+000D'],
    ['a second byte order mark', 'a\ufeffb', 'U+FEFF'],
    ['a mark that turns the text around', 'a\u202eb', 'U+202E'],
    ['a line separator', 'a\u2028b', 'U+2028'],
  ])('readSource() refuses %s and replaces it', (_, text, name) => {
    const { source, flaws } = read(text);
    expect(flaws).toMatchObject([{ code: 'control-character', from: 1, to: 2 }]);
    expect(flaws[0]?.message).toContain(name);
    expect(source.text).toBe('a\ufffdb');
  });

  it('readSource() accepts tabs, both ends of line and other scripts', () => {
    expect(read('a:\tb\r\nc: 日本語 😀 é\n').flaws).toEqual([]);
  });

  it('readSource() reads a file of the greatest size and refuses one byte more', () => {
    expect(read('#'.repeat(MAX_FILE_BYTES)).flaws).toEqual([]);
    expect(read('#'.repeat(MAX_FILE_BYTES + 1)).flaws).toMatchObject([{ code: 'file-too-large' }]);
  });
});
