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
      prints: new Map([
        ['chain a', '1,,,,'],
        ['chain b', '2,,,,'],
        ['rules a', '8,9'],
        ['rules b', ''],
      ]),
      sets: ['s', 'empty'],
      maps: ['v'],
    });
  });

  it.each(['', '{', '{}', '[]', 'null'])('parseTableListing() throws a KernelError for %j', (text) => {
    expect(() => parseTableListing(text)).toThrow(expect.objectContaining({ name: 'KernelError', operation: 'nft' }));
  });
});
