/** Minimal transport headers with right checksums, for packets made from a flow. */
import { crc32c, internetChecksum } from './checksum.ts';
import type { Flow } from './flow.ts';
import {
  IPPROTO_DCCP,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
} from './protocol.ts';

/** RFC 9293 section 3.1. */
export const TCP_FLAGS_OFFSET = 13;
export const TCP_FLAG_SYN = 0x02;
export const TCP_FLAG_ACK = 0x10;
/** FIN, SYN, RST and ACK. */
export const TCP_FLAGS_OPENING = 0x17;

const SCTP_CHECKSUM_OFFSET = 8;

interface Layout {
  readonly bytes: number;
  readonly checksumOffset: number;
  /** Header bytes that are not zero, by offset. */
  readonly fixed: Readonly<Record<number, number>>;
}

const PORT_LAYOUTS: Readonly<Record<number, Layout>> = {
  // Data offset 5 words, SYN.
  [IPPROTO_TCP]: { bytes: 20, checksumOffset: 16, fixed: { 12: 0x50, [TCP_FLAGS_OFFSET]: TCP_FLAG_SYN } },
  // Length 8.
  [IPPROTO_UDP]: { bytes: 8, checksumOffset: 6, fixed: { 5: 8 } },
  // Checksum coverage 8 (RFC 3828).
  [IPPROTO_UDPLITE]: { bytes: 8, checksumOffset: 6, fixed: { 5: 8 } },
  // Data offset 5 words, type DCCP-Request with X set (RFC 4340 section 5.1).
  [IPPROTO_DCCP]: { bytes: 20, checksumOffset: 6, fixed: { 4: 5, 8: 1 } },
  [IPPROTO_SCTP]: { bytes: 12, checksumOffset: SCTP_CHECKSUM_OFFSET, fixed: {} },
};
const ICMP_LAYOUT: Layout = { bytes: 8, checksumOffset: 2, fixed: {} };

/**
 * The header of the flow's protocol; no bytes for protocols other than TCP, UDP, UDP-Lite, DCCP, SCTP and ICMP.
 * `addresses` are source and destination as they stand in the IP header: part of most checksums.
 */
export function encodeTransportHeader(flow: Flow, addresses: Uint8Array): Uint8Array {
  const isIcmp = flow.protocol === IPPROTO_ICMP || flow.protocol === IPPROTO_ICMPV6;
  const layout = isIcmp ? ICMP_LAYOUT : PORT_LAYOUTS[flow.protocol];
  if (layout === undefined) return new Uint8Array(0);
  const header = new Uint8Array(layout.bytes);
  const view = new DataView(header.buffer);
  for (const [offset, byte] of Object.entries(layout.fixed)) view.setUint8(Number(offset), byte);
  if (isIcmp) {
    view.setUint8(0, flow.icmp?.type ?? 0);
    view.setUint8(1, flow.icmp?.code ?? 0);
    view.setUint16(4, flow.icmp?.identifier ?? 0);
  } else {
    view.setUint16(0, flow.sourcePort ?? 0);
    view.setUint16(2, flow.destinationPort ?? 0);
    if (flow.midstream) view.setUint8(TCP_FLAGS_OFFSET, TCP_FLAG_ACK);
  }
  if (flow.protocol === IPPROTO_SCTP) view.setUint32(SCTP_CHECKSUM_OFFSET, crc32c(header), true);
  else view.setUint16(layout.checksumOffset, headerChecksum(flow.protocol, header, addresses));
  return header;
}

function headerChecksum(protocol: number, header: Uint8Array, addresses: Uint8Array): number {
  if (protocol === IPPROTO_ICMP) return internetChecksum([header]);
  const pseudoHeader = [addresses, new Uint8Array([0, protocol]), new Uint8Array([0, header.length])];
  const checksum = internetChecksum([...pseudoHeader, header]);
  // In UDP a checksum field of 0 means "none" (RFC 768).
  const isUdp = protocol === IPPROTO_UDP || protocol === IPPROTO_UDPLITE;
  return isUdp && checksum === 0 ? 0xffff : checksum;
}
