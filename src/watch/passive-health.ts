/**
 * How uplinks fare by the TCP connections that live on them: nothing is sent. A connection belongs to the uplink whose address its
 * packets have on the wire, which after masquerading is not the socket's. Connections to networks that an uplink is connected to
 * say nothing about what is behind.
 */
import type { TcpConnections } from '../kernel/tcp-connections.ts';
import {
  type Address,
  type Family,
  formatAddress,
  isLoopbackAddress,
  prefixContains,
  unmapAddress,
} from '../net/address.ts';
import type { ConntrackEntry } from '../netlink/conntrack.ts';
import type { InetSocket } from '../netlink/sock-diag.ts';
import { MARK_PROGRAM, PROGRAM_DAEMON, programMark } from '../plan/reserved.ts';
import type { UplinkState } from '../policy/facts.ts';

/** Connections looked at in one go, of each family: some milliseconds' worth, for which the daemon's other loops wait. */
export const MAX_CONNECTIONS = 256;
/** Flows asked for in one go; those of before are remembered. */
export const MAX_FLOWS_ASKED = 32;
/** On fewer segments a share of them means nothing. */
const MIN_SEGMENTS = 10;
/** News at first sight: what came in since so long ago. */
const FRESH_MS = 2000;

/** What came of one family of an uplink since the last look. */
export interface PassiveReading {
  /** Connections on which the other side has been heard of. */
  readonly alive: number;
  /** Peers that something has been sent to more than once, and that have not been heard of. */
  readonly stalledPeers: number;
  /** Segments sent again, of those sent; 0 where too few were sent. */
  readonly lossRatio: number;
  /** Of the connection with the shortest. */
  readonly rttMs?: number;
}

interface Counters {
  readonly bytesAcked: bigint;
  readonly bytesReceived: bigint;
  readonly segmentsSent: number;
  readonly retransmits: number;
}

interface Connection {
  readonly counters: Counters;
  /** On the wire; undefined where it is not known yet. */
  readonly address: Address | undefined;
}

interface Tally {
  alive: number;
  readonly stalled: Set<string>;
  sent: number;
  resent: number;
  rttMs: number | undefined;
}

export class PassiveHealth {
  readonly #connections: Pick<TcpConnections, 'list' | 'flowOf'>;
  /** By socket cookie, since the last look. */
  #known: ReadonlyMap<bigint, Connection> = new Map();

  constructor(connections: Pick<TcpConnections, 'list' | 'flowOf'>) {
    this.#connections = connections;
  }

  /** By `readingKey`; uplinks on which nothing has moved are left out. Throws KernelError. */
  read(uplinks: readonly UplinkState[]): ReadonlyMap<string, PassiveReading> {
    const owners = new Map(uplinks.flatMap((uplink) => uplink.addresses.map((own) => [formatAddress(own), uplink])));
    const sockets = ([4, 6] as const).flatMap((family) => this.#connections.list(family, MAX_CONNECTIONS));
    const known = new Map<bigint, Connection>();
    const tallies = new Map<string, Tally>();
    let asked = 0;
    for (const socket of sockets.map(unmapped)) {
      if (socket.tcpInfo === undefined || isLoopbackAddress(socket.remote) || isOwn(socket)) continue;
      const before = this.#known.get(socket.cookie);
      const counters = countersOf(socket);
      const isNews = moved(socket, counters, before?.counters);
      let address = before?.address;
      if (address === undefined && isNews !== 'no' && asked < MAX_FLOWS_ASKED) {
        asked += 1;
        address = addressOnWire(this.#connections.flowOf(socket), socket);
      }
      known.set(socket.cookie, { counters, address });
      const uplink = address === undefined ? undefined : owners.get(formatAddress(address));
      if (uplink === undefined || address === undefined || isNews === 'no') continue;
      if (uplink.onLink.some((prefix) => prefixContains(prefix, socket.remote))) continue;
      add(tallyOf(tallies, readingKey(uplink.name, address.family)), socket, counters, before?.counters, isNews);
    }
    this.#known = known;
    return new Map([...tallies].map(([key, tally]) => [key, readingOf(tally)]));
  }
}

export const readingKey = (uplink: string, family: Family): string => `${uplink} ${family}`;

/** Probes have a voice already. */
const isOwn = ({ mark = 0 }: InetSocket): boolean => (mark & MARK_PROGRAM) >>> 0 === programMark(PROGRAM_DAEMON);

const unmapped = (socket: InetSocket): InetSocket => ({
  ...socket,
  local: unmapAddress(socket.local),
  remote: unmapAddress(socket.remote),
});

function countersOf({ tcpInfo }: InetSocket): Counters {
  return {
    bytesAcked: tcpInfo?.bytesAcked ?? 0n,
    bytesReceived: tcpInfo?.bytesReceived ?? 0n,
    segmentsSent: tcpInfo?.dataSegmentsSent ?? 0,
    retransmits: tcpInfo?.totalRetransmits ?? 0,
  };
}

type Movement = 'alive' | 'stalled' | 'no';

function moved({ tcpInfo }: InetSocket, now: Counters, before: Counters | undefined): Movement {
  if (tcpInfo === undefined) return 'no';
  const { retransmits, bytesAcked = 0n, lastAckReceivedMs, lastDataReceivedMs } = tcpInfo;
  const isHeard =
    before === undefined
      ? bytesAcked > 0n && Math.min(lastAckReceivedMs, lastDataReceivedMs) < FRESH_MS
      : now.bytesAcked > before.bytesAcked || now.bytesReceived > before.bytesReceived;
  if (isHeard) return 'alive';
  return retransmits > 0 ? 'stalled' : 'no';
}

/** The source address that a flow of ours has outside, or the destination address of one that came in. */
function addressOnWire(flow: ConntrackEntry | undefined, { local, localPort }: InetSocket): Address {
  if (flow === undefined) return local;
  const { original, reply } = flow;
  const isOurs = formatAddress(original.source) === formatAddress(local) && original.sourcePort === localPort;
  return isOurs ? reply.destination : original.destination;
}

function tallyOf(tallies: Map<string, Tally>, key: string): Tally {
  const tally = tallies.get(key) ?? { alive: 0, stalled: new Set(), sent: 0, resent: 0, rttMs: undefined };
  tallies.set(key, tally);
  return tally;
}

function add(
  tally: Tally,
  { remote, tcpInfo }: InetSocket,
  now: Counters,
  before: Counters | undefined,
  movement: Movement,
): void {
  if (movement === 'alive') tally.alive += 1;
  else tally.stalled.add(formatAddress(remote));
  if (before !== undefined) {
    tally.sent += now.segmentsSent - before.segmentsSent;
    tally.resent += now.retransmits - before.retransmits;
  }
  // What is only received is not measured.
  const isMeasured = movement === 'alive' && before !== undefined && now.bytesAcked > before.bytesAcked;
  const rttMs = tcpInfo?.rttMs ?? 0;
  if (isMeasured && rttMs > 0) tally.rttMs = Math.min(tally.rttMs ?? rttMs, rttMs);
}

function readingOf({ alive, stalled, sent, resent, rttMs }: Tally): PassiveReading {
  const lossRatio = sent < MIN_SEGMENTS ? 0 : Math.min(1, resent / sent);
  return { alive, stalledPeers: stalled.size, lossRatio, ...(rttMs !== undefined && { rttMs }) };
}
