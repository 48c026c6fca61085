import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Family } from '../net/address.ts';
import { decodeAttributes, encodeAddress, encodeNested } from './attribute.ts';
import { decodeTuple, decodeTupleZone, encodeTuple } from './conntrack-tuple.ts';
import { DecodeError } from './errors.ts';

const byte = fc.integer({ min: 0, max: 255 });
const port = fc.integer({ min: 0, max: 65535 });
const address = (family: Family) =>
  fc.bigInt({ min: 0n, max: 2n ** (family === 4 ? 32n : 128n) - 1n }).map((value) => ({ family, value }));
const transport = fc.oneof(
  fc.record({ protocol: fc.constantFrom(6, 17, 132), sourcePort: port, destinationPort: port }),
  fc.record({
    protocol: fc.constantFrom(1, 58),
    icmp: fc.record({ type: byte, code: byte, identifier: port }),
  }),
  fc.record({ protocol: fc.constantFrom(47, 50) }),
);
const tuple = fc
  .constantFrom(4 as const, 6 as const)
  .chain((family) => fc.tuple(address(family), address(family), transport))
  .map(([source, destination, rest]) => ({ source, destination, ...rest }));

describe('encodeTuple()', () => {
  it('is the inverse of decodeTuple()', () => {
    fc.assert(
      fc.property(tuple, (original) => {
        const payload = decodeAttributes(encodeTuple(1, original)).get(1) ?? new Uint8Array(0);
        expect(decodeTuple(payload)).toEqual(original);
        expect(decodeTupleZone(payload)).toBeUndefined();
      }),
    );
  });

  it('keeps the zone of its direction', () => {
    fc.assert(
      fc.property(tuple, port, (original, zone) => {
        const payload = decodeAttributes(encodeTuple(1, original, zone)).get(1) ?? new Uint8Array(0);
        expect([decodeTuple(payload), decodeTupleZone(payload)]).toEqual([original, zone]);
      }),
    );
  });
});

describe('decodeTuple()', () => {
  it('refuses addresses of two families', () => {
    const v4 = encodeAddress(1, { family: 4, value: 1n });
    const v6 = encodeAddress(4, { family: 6, value: 1n });
    expect(() => decodeTuple(encodeNested(1, [v4, v6]))).toThrow(DecodeError);
  });
});
