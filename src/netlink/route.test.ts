import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Address, type Family, formatAddress, formatPrefix, type Prefix } from '../net/address.ts';
import { capturedMessage } from './captured-messages.ts';
import { DecodeError } from './errors.ts';
import type { NetlinkRequest } from './message.ts';
import {
  decodeRoute,
  encodeRouteAdd,
  encodeRouteDelete,
  encodeRouteDump,
  type Route,
  RT_SCOPE_LINK,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_MAIN,
  RTM_NEWROUTE,
  RTN_THROW,
  RTN_UNICAST,
  RTN_UNREACHABLE,
} from './route.ts';

function decoded(request: NetlinkRequest): Route {
  return decodeRoute({ ...request, type: RTM_NEWROUTE, sequence: 0, portId: 0 });
}

const width = (family: Family): number => (family === 4 ? 32 : 128);
const u32Number = fc.integer({ min: 1, max: 0xffff_ffff });
const address = (family: Family): fc.Arbitrary<Address> =>
  fc.bigInt({ min: 0n, max: 2n ** BigInt(width(family)) - 1n }).map((value) => ({ family, value }));
const prefix = (family: Family, minLength = 0): fc.Arbitrary<Prefix> =>
  fc.tuple(address(family), fc.integer({ min: minLength, max: width(family) })).map(([{ value }, length]) => {
    const shift = BigInt(width(family) - length);
    return { address: { family, value: (value >> shift) << shift }, length };
  });
const anyAddress = fc.constantFrom(4 as const, 6 as const).chain(address);
const nexthop = fc.record(
  {
    gateway: anyAddress,
    oif: fc.integer({ min: 1, max: 0x7fff_ffff }),
    weight: fc.integer({ min: 1, max: 256 }),
    onlink: fc.boolean(),
  },
  { requiredKeys: ['oif', 'weight', 'onlink'] },
);
const u8Number = fc.integer({ min: 0, max: 255 });
const unicast = fc.constantFrom(4 as const, 6 as const).chain((family) =>
  fc.record(
    {
      family: fc.constant(family),
      table: u32Number,
      destination: prefix(family),
      source: prefix(family, 1),
      type: fc.constant(RTN_UNICAST),
      scope: u8Number,
      protocol: u8Number,
      metric: fc.integer({ min: 0, max: 0xffff_ffff }),
      gateway: anyAddress,
      oif: u32Number,
      onlink: fc.boolean(),
      preferredSource: address(family),
      nexthops: fc.array(nexthop, { minLength: 1, maxLength: 4 }),
    },
    { requiredKeys: ['family', 'table', 'destination', 'type', 'scope', 'protocol', 'metric', 'onlink'] },
  ),
);

describe('decodeRoute()', () => {
  it('reads a connected network', () => {
    const { destination, preferredSource, ...route } = decodeRoute(capturedMessage('routeConnected'));
    expect(formatPrefix(destination)).toBe('10.0.0.0/24');
    expect(preferredSource && formatAddress(preferredSource)).toBe('10.0.0.2');
    const kind = { type: RTN_UNICAST, scope: RT_SCOPE_LINK, protocol: 2, metric: 0, onlink: false };
    expect(route).toEqual({ family: 4, table: RT_TABLE_MAIN, oif: 3, ...kind });
  });

  it('reads every next hop of a multipath route', () => {
    const { nexthops, gateway, oif } = decodeRoute(capturedMessage('routeMultipath'));
    const shown = nexthops?.map((each) => [each.gateway && formatAddress(each.gateway), each.oif, each.weight]);
    expect(shown).toEqual([
      ['10.0.0.7', 3, 3],
      ['10.0.0.8', 3, 1],
    ]);
    expect([gateway, oif]).toEqual([undefined, undefined]);
  });

  it('reads an IPv6 gateway of an IPv4 route', () => {
    const { destination, gateway } = decodeRoute(capturedMessage('routeViaInet6'));
    expect(formatPrefix(destination)).toBe('198.51.100.0/24');
    expect(gateway && formatAddress(gateway)).toBe('2001:db8::9');
  });

  it('reads an IPv6 route', () => {
    const route = decodeRoute(capturedMessage('routeV6'));
    expect(formatPrefix(route.destination)).toBe('2001:db8::/64');
    expect(route).toMatchObject({ family: 6, metric: 256, oif: 3, scope: RT_SCOPE_UNIVERSE });
  });

  it('names no device for a route that refuses, though IPv6 sends one', () => {
    const oif = [8, 0, 4, 0, 1, 0, 0, 0];
    for (const type of [RTN_UNREACHABLE, RTN_THROW]) {
      const body = new Uint8Array([10, 0, 0, 0, 254, 2, 0, type, 0, 0, 0, 0, ...oif]);
      expect(decodeRoute({ type: RTM_NEWROUTE, flags: 0, sequence: 0, portId: 0, body }).oif).toBeUndefined();
    }
  });

  it('refuses a prefix longer than its family', () => {
    const body = new Uint8Array([2, 33, 0, 0, 254, 2, 0, 1, 0, 0, 0, 0, 8, 0, 1, 0, 10, 0, 0, 0]);
    expect(() => decodeRoute({ type: RTM_NEWROUTE, flags: 0, sequence: 0, portId: 0, body })).toThrow(DecodeError);
  });
});

describe('encodeRouteAdd()', () => {
  it('is the inverse of decodeRoute()', () => {
    fc.assert(
      fc.property(unicast, (route) => {
        expect(decoded(encodeRouteAdd(route, { ifExists: 'replace' }))).toEqual(route);
        expect(decoded(encodeRouteDelete(route))).toEqual(route);
      }),
    );
  });

  it('replaces or fails as asked', () => {
    const route = decodeRoute(capturedMessage('routeConnected'));
    expect(encodeRouteAdd(route, { ifExists: 'replace' })).toMatchObject({ type: 24, flags: 0x505 });
    expect(encodeRouteAdd(route, { ifExists: 'fail' })).toMatchObject({ type: 24, flags: 0x605 });
    expect(encodeRouteDelete(route)).toMatchObject({ type: 25, flags: 0x005 });
  });

  it.each(['routeConnected', 'routeMultipath', 'routeViaInet6', 'routeV6'] as const)(
    'says %s as the kernel does',
    (name) => {
      const route = decodeRoute(capturedMessage(name));
      expect(decoded(encodeRouteAdd(route, { ifExists: 'fail' }))).toEqual(route);
    },
  );
});

describe('encodeRouteDump()', () => {
  it('asks for one family', () => {
    expect(encodeRouteDump(6)).toEqual({
      type: 26,
      flags: 0x301,
      body: new Uint8Array([10, ...new Array(11).fill(0)]),
    });
  });
});
