import { describe, expect, it } from 'vitest';
import { keySpanOf, MAX_DEPTH, parseDocument, spanOf, spanWithin } from './document.ts';
import { createReport } from './report.ts';
import { sourceText } from './source-text.ts';

function parse(text: string) {
  const source = sourceText('f', text);
  const report = createReport(source);
  const document = parseDocument(source, report);
  const codes = report.diagnostics().map(({ code }) => code);
  const at = (span: { from: number; to: number }) => text.slice(span.from, span.to);
  return { document, codes, at, diagnostics: report.diagnostics() };
}

describe('parseDocument()', () => {
  it('parseDocument() reads maps, lists and the scalars of YAML 1.2', () => {
    const { document, codes } = parse('a: [1, yes, true, ~, "x\\u0041", 1.5]\nb:\n  - {c: d}\n8: e\n');
    expect(codes).toEqual([]);
    expect(document.value).toEqual({ a: [1, 'yes', true, null, 'xA', 1.5], b: [{ c: 'd' }], 8: 'e' });
  });

  it.each(['', '\n\n', '# only a comment\n', '  # x\r\n'])('parseDocument() calls %j empty', (text) => {
    expect(parse(text)).toMatchObject({ document: { empty: true, value: undefined }, codes: [] });
  });

  it.each(['---\n', 'null\n', '{}'])('parseDocument() does not call %j empty', (text) => {
    expect(parse(text).document.empty).toBe(false);
  });

  it.each([
    ['an alias', 'a: *x', 'yaml-alias'],
    ['a star without quotes', 'to: [*:443]', 'yaml-alias'],
    ['an anchor', 'a: &x 1', 'yaml-anchor'],
    ['a tag', 'a: !!str 1', 'yaml-tag'],
    ['a tag of its own', 'a: !<tag:x> 1', 'yaml-tag'],
    ['a merge key', '<<: {a: 1}', 'yaml-merge-key'],
    ['a directive', '%YAML 1.1\n---\na: yes', 'yaml-directive'],
    ['several documents', 'a: 1\n---\na: 2', 'several-documents'],
    ['a repeated key', 'a: 1\nb: 2\na: 3', 'duplicate-key'],
    ['a repeated key in other quotes', 'a: 1\n"a": 3', 'duplicate-key'],
    ['a prototype', '__proto__: {a: 1}', 'unknown-key'],
    ['a key that is a list', '[a]: 1', 'yaml-syntax'],
    ['an open bracket', 'a: [1', 'yaml-syntax'],
    ['an open quote', 'a: "x', 'yaml-syntax'],
    ['a tab as indentation', 'a:\n\tb: 1', 'yaml-syntax'],
    ['an escaped NUL', 'a: "x\\0"', 'control-character'],
    ['an escaped terminal sequence', 'a: "\\e[31m"', 'control-character'],
    ['an escaped lone surrogate', 'a: "\\ud800"', 'control-character'],
  ])('parseDocument() refuses %s', (_, text, code) => {
    expect(parse(text).codes).toContain(code);
  });

  it('parseDocument() keeps the text of a star without quotes, and says how to write it', () => {
    const { document, diagnostics } = parse('to: *:443');
    expect(document.value).toEqual({ to: '*:443' });
    expect(diagnostics).toMatchObject([
      { code: 'yaml-alias', hint: 'text that starts with * stands in quotes: "*:443"' },
    ]);
  });

  it('parseDocument() keeps the first of two equal keys', () => {
    expect(parse('a: 1\na: 2').document.value).toEqual({ a: 1 });
  });

  it('parseDocument() accepts a star or an ampersand within text', () => {
    expect(parse('a: "*x"\nb: \'&y\'\nc: x *y &z !w\nd: |\n  *x\n').codes).toEqual([]);
  });

  const MIB = 1_048_576;
  it.each([
    ['open brackets', '['.repeat(MIB), 'too-deep'],
    ['dashes', '- '.repeat(MIB / 2), 'too-deep'],
    ['open maps', '{a: '.repeat(MIB / 4), 'too-deep'],
    ['question marks', '? '.repeat(MIB / 2), 'too-deep'],
    ['closed brackets', ']'.repeat(MIB), 'too-many-mistakes'],
    ['commas', `[${','.repeat(MIB - 2)}]`, 'too-long'],
    ['entries', `[${'a,'.repeat(MIB / 2 - 1)}]`, 'too-long'],
    ['keys', Array.from({ length: 60_000 }, (_, index) => `k${index}: 1`).join('\n'), 'too-long'],
    ['lines', '\n'.repeat(MIB), 'too-long'],
    ['directives', '%\n'.repeat(MIB / 2), 'too-many-mistakes'],
    ['tags', '!a '.repeat(MIB / 3), 'too-many-mistakes'],
    [
      'aliases that double',
      Array.from({ length: 99 }, (_, i) => `k${i}: &k${i} [*k${i - 1}, *k${i - 1}]`).join('\n'),
      'yaml-alias',
    ],
  ])('parseDocument() ends at a bound with a mebibyte of %s', (_, text, code) => {
    expect(parse(text).codes).toContain(code);
  });

  it('parseDocument() allows exactly the depth it says', () => {
    const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    const deepest = Array.from({ length: MAX_DEPTH + 2 }, (_, depth) => depth).findLast(
      (depth) => !parse(nested(depth)).codes.includes('too-deep'),
    );
    expect(deepest).toBeGreaterThanOrEqual(10);
    expect(deepest).toBeLessThanOrEqual(MAX_DEPTH);
  });
});

describe('spanOf()', () => {
  const text = 'a:\n  - b: "x y"\n    c: d\n';
  it('spanOf() finds a value, and the nearest thing around one that is not there', () => {
    const { document, at } = parse(text);
    expect(at(spanOf(document, ['a', 0, 'b']))).toBe('"x y"');
    expect(at(spanOf(document, ['a', 0]))).toBe('b: "x y"');
    expect(at(spanOf(document, ['a', 0, 'zz']))).toBe('b: "x y"');
    expect(at(spanOf(document, ['a', 9, 'b']))).toBe('- b: "x y"');
  });

  it('keySpanOf() finds the key', () => {
    const { document, at } = parse(text);
    expect(at(keySpanOf(document, ['a', 0, 'c']))).toBe('c');
  });

  it('spanWithin() finds a part of quoted and plain text, and all of escaped text', () => {
    const { document, at } = parse('a: "xy"\nb: xy\nc: "x\\x79"\n');
    expect(at(spanWithin(document, ['a'], { from: 1, to: 2 }))).toBe('y');
    expect(at(spanWithin(document, ['b'], { from: 1, to: 2 }))).toBe('y');
    expect(at(spanWithin(document, ['c'], { from: 1, to: 2 }))).toBe('"x\\x79"');
  });
});
