/**
 * `struct tcp_info` (linux/tcp.h): how a TCP connection fares, as getsockopt(TCP_INFO) and the attribute INET_DIAG_INFO carry it.
 * All integers are in host order. Older kernels end it earlier: what they lack is absent.
 */
import { readU8, readU32, readU64 } from './bytes.ts';

/** Bytes to ask getsockopt for: up to `tcpi_data_segs_out`. */
export const TCP_INFO_BYTES = 160;

const OFFSET = {
  state: 0,
  retransmits: 2,
  unacked: 24,
  lastDataRecv: 52,
  lastAckRecv: 56,
  rtt: 68,
  totalRetrans: 100,
  bytesAcked: 120,
  bytesReceived: 128,
  minRtt: 148,
  dataSegsOut: 156,
} as const;

export interface TcpInfo {
  /** TCP_* of `sock-diag.ts`. */
  readonly state: number;
  /** In a row, without an answer. */
  readonly retransmits: number;
  /** Segments that wait for an acknowledgement. */
  readonly unacked: number;
  /** Since when; for a connection on which nothing came, since it was made. */
  readonly lastDataReceivedMs: number;
  readonly lastAckReceivedMs: number;
  /** Smoothed (RFC 6298), of the way and back; 0 before the first measurement. */
  readonly rttMs: number;
  /** Over the connection's life. */
  readonly totalRetransmits: number;
  readonly bytesAcked?: bigint;
  readonly bytesReceived?: bigint;
  /** Of a window of time that the kernel keeps (net.ipv4.tcp_min_rtt_wlen). Absent before the first measurement. */
  readonly minRttMs?: number;
  /** Segments with data, repeated ones too. */
  readonly dataSegmentsSent?: number;
}

const MICROSECONDS = 1000;
/** What minmax_reset (net/ipv4/tcp.c) starts from. */
const UNMEASURED = 0xffff_ffff;

/** `payload`: the struct or the first part of it. Throws DecodeError where even what Linux 2.6 had is not all there. */
export function decodeTcpInfo(payload: Uint8Array): TcpInfo {
  const has = (offset: number, width: number): boolean => offset + width <= payload.length;
  const minRtt = has(OFFSET.minRtt, 4) ? readU32(payload, OFFSET.minRtt) : UNMEASURED;
  return {
    state: readU8(payload, OFFSET.state),
    retransmits: readU8(payload, OFFSET.retransmits),
    unacked: readU32(payload, OFFSET.unacked),
    lastDataReceivedMs: readU32(payload, OFFSET.lastDataRecv),
    lastAckReceivedMs: readU32(payload, OFFSET.lastAckRecv),
    rttMs: readU32(payload, OFFSET.rtt) / MICROSECONDS,
    totalRetransmits: readU32(payload, OFFSET.totalRetrans),
    ...(has(OFFSET.bytesAcked, 8) && { bytesAcked: readU64(payload, OFFSET.bytesAcked) }),
    ...(has(OFFSET.bytesReceived, 8) && { bytesReceived: readU64(payload, OFFSET.bytesReceived) }),
    ...(minRtt !== UNMEASURED && { minRttMs: minRtt / MICROSECONDS }),
    ...(has(OFFSET.dataSegsOut, 4) && { dataSegmentsSent: readU32(payload, OFFSET.dataSegsOut) }),
  };
}
