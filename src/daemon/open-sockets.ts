/** The internet sockets of this network namespace that processes can hold. */
import { endianness } from 'node:os';
import type { SocketTables } from '../identify/socket-diag.ts';
import { parseSocketTable } from '../identify/socket-table.ts';
import type { Proc } from '../kernel/proc.ts';
import { type Address, unmapAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import {
  IPPROTO_DCCP,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
} from '../net/protocol.ts';
import {
  ALL_SOCKET_STATES,
  type InetSocket,
  TCP_CLOSE,
  TCP_ESTABLISHED,
  TCP_LISTEN,
  TCP_SYN_RECV,
  TCP_SYN_SENT,
  TCP_TIME_WAIT,
} from '../netlink/sock-diag.ts';

const PROTOCOLS = [IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE, IPPROTO_SCTP, IPPROTO_DCCP];
const FAMILIES = [4, 6] as const;
/** TCP_NEW_SYN_RECV of net/tcp_states.h. */
const NEW_SYN_RECV = 12;
/** No process holds a socket in one of these. */
const WITHOUT_PROCESS = (1 << TCP_TIME_WAIT) | (1 << TCP_SYN_RECV) | (1 << NEW_SYN_RECV);
const HELD_STATES = (ALL_SOCKET_STATES & ~WITHOUT_PROCESS) >>> 0;

/** `flow` from the socket's own end; a remote end that it has not got is unspecified (`0.0.0.0`, `::`), without a port. */
export interface OpenSocket {
  readonly flow: Flow;
  readonly inode: number;
  readonly uid: number;
  /** TCP_* of net/tcp_states.h, where the kernel tells. */
  readonly state?: number;
  readonly cookie?: bigint;
  readonly cgroupId?: bigint;
  readonly mark?: number;
}

/** One dump of each table. */
export function openSockets(tables: SocketTables, proc: Pick<Proc, 'netTable'>): OpenSocket[] {
  const listed = PROTOCOLS.flatMap((protocol) =>
    FAMILIES.flatMap((family) =>
      tables.dump({ family, protocol, states: HELD_STATES }).map((socket) => fromDump(protocol, socket)),
    ),
  );
  return [...listed, ...fromTables(proc)].filter(({ inode }) => inode !== 0);
}

function fromDump(protocol: number, socket: InetSocket): OpenSocket {
  const { inode, uid, state, cookie, cgroupId, mark, localPort, remotePort } = socket;
  const [local, remote] = pairOf(socket.local, socket.remote);
  const hasPeer = remotePort !== 0;
  return {
    flow: {
      protocol,
      source: local,
      sourcePort: localPort,
      destination: remote,
      ...(hasPeer && { destinationPort: remotePort }),
      loopback: false,
    },
    inode,
    uid,
    state,
    cookie,
    ...(cgroupId !== undefined && { cgroupId }),
    ...(mark !== undefined && { mark }),
  };
}

/** Both or neither: `::ffff:10.0.0.1` may be bound while `::` is the other end. */
function pairOf(local: Address, remote: Address): readonly [local: Address, remote: Address] {
  const [a, b] = [unmapAddress(local), unmapAddress(remote)];
  if (a.family === b.family) return [a, b];
  if (remote.value === 0n) return [a, { family: a.family, value: 0n }];
  return local.value === 0n ? [{ family: b.family, value: 0n }, b] : [local, remote];
}

const TABLES = [
  { name: 'icmp', protocol: IPPROTO_ICMP },
  { name: 'icmp6', protocol: IPPROTO_ICMPV6 },
  { name: 'raw' },
  { name: 'raw6' },
] as const;

/** Ping sockets and raw ones, which have no ports. */
function fromTables(proc: Pick<Proc, 'netTable'>): OpenSocket[] {
  return TABLES.flatMap(({ name, ...table }) =>
    parseSocketTable(proc.netTable(name), endianness()).map(({ local, remote, localPort, uid, inode }): OpenSocket => {
      const protocol = 'protocol' in table ? table.protocol : localPort;
      return { flow: { protocol, source: local, destination: remote, loopback: false }, inode, uid };
    }),
  );
}

const TCP_STATES: ReadonlyMap<number, string> = new Map([
  [TCP_ESTABLISHED, 'established'],
  [TCP_SYN_SENT, 'connecting'],
  [4, 'closing'],
  [5, 'closing'],
  [TCP_CLOSE, 'closed'],
  [8, 'closed by the other end'],
  [9, 'closing'],
  [TCP_LISTEN, 'listening'],
  [11, 'closing'],
]);

/** "established", "listening"; of a datagram socket "connected" or "open". */
export function socketStateName({ flow, state }: OpenSocket): string {
  const isStream = [IPPROTO_TCP, IPPROTO_SCTP, IPPROTO_DCCP].includes(flow.protocol);
  if (isStream) return TCP_STATES.get(state ?? 0) ?? `state ${state ?? 0}`;
  return flow.destinationPort === undefined ? 'open' : 'connected';
}

export const isListening = ({ state }: Pick<OpenSocket, 'state'>): boolean => state === TCP_LISTEN;
