/** One direction of a conntrack entry: CTA_TUPLE_* (linux/netfilter/nfnetlink_conntrack.h; integers in network order). */
import type { Address } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_ICMP, IPPROTO_ICMPV6 } from '../net/protocol.ts';
import {
  type Attributes,
  decodeAddress,
  decodeAttributes,
  decodeNested,
  encodeAddress,
  encodeAttribute,
  encodeNested,
  requireAttribute,
} from './attribute.ts';
import { readU8, readU16Be, u8, u16Be } from './bytes.ts';
import { DecodeError } from './errors.ts';

const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_TUPLE_ZONE = 3;
const CTA_IP_V4_SRC = 1;
const CTA_IP_V4_DST = 2;
const CTA_IP_V6_SRC = 3;
const CTA_IP_V6_DST = 4;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_SRC_PORT = 2;
const CTA_PROTO_DST_PORT = 3;
/** Identifier, type, code, in this order. */
const CTA_PROTO_ICMP_ID = 4;
const CTA_PROTO_ICMPV6_ID = 7;

/** A flow as conntrack keys it; it does not know the device. */
export type ConntrackTuple = Omit<Flow, 'loopback'>;

/** The zone of this direction alone; undefined where there is none. Throws DecodeError. */
export function decodeTupleZone(payload: Uint8Array): number | undefined {
  const zone = decodeAttributes(payload).get(CTA_TUPLE_ZONE);
  return zone === undefined ? undefined : readU16Be(zone);
}

/** The payload of a CTA_TUPLE_*. Throws DecodeError. */
export function decodeTuple(payload: Uint8Array): ConntrackTuple {
  const attributes = decodeAttributes(payload);
  const ip = decodeNested(attributes, CTA_TUPLE_IP);
  const transport = decodeNested(attributes, CTA_TUPLE_PROTO);
  const source = ip.get(CTA_IP_V4_SRC) ?? requireAttribute(ip, CTA_IP_V6_SRC, 'CTA_IP_V6_SRC');
  const destination = ip.get(CTA_IP_V4_DST) ?? requireAttribute(ip, CTA_IP_V6_DST, 'CTA_IP_V6_DST');
  const sourcePort = transport.get(CTA_PROTO_SRC_PORT);
  const destinationPort = transport.get(CTA_PROTO_DST_PORT);
  const icmp = decodeIcmp(transport, CTA_PROTO_ICMP_ID) ?? decodeIcmp(transport, CTA_PROTO_ICMPV6_ID);
  return {
    protocol: readU8(requireAttribute(transport, CTA_PROTO_NUM, 'CTA_PROTO_NUM')),
    ...pair(decodeAddress(source), decodeAddress(destination)),
    ...(sourcePort !== undefined && { sourcePort: readU16Be(sourcePort) }),
    ...(destinationPort !== undefined && { destinationPort: readU16Be(destinationPort) }),
    ...(icmp !== undefined && { icmp }),
  };
}

function pair(source: Address, destination: Address): { readonly source: Address; readonly destination: Address } {
  if (source.family !== destination.family) throw new DecodeError('a tuple of two address families');
  return { source, destination };
}

function decodeIcmp(transport: Attributes, idType: number): ConntrackTuple['icmp'] {
  const identifier = transport.get(idType);
  const type = transport.get(idType + 1);
  const code = transport.get(idType + 2);
  if (type === undefined || code === undefined) return undefined;
  return {
    type: readU8(type),
    code: readU8(code),
    ...(identifier !== undefined && { identifier: readU16Be(identifier) }),
  };
}

/** `type`: CTA_TUPLE_ORIG or CTA_TUPLE_REPLY. `zone`: of this direction alone. */
export function encodeTuple(type: number, tuple: ConntrackTuple, zone?: number): Uint8Array {
  const [sourceType, destinationType] =
    tuple.source.family === 4 ? [CTA_IP_V4_SRC, CTA_IP_V4_DST] : [CTA_IP_V6_SRC, CTA_IP_V6_DST];
  return encodeNested(type, [
    encodeNested(CTA_TUPLE_IP, [
      encodeAddress(sourceType, tuple.source),
      encodeAddress(destinationType, tuple.destination),
    ]),
    encodeNested(CTA_TUPLE_PROTO, encodeTransport(tuple)),
    ...(zone === undefined ? [] : [encodeAttribute(CTA_TUPLE_ZONE, u16Be(zone))]),
  ]);
}

function encodeTransport({ protocol, sourcePort, destinationPort, icmp }: ConntrackTuple): readonly Uint8Array[] {
  const idType = icmpIdType(protocol);
  return [
    encodeAttribute(CTA_PROTO_NUM, u8(protocol)),
    ...(sourcePort === undefined ? [] : [encodeAttribute(CTA_PROTO_SRC_PORT, u16Be(sourcePort))]),
    ...(destinationPort === undefined ? [] : [encodeAttribute(CTA_PROTO_DST_PORT, u16Be(destinationPort))]),
    ...(icmp === undefined || idType === undefined ? [] : encodeIcmp(icmp, idType)),
  ];
}

function icmpIdType(protocol: number): number | undefined {
  if (protocol === IPPROTO_ICMP) return CTA_PROTO_ICMP_ID;
  return protocol === IPPROTO_ICMPV6 ? CTA_PROTO_ICMPV6_ID : undefined;
}

function encodeIcmp(icmp: NonNullable<ConntrackTuple['icmp']>, idType: number): readonly Uint8Array[] {
  return [
    encodeAttribute(idType, u16Be(icmp.identifier ?? 0)),
    encodeAttribute(idType + 1, u8(icmp.type)),
    encodeAttribute(idType + 2, u8(icmp.code)),
  ];
}
