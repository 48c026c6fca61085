import { describe, expect, it } from 'vitest';
import { plainText } from './plain-text.ts';

describe('plainText()', () => {
  it('plainText() tells plain data apart, large numbers too', () => {
    const address = (value: bigint) => ({ resolvers: [{ family: 6, value }] });
    expect(plainText(address(1n << 100n))).toBe(plainText(address(1n << 100n)));
    expect(plainText(address(1n << 100n))).not.toBe(plainText(address((1n << 100n) + 1n)));
    expect(plainText({ a: 1 })).not.toBe(plainText({ a: 1n }));
    expect(plainText(undefined)).toBe('');
  });
});
