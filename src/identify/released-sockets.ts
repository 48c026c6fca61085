/** Sockets that are gone, by what is left of them in a packet: the kernel has noted who had a port when it was closed. */
import type { CreatorRecord, ReleasedSocket } from '../bpf/records.ts';
import type { SharedSocketMarks } from '../kernel/socket-marks.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_ICMP, IPPROTO_ICMPV6, protocolHasPorts } from '../net/protocol.ts';

/** Raw sockets of this protocol send any other. */
const IPPROTO_RAW = 255;
const NS_PER_MS = 1_000_000;

/** Protocol and port, as the kernel notes them (`SharedSocketMarks.released`), of whatever may have sent it. */
function places(flow: Flow): readonly (readonly [protocol: number, port: number])[] {
  const { protocol, sourcePort, icmp } = flow;
  if (protocolHasPorts(protocol)) return sourcePort === undefined ? [] : [[protocol, sourcePort]];
  const isPing = protocol === IPPROTO_ICMP || protocol === IPPROTO_ICMPV6;
  const ping = isPing && icmp?.identifier !== undefined ? [[protocol, icmp.identifier] as const] : [];
  return [...ping, [protocol, protocol], [IPPROTO_RAW, IPPROTO_RAW]];
}

export interface FormerSocket extends ReleasedSocket {
  /** Absent where it is to be looked for by the cookie. */
  readonly creator?: CreatorRecord;
}

/** Sockets that may have sent an outgoing flow of this user and are closed, the latest of each place first. */
export function releasedSockets(
  marks: Pick<SharedSocketMarks, 'released' | 'releasedBy'>,
  flow: Flow,
  uid: number,
): readonly FormerSocket[] {
  return places(flow).flatMap(([protocol, port]): readonly FormerSocket[] => {
    const own = marks.releasedBy(uid, protocol, port);
    const last = marks.released(protocol, port);
    // Others may have closed theirs there since, and may be meant, too.
    return own === undefined ? last : [own, ...last.filter(({ cookie }) => cookie !== own.cookie)];
  });
}

/** A socket that is connected can send elsewhere (sendto), but whoever else had the port is more likely to have done it. */
export const isConnectedElsewhere = ({ remotePort }: ReleasedSocket, { protocol, destinationPort }: Flow): boolean =>
  protocolHasPorts(protocol) && remotePort !== 0 && remotePort !== destinationPort;

export const isReleasedSince = ({ atNs }: ReleasedSocket, ms: MonotonicMs): boolean => Number(atNs) / NS_PER_MS >= ms;
