/**
 * Packet bytes, from the IP header on, to the flow they belong to, and back.
 * RFC 791 (IPv4), RFC 8200 (IPv6 and its extension headers), RFC 4302 (AH), RFC 792 and RFC 4443 (ICMP).
 */
import { type Address, addressFromBytes, addressToBytes } from './address.ts';
import { internetChecksum } from './checksum.ts';
import { type Flow, flowKey } from './flow.ts';
import {
  IPPROTO_AH,
  IPPROTO_DSTOPTS,
  IPPROTO_FRAGMENT,
  IPPROTO_HOPOPTS,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_ROUTING,
  IPPROTO_TCP,
  protocolHasPorts,
} from './protocol.ts';
import { encodeTransportHeader, TCP_FLAG_SYN, TCP_FLAGS_OFFSET, TCP_FLAGS_OPENING } from './transport-header.ts';

/** RFC 8200 section 4.1 lists at most 7 in a packet; more is an attempt to hide the transport header. */
const MAX_EXTENSION_HEADERS = 8;

const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const FRAGMENT_HEADER_BYTES = 8;
const HOP_LIMIT = 64;
const IPV4_FRAGMENT_OFFSET_MASK = 0x1fff;
const IPV6_FRAGMENT_OFFSET_MASK = 0xfff8;

const ICMP_ECHOREPLY = 0;
const ICMP_ECHO = 8;
const ICMPV6_ECHO_REQUEST = 128;
const ICMPV6_ECHO_REPLY = 129;

/** The bytes are not the start of an IP packet, or end before the flow is known. */
export class PacketError extends Error {
  override readonly name = 'PacketError';
}

interface NetworkHeader {
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: number;
  /** Where the transport header starts; absent in later fragments, which have none. */
  readonly transportOffset?: number;
}

/**
 * Reads a packet or the copied first bytes of one.
 * Later fragments have neither ports nor `icmp`; IPv6 extension headers, AH included, are skipped.
 * `loopback` cannot be seen in the bytes: the caller knows the device. Throws PacketError.
 */
export function decodePacket(bytes: Uint8Array, context: { readonly loopback: boolean } = { loopback: false }): Flow {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  requireBytes(view, 0, 1);
  const version = view.getUint8(0) >> 4;
  if (version !== 4 && version !== 6) throw new PacketError(`IP version ${version}`);
  requireBytes(view, 0, version === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES);
  const packet = withoutPadding(view, version);
  const header = version === 4 ? decodeV4(packet) : decodeV6(packet);
  const { source, destination, protocol } = header;
  const transport = header.transportOffset === undefined ? {} : decodeTransport(packet, header, header.transportOffset);
  return { protocol, source, destination, ...transport, loopback: context.loopback };
}

function requireBytes(view: DataView, offset: number, count: number): void {
  if (offset + count > view.byteLength) {
    throw new PacketError(`packet ends at byte ${view.byteLength}, needs ${offset + count}`);
  }
}

/** A length field of 0 means "beyond 16 bits": jumbograms, and segments of TCP before segmentation (BIG TCP). */
function withoutPadding(view: DataView, version: 4 | 6): DataView {
  const field = view.getUint16(version === 4 ? 2 : 4);
  if (field === 0) return view;
  const packetBytes = version === 4 ? field : IPV6_HEADER_BYTES + field;
  return new DataView(view.buffer, view.byteOffset, Math.min(view.byteLength, packetBytes));
}

function addressAt(view: DataView, offset: number, length: 4 | 16): Address {
  return addressFromBytes(new Uint8Array(view.buffer, view.byteOffset + offset, length));
}

function decodeV4(view: DataView): NetworkHeader {
  requireBytes(view, 0, IPV4_HEADER_BYTES);
  const headerBytes = (view.getUint8(0) & 0xf) * 4;
  if (headerBytes < IPV4_HEADER_BYTES) throw new PacketError(`IPv4 header of ${headerBytes} bytes`);
  const source = addressAt(view, 12, 4);
  const destination = addressAt(view, 16, 4);
  const protocol = view.getUint8(9);
  const isLaterFragment = (view.getUint16(6) & IPV4_FRAGMENT_OFFSET_MASK) !== 0;
  if (isLaterFragment) return { source, destination, protocol };
  return { source, destination, protocol, transportOffset: headerBytes };
}

function decodeV6(view: DataView): NetworkHeader {
  const source = addressAt(view, 8, 16);
  const destination = addressAt(view, 24, 16);
  let protocol = view.getUint8(6);
  let offset = IPV6_HEADER_BYTES;
  for (let count = 0; isExtensionHeader(protocol); count++) {
    if (count === MAX_EXTENSION_HEADERS) throw new PacketError(`more than ${count} IPv6 extension headers`);
    requireBytes(view, offset, 4);
    const isFragment = protocol === IPPROTO_FRAGMENT;
    const headerBytes = extensionHeaderBytes(protocol, view.getUint8(offset + 1));
    protocol = view.getUint8(offset);
    if (isFragment && (view.getUint16(offset + 2) & IPV6_FRAGMENT_OFFSET_MASK) !== 0) {
      return { source, destination, protocol };
    }
    offset += headerBytes;
  }
  return { source, destination, protocol, transportOffset: offset };
}

function isExtensionHeader(protocol: number): boolean {
  switch (protocol) {
    case IPPROTO_HOPOPTS:
    case IPPROTO_ROUTING:
    case IPPROTO_FRAGMENT:
    case IPPROTO_DSTOPTS:
    case IPPROTO_AH:
      return true;
    default:
      return false;
  }
}

function extensionHeaderBytes(protocol: number, lengthField: number): number {
  if (protocol === IPPROTO_FRAGMENT) return FRAGMENT_HEADER_BYTES;
  return protocol === IPPROTO_AH ? (lengthField + 2) * 4 : (lengthField + 1) * 8;
}

type Transport = Pick<Flow, 'sourcePort' | 'destinationPort' | 'icmp' | 'midstream'>;

function decodeTransport(view: DataView, header: NetworkHeader, offset: number): Transport {
  if (protocolHasPorts(header.protocol)) {
    requireBytes(view, offset, 4);
    const ports = { sourcePort: view.getUint16(offset), destinationPort: view.getUint16(offset + 2) };
    return header.protocol === IPPROTO_TCP && isMidstream(view, offset) ? { ...ports, midstream: true } : ports;
  }
  if (!isIcmpOf(header)) return {};
  requireBytes(view, offset, 4);
  const type = view.getUint8(offset);
  const code = view.getUint8(offset + 1);
  if (!isEcho(header.protocol, type)) return { icmp: { type, code } };
  requireBytes(view, offset, 6);
  return { icmp: { type, code, identifier: view.getUint16(offset + 4) } };
}

/** Of FIN, SYN, RST and ACK an opening segment has SYN alone (RFC 9293 section 3.5). */
function isMidstream(view: DataView, offset: number): boolean {
  const flags = offset + TCP_FLAGS_OFFSET;
  return flags < view.byteLength && (view.getUint8(flags) & TCP_FLAGS_OPENING) !== TCP_FLAG_SYN;
}

function isIcmpOf({ protocol, destination }: Pick<Flow, 'protocol' | 'destination'>): boolean {
  return protocol === (destination.family === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

function isEcho(protocol: number, type: number): boolean {
  return protocol === IPPROTO_ICMP
    ? type === ICMP_ECHO || type === ICMP_ECHOREPLY
    : type === ICMPV6_ECHO_REQUEST || type === ICMPV6_ECHO_REPLY;
}

/**
 * The shortest packet that `decodePacket` reads as this flow, with right lengths and checksums: a TCP SYN, an empty
 * datagram, a DCCP request, an ICMP header. Where a protocol has ports (or is ICMP) and the flow does not, a later fragment.
 * Throws RangeError for a flow that no packet shows: mixed families, one port only, an echo without identifier.
 */
export function encodePacket(flow: Flow): Uint8Array {
  if (flow.source.family !== flow.destination.family) throw new RangeError('source and destination differ in family');
  const addresses = new Uint8Array([...addressToBytes(flow.source), ...addressToBytes(flow.destination)]);
  const isFragment = isLaterFragment(flow);
  const payload = isFragment ? new Uint8Array(8) : encodeTransportHeader(flow, addresses);
  const header = flow.source.family === 4 ? encodeV4 : encodeV6;
  const packet = new Uint8Array([...header({ flow, addresses, isFragment, payloadBytes: payload.length }), ...payload]);
  // Fields too large for their bits, and combinations that have no place in a packet, all end as another flow.
  if (!showsFlow(packet, flow)) throw new RangeError('no packet shows this flow');
  return packet;
}

function showsFlow(packet: Uint8Array, flow: Flow): boolean {
  try {
    return flowKey(decodePacket(packet, flow)) === flowKey(flow);
  } catch (error) {
    if (error instanceof PacketError) return false;
    throw error;
  }
}

function isLaterFragment(flow: Flow): boolean {
  if (flow.sourcePort !== undefined || flow.destinationPort !== undefined || flow.icmp !== undefined) return false;
  const isSkipped = flow.source.family === 6 && isExtensionHeader(flow.protocol);
  return protocolHasPorts(flow.protocol) || isIcmpOf(flow) || isSkipped;
}

interface HeaderParts {
  readonly flow: Flow;
  readonly addresses: Uint8Array;
  readonly isFragment: boolean;
  readonly payloadBytes: number;
}

function encodeV4({ flow, addresses, isFragment, payloadBytes }: HeaderParts): Uint8Array {
  const header = new Uint8Array(IPV4_HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint8(0, 0x45);
  view.setUint16(2, IPV4_HEADER_BYTES + payloadBytes);
  view.setUint16(6, isFragment ? 1 : 0);
  view.setUint8(8, HOP_LIMIT);
  view.setUint8(9, flow.protocol);
  header.set(addresses, 12);
  view.setUint16(10, internetChecksum([header]));
  return header;
}

function encodeV6({ flow, addresses, isFragment, payloadBytes }: HeaderParts): Uint8Array {
  const extensionBytes = isFragment ? FRAGMENT_HEADER_BYTES : 0;
  const header = new Uint8Array(IPV6_HEADER_BYTES + extensionBytes);
  const view = new DataView(header.buffer);
  view.setUint8(0, 0x60);
  view.setUint16(4, extensionBytes + payloadBytes);
  view.setUint8(6, isFragment ? IPPROTO_FRAGMENT : flow.protocol);
  view.setUint8(7, HOP_LIMIT);
  header.set(addresses, 8);
  if (isFragment) {
    view.setUint8(IPV6_HEADER_BYTES, flow.protocol);
    view.setUint16(IPV6_HEADER_BYTES + 2, 1 << 3);
  }
  return header;
}
