import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Address, formatPrefix, parseAddress, prefixContains, prefixRange } from '../net/address.ts';
import { GROUPS, groupPrefixes } from './groups.ts';

const groupsOf = (address: Address) =>
  GROUPS.filter((group) => groupPrefixes(group).some((prefix) => prefixContains(prefix, address)));

const address: fc.Arbitrary<Address> = fc.oneof(
  fc.bigInt(0n, 2n ** 32n - 1n).map((value): Address => ({ family: 4, value })),
  fc.bigInt(0n, 2n ** 128n - 1n).map((value): Address => ({ family: 6, value })),
);

describe('groupPrefixes()', () => {
  it('groupPrefixes() puts every address in exactly one group', () => {
    fc.assert(fc.property(address, (one) => groupsOf(one).length === 1));
  });

  it('groupPrefixes() puts the addresses around every border in exactly one group', () => {
    for (const { address: start, ...prefix } of GROUPS.flatMap((group) => groupPrefixes(group))) {
      const { first, last } = prefixRange({ address: start, ...prefix });
      const highest = start.family === 4 ? 2n ** 32n - 1n : 2n ** 128n - 1n;
      for (const value of [first - 1n, first, last, last + 1n]) {
        if (value >= 0n && value <= highest) expect(groupsOf({ family: start.family, value })).toHaveLength(1);
      }
    }
  });

  it.each([
    ['10.1.2.3', 'lan'],
    ['172.31.255.255', 'lan'],
    ['192.168.0.1', 'lan'],
    ['169.254.1.1', 'lan'],
    ['fd00::1', 'lan'],
    ['fe80::1', 'lan'],
    ['127.0.0.53', 'loopback'],
    ['::1', 'loopback'],
    ['224.0.0.251', 'multicast'],
    ['255.255.255.255', 'multicast'],
    ['ff02::fb', 'multicast'],
    ['1.1.1.1', 'internet'],
    ['172.32.0.0', 'internet'],
    ['100.64.0.1', 'internet'],
    ['255.255.255.254', 'internet'],
    ['2001:db8::1', 'internet'],
    ['::2', 'internet'],
  ])('groupPrefixes() has %s in %s', (text, group) => {
    const parsed = parseAddress(text);
    expect(parsed === undefined ? [] : groupsOf(parsed)).toEqual([group]);
  });

  it('groupPrefixes() has the internet as the fewest prefixes, in order', () => {
    const texts = groupPrefixes('internet').map(formatPrefix);
    expect(texts.slice(0, 4)).toEqual(['0.0.0.0/5', '8.0.0.0/7', '11.0.0.0/8', '12.0.0.0/6']);
    expect(new Set(texts).size).toBe(texts.length);
  });
});
