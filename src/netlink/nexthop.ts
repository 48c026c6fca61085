/** Where a route leads: gateway and device, once or, for multipath, several times (`struct rtnexthop` in linux/rtnetlink.h). */
import type { Address, Family } from '../net/address.ts';
import { addressToBytes } from '../net/address.ts';
import { decodeFamily, encodeFamily } from './address-family.ts';
import {
  type Attributes,
  align4,
  decodeAddress,
  decodeAttributes,
  encodeAddress,
  encodeAttribute,
} from './attribute.ts';
import { concatBytes, readBytes, readI32, readU8, readU16, u16, u32 } from './bytes.ts';
import { DecodeError } from './errors.ts';

const RTA_GATEWAY = 5;
const RTA_VIA = 18;
const RTNEXTHOP_BYTES = 8;
export const RTNH_F_ONLINK = 4;

/** `weight` from 1 to 256. `onlink`: the gateway counts as directly reachable whatever the device's addresses are. */
export interface Nexthop {
  readonly gateway?: Address;
  readonly oif: number;
  readonly weight: number;
  readonly onlink: boolean;
}

/** RTA_GATEWAY, or RTA_VIA for an IPv4 route by an IPv6 gateway. Throws DecodeError. */
export function decodeGateway(attributes: Attributes): Address | undefined {
  const gateway = attributes.get(RTA_GATEWAY);
  if (gateway !== undefined) return decodeAddress(gateway);
  const via = attributes.get(RTA_VIA);
  if (via === undefined) return undefined;
  const family = decodeFamily(readU16(via));
  const address = decodeAddress(via.subarray(2));
  if (address.family !== family) throw new DecodeError('RTA_VIA of two families');
  return address;
}

/** `family`: the route's. */
export function encodeGateway(family: Family, gateway: Address | undefined): readonly Uint8Array[] {
  if (gateway === undefined) return [];
  if (gateway.family === family) return [encodeAddress(RTA_GATEWAY, gateway)];
  return [encodeAttribute(RTA_VIA, concatBytes([u16(encodeFamily(gateway.family)), addressToBytes(gateway)]))];
}

/** The payload of RTA_MULTIPATH. Throws DecodeError. */
export function decodeNexthops(payload: Uint8Array): readonly Nexthop[] {
  const nexthops: Nexthop[] = [];
  for (let offset = 0; offset < payload.length; ) {
    const length = readU16(payload, offset);
    if (length < RTNEXTHOP_BYTES) throw new DecodeError(`next hop of ${length} bytes`);
    const bytes = readBytes(payload, offset, length);
    const gateway = decodeGateway(decodeAttributes(bytes, RTNEXTHOP_BYTES));
    nexthops.push({
      ...(gateway !== undefined && { gateway }),
      oif: readI32(bytes, 4),
      weight: readU8(bytes, 3) + 1,
      onlink: (readU8(bytes, 2) & RTNH_F_ONLINK) !== 0,
    });
    offset += align4(length);
  }
  return nexthops;
}

/** The payload of RTA_MULTIPATH. */
export function encodeNexthops(family: Family, nexthops: readonly Nexthop[]): Uint8Array {
  const encoded = nexthops.map((nexthop) => {
    const attributes = concatBytes(encodeGateway(family, nexthop.gateway));
    const flags = nexthop.onlink ? RTNH_F_ONLINK : 0;
    const header = [u16(RTNEXTHOP_BYTES + attributes.length), new Uint8Array([flags, nexthop.weight - 1])];
    return concatBytes([...header, u32(nexthop.oif), attributes]);
  });
  return concatBytes(encoded);
}
