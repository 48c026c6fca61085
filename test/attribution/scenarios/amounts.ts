/** How much scenarios send. Lengths are those of sender.h's payload, with what the protocols put before it. */
import type { Sent } from '../score/score.ts';

export const PAYLOAD_BYTES = 100;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
/** Of UDP, UDP-Lite and an ICMP echo request alike. */
const TRANSPORT_BYTES = 8;

const packets = (count: number, packetBytes: number): Sent => ({ unit: 'packets', count, bytes: count * packetBytes });

export const datagrams4 = (count: number): Sent => packets(count, IPV4_BYTES + TRANSPORT_BYTES + PAYLOAD_BYTES);
export const datagrams6 = (count: number): Sent => packets(count, IPV6_BYTES + TRANSPORT_BYTES + PAYLOAD_BYTES);
export const echoes4 = (count: number): Sent => packets(count, IPV4_BYTES + TRANSPORT_BYTES);
export const echoes6 = (count: number): Sent => packets(count, IPV6_BYTES + TRANSPORT_BYTES);
export const raw4 = (count: number): Sent => packets(count, IPV4_BYTES + PAYLOAD_BYTES);
export const bytes = (count: number, each: number): Sent => packets(count, each);

/** Connections that carry so many payloads in all. */
export const connections = (count: number, payloads: number): Sent => ({
  unit: 'connections',
  count,
  bytes: payloads * PAYLOAD_BYTES,
});
