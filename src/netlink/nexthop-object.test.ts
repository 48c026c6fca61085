import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import { encodeAddress, encodeAttribute, encodeU32 } from './attribute.ts';
import { concatBytes, u32 } from './bytes.ts';
import { decodeNexthopObject, nexthopsOf } from './nexthop-object.ts';

const gateway = parseAddress('fe80::1') ?? expect.fail('address');

function object(...attributes: readonly Uint8Array[]) {
  const body = concatBytes([new Uint8Array(8), ...attributes]);
  return decodeNexthopObject({ type: 104, flags: 2, sequence: 1, portId: 0, body });
}

const SINGLE = object(encodeU32(1, 5), encodeU32(5, 3), encodeAddress(6, gateway));
const OTHER = object(encodeU32(1, 6), encodeU32(5, 4));
const group = (...members: readonly (readonly [id: number, weight: number])[]): Uint8Array =>
  concatBytes(members.map(([id, weight]) => concatBytes([u32(id), new Uint8Array([weight - 1, 0, 0, 0])])));
const GROUP = object(encodeU32(1, 7), encodeAttribute(2, group([5, 1], [6, 9], [8, 1])));

describe('nexthopsOf', () => {
  it('nexthopsOf() finds the device and the gateway of a number, of either family', () => {
    expect(nexthopsOf([SINGLE, OTHER], 5)).toEqual([{ oif: 3, weight: 1, onlink: false, gateway }]);
    expect(nexthopsOf([SINGLE, OTHER], 6)).toEqual([{ oif: 4, weight: 1, onlink: false }]);
  });

  it('nexthopsOf() finds those of a group by their weights, and none of what is gone or refuses', () => {
    expect(nexthopsOf([SINGLE, OTHER, GROUP], 7)).toMatchObject([
      { oif: 3, weight: 1 },
      { oif: 4, weight: 9 },
    ]);
    expect(nexthopsOf([object(encodeU32(1, 9), encodeAttribute(4, new Uint8Array(0)))], 9)).toEqual([]);
    expect(nexthopsOf([], 5)).toEqual([]);
  });
});
