/** From an outgoing flow to the socket that sends it. */
import { endianness } from 'node:os';
import type { CreatorRecord } from '../bpf/records.ts';
import type { Proc } from '../kernel/proc.ts';
import { type Address, equalAddress, unmapAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import {
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
  protocolHasPorts,
} from '../net/protocol.ts';
import { ALL_SOCKET_STATES, type InetSocket, TCP_LISTEN, TCP_TIME_WAIT } from '../netlink/sock-diag.ts';
import type { FoundSocket } from '../netlink/socket-lookup.ts';
import type { SocketTables } from './socket-diag.ts';
import { parseSocketTable, type TableSocket } from './socket-table.ts';

/** Raw sockets of this protocol write their own IP header, so they can send any other. */
const IPPROTO_RAW = 255;
/** Of sockets that may have sent the same packet, so many are looked at. */
const MAX_CANDIDATES = 8;

/** Of a socket that is gone, and of one that no process has. */
export const NO_INODE = 0;

/** `cgroupId`: of the cgroup in which the socket was made. */
export interface SocketOwner {
  readonly inode: number;
  readonly uid: number;
  readonly cookie?: bigint;
  readonly cgroupId?: bigint;
  /** A listener holds its port: the connection came in. */
  readonly accepted?: true;
  /** Who made it, where that was noted with its end. */
  readonly creator?: CreatorRecord;
}

/** Several sockets where nothing in a packet tells them apart (raw sockets of one protocol, shared UDP ports). */
export type SocketSearch =
  | { readonly kind: 'found'; readonly sockets: readonly [SocketOwner, ...SocketOwner[]] }
  | { readonly kind: 'none'; readonly because: string };

/** `uid`: of the sender, where the packet tells. `deviceIndex`: where it leaves; sockets may be bound to a device. */
export interface SocketHint {
  readonly uid?: number;
  readonly deviceIndex?: number;
}

export interface SocketSources {
  readonly tables: SocketTables;
  readonly proc: Proc;
}

const NO_SOCKET = 'no socket has this address and port any more';

/** As if it went out: the socket that would receive what comes in is the one that would answer. */
function outgoing(flow: Flow): Flow {
  if (!flow.inbound) return flow;
  const { source, sourcePort, destination, destinationPort, inbound: _, ...rest } = flow;
  return {
    ...rest,
    source: destination,
    destination: source,
    ...(destinationPort !== undefined && { sourcePort: destinationPort }),
    ...(sourcePort !== undefined && { destinationPort: sourcePort }),
  };
}

/** Finds sockets of all kinds that can send IP packets, IPv4 ones of AF_INET6 included; for what comes in, the receiver. */
export function findSocket(sources: SocketSources, seen: Flow, hint: SocketHint): SocketSearch {
  const flow = outgoing(seen);
  if (!protocolHasPorts(flow.protocol)) return findWithoutPorts(sources.proc, flow, hint);
  const { sourcePort, destinationPort } = flow;
  if (sourcePort === undefined || destinationPort === undefined) {
    return { kind: 'none', because: 'a later fragment of a packet shows no ports' };
  }
  return findWithPorts(sources.tables, { ...flow, sourcePort, destinationPort }, hint);
}

type PortFlow = Flow & { readonly sourcePort: number; readonly destinationPort: number };

function findWithPorts(tables: SocketTables, flow: PortFlow, hint: SocketHint): SocketSearch {
  const exact = lookUp(tables, flow, hint);
  const isDatagram = flow.protocol === IPPROTO_UDP || flow.protocol === IPPROTO_UDPLITE;
  if (isDatagram && (exact === undefined || (hint.uid !== undefined && exact.uid !== hint.uid))) {
    // A connected socket may send elsewhere (sendto), and where several share a port the look-up picks one by a hash.
    const shared = findSharedPort(tables, flow, hint);
    if (shared.length > 0) return found(shared);
  }
  if (exact === undefined) return { kind: 'none', because: NO_SOCKET };
  if (exact.inode !== 0)
    return flow.midstream && cameIn(tables, flow, hint)
      ? { kind: 'found', sockets: [{ ...ownerOf(exact), accepted: true }] }
      : found([exact]);
  if (exact.state === TCP_TIME_WAIT) return { kind: 'none', because: 'its socket has been closed' };
  const listener = flow.protocol === IPPROTO_TCP ? lookUpListener(tables, flow, hint) : undefined;
  return listener === undefined || listener.inode === 0
    ? { kind: 'none', because: 'its socket belongs to no process' }
    : found([listener]);
}

function lookUp(tables: SocketTables, flow: PortFlow, hint: SocketHint): FoundSocket | undefined {
  return tables.lookup({
    protocol: flow.protocol,
    local: flow.source,
    localPort: flow.sourcePort,
    remote: flow.destination,
    remotePort: flow.destinationPort,
    ...(hint.deviceIndex !== undefined && { interfaceIndex: hint.deviceIndex }),
  });
}

/** An incoming connection that is not accepted yet is its listener's. */
function lookUpListener(tables: SocketTables, flow: PortFlow, hint: SocketHint): FoundSocket | undefined {
  const nobody: Address = { family: flow.destination.family, value: 0n };
  return lookUp(tables, { ...flow, destination: nobody, destinationPort: 0 }, hint);
}

/** Asked of mid-stream packets only: a connection that opens is known to go out. */
const cameIn = (tables: SocketTables, flow: PortFlow, hint: SocketHint): boolean =>
  lookUpListener(tables, flow, hint)?.state === TCP_LISTEN;

function findSharedPort(tables: SocketTables, flow: PortFlow, hint: SocketHint): InetSocket[] {
  const families = flow.source.family === 4 ? ([4, 6] as const) : ([6] as const);
  const sockets = families
    .flatMap((family) => tables.dump({ family, protocol: flow.protocol, states: ALL_SOCKET_STATES }))
    .filter((socket) => socket.localPort === flow.sourcePort && socket.inode !== 0)
    .filter((socket) => socket.family === flow.source.family || socket.v6Only !== true)
    .filter((socket) => isOrAny(socket.local, flow.source))
    .filter((socket) => hint.uid === undefined || socket.uid === hint.uid);
  const bound = sockets.filter((socket) => equalAddress(unmapAddress(socket.local), flow.source));
  return bound.length > 0 ? bound : sockets;
}

function isOrAny(bound: Address, address: Address): boolean {
  return bound.value === 0n || equalAddress(unmapAddress(bound), address);
}

function findWithoutPorts(proc: Proc, flow: Flow, hint: SocketHint): SocketSearch {
  const v6 = flow.source.family === 6;
  const isOwn = ({ uid }: TableSocket): boolean => hint.uid === undefined || uid === hint.uid;
  const read = (name: string): TableSocket[] =>
    parseSocketTable(proc.netTable(v6 ? `${name}6` : name), endianness()).filter(isOwn);
  const isIcmp = flow.protocol === IPPROTO_ICMP || flow.protocol === IPPROTO_ICMPV6;
  if (isIcmp && flow.icmp?.identifier !== undefined) {
    const identifier = flow.icmp.identifier;
    const ping = read('icmp').filter((socket) => socket.localPort === identifier && isOrAny(socket.local, flow.source));
    if (ping.length > 0) return found(ping);
  }
  const raw = read('raw').filter(
    (socket) => isOrAny(socket.local, flow.source) && isOrAny(socket.remote, flow.destination),
  );
  for (const protocol of [flow.protocol, IPPROTO_RAW]) {
    const sockets = raw.filter((socket) => socket.localPort === protocol);
    if (sockets.length > 0) return found(sockets);
  }
  return { kind: 'none', because: 'no socket for this protocol is open any more' };
}

function found(sockets: readonly (FoundSocket | TableSocket)[]): SocketSearch {
  const [first, ...others] = sockets.slice(0, MAX_CANDIDATES).map(ownerOf);
  return first === undefined ? { kind: 'none', because: NO_SOCKET } : { kind: 'found', sockets: [first, ...others] };
}

function ownerOf(socket: FoundSocket | TableSocket): SocketOwner {
  const { inode, uid } = socket;
  if (!('cookie' in socket)) return { inode, uid };
  const { cookie, cgroupId } = socket;
  return { inode, uid, cookie, ...(cgroupId !== undefined && { cgroupId }) };
}
