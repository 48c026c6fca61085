import { describe, expect, it } from 'vitest';
import { didYouMean, suggest } from './suggestion.ts';

describe('suggest()', () => {
  it.each([
    ['alow', 'allow'],
    ['dorp', 'drop'],
    ['Deny', 'deny'],
    ['reject', 'deny'],
    ['accept', 'allow'],
  ])('suggest() finds for %s the word %s', (word, meant) => {
    expect(suggest(word, ['allow', 'deny', 'drop'])).toBe(meant);
  });

  it('suggest() takes the nearest of several', () => {
    expect(suggest('avod', ['prefer', 'avoid', 'void'])).toBe('avoid');
  });

  it.each(['', 'x', 'zebra', 'a'.repeat(100_000)])('suggest() has nothing for a word that is near to none', (word) => {
    expect(suggest(word, ['allow', 'deny', 'drop', 'to'])).toBeUndefined();
  });

  it('suggest() uses a synonym only where our word is known', () => {
    expect(suggest('interface', ['device'])).toBe('device');
    expect(suggest('interface', ['exec'])).toBeUndefined();
  });
});

describe('didYouMean()', () => {
  it('didYouMean() is a question', () => {
    expect(didYouMean('alow', ['allow'])).toBe('did you mean "allow"?');
  });
});
