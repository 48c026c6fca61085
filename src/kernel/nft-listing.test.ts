import { describe, expect, it } from 'vitest';
import { parseTableListing } from './nft-listing.ts';

/** As nft 1.0.6 prints it, shortened. */
const LISTING = JSON.stringify({
  nftables: [
    { metainfo: { version: '1.0.6' } },
    { table: { family: 'inet', name: 'y', handle: 1 } },
    {
      set: {
        family: 'inet',
        name: 's',
        table: 'y',
        elem: [{ elem: { val: '10.0.0.1', timeout: 10, expires: 9 } }, { concat: ['10.0.0.2', 6] }],
      },
    },
    { set: { family: 'inet', name: 'empty', table: 'y' } },
    { map: { family: 'inet', name: 'v', table: 'y', map: 'verdict', elem: [[1, { accept: null }]] } },
    { chain: { family: 'inet', table: 'y', name: 'a', handle: 1 } },
    { chain: { family: 'inet', table: 'y', name: 'b', handle: 2 } },
    { rule: { family: 'inet', table: 'y', chain: 'a', handle: 8, expr: [] } },
    { rule: { family: 'inet', table: 'y', chain: 'a', handle: 9, expr: [] } },
  ],
});

describe('parseTableListing', () => {
  it('parseTableListing() counts rules and names sets and maps', () => {
    expect(parseTableListing(LISTING)).toEqual({
      chains: new Map([
        ['a', 2],
        ['b', 0],
      ]),
      prints: expect.any(Map),
      sets: ['s', 'empty'],
      maps: ['v'],
    });
  });

  it.each([
    ['another handle', '"handle":9', '"handle":10'],
    ['another rule with the same handle', '"handle":9,"expr":[]', '"handle":9,"expr":[{"accept":null}]'],
  ])('parseTableListing() has another print of the rules for %s, and of nothing else', (_what, from, to) => {
    const [before, after] = [LISTING, LISTING.replace(from, to)].map((text) => parseTableListing(text).prints);
    expect([...(after ?? [])].filter(([name, print]) => before?.get(name) !== print).map(([name]) => name)).toEqual([
      'rules a',
    ]);
  });

  it('parseTableListing() has the same print whatever has been counted', () => {
    const counted = (packets: number): string =>
      LISTING.replace('"handle":9,"expr":[]', `"handle":9,"expr":[{"counter":{"packets":${packets},"bytes":1}}]`);
    expect(parseTableListing(counted(1)).prints).toEqual(parseTableListing(counted(2)).prints);
    expect(parseTableListing(counted(1)).prints).not.toEqual(parseTableListing(LISTING).prints);
  });

  it.each(['', '{', '{}', '[]', 'null'])('parseTableListing() throws a KernelError for %j', (text) => {
    expect(() => parseTableListing(text)).toThrow(expect.objectContaining({ name: 'KernelError', operation: 'nft' }));
  });
});
