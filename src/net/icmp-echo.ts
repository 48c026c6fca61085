/** ICMP echo messages: RFC 792 (Echo or Echo Reply Message), RFC 4443 section 4. */
import type { Family } from './address.ts';
import { internetChecksum } from './checksum.ts';

const ICMP_ECHOREPLY = 0;
const ICMP_ECHO = 8;
const ICMPV6_ECHO_REQUEST = 128;
const ICMPV6_ECHO_REPLY = 129;
const HEADER_BYTES = 8;
const IPV4_HEADER_BYTES = 20;

export interface EchoMessage {
  readonly identifier: number;
  readonly sequence: number;
  readonly data: Uint8Array;
}

/** With its checksum for IPv4; that of IPv6 covers the addresses, and is the kernel's business (RFC 3542 section 3.1). */
export function encodeEchoRequest(family: Family, { identifier, sequence, data }: EchoMessage): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, family === 4 ? ICMP_ECHO : ICMPV6_ECHO_REQUEST);
  view.setUint16(4, identifier);
  view.setUint16(6, sequence);
  bytes.set(data, HEADER_BYTES);
  if (family === 4) view.setUint16(2, internetChecksum([bytes]));
  return bytes;
}

/** `undefined` for anything else. Raw IPv4 sockets give the IP header too: `hasIpHeader`. Checksums have been looked at by the kernel. */
export function decodeEchoReply(
  family: Family,
  bytes: Uint8Array,
  { hasIpHeader }: { readonly hasIpHeader: boolean } = { hasIpHeader: false },
): EchoMessage | undefined {
  const start = hasIpHeader ? ((bytes[0] ?? 0) & 0x0f) * 4 : 0;
  if (hasIpHeader && start < IPV4_HEADER_BYTES) return undefined;
  if (bytes.length < start + HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, bytes.byteLength - start);
  if (view.getUint8(0) !== (family === 4 ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY)) return undefined;
  return {
    identifier: view.getUint16(4),
    sequence: view.getUint16(6),
    data: bytes.subarray(start + HEADER_BYTES),
  };
}
