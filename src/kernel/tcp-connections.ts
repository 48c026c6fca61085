/** TCP connections of the calling thread's network namespace, with what TCP knows of them, and what conntrack does. */
import type { Family } from '../net/address.ts';
import { IPPROTO_TCP } from '../net/protocol.ts';
import { type ConntrackEntry, decodeConntrackEntry, encodeConntrackGet } from '../netlink/conntrack.ts';
import {
  decodeSocket,
  encodeSocketDump,
  type InetSocket,
  type SocketDump,
  TCP_ESTABLISHED,
  TCP_SYN_SENT,
} from '../netlink/sock-diag.ts';
import { NETLINK_NETFILTER, NETLINK_SOCK_DIAG } from '../netlink/uapi.ts';
import { decodeReply } from './decode-reply.ts';
import { KernelError } from './kernel-error.ts';
import { NetlinkSocket } from './netlink-socket.ts';

export interface TcpConnections extends Disposable {
  /** Connections that are made or being made, `limit` or a few more; which of more there are is not defined. Throws KernelError. */
  list(family: Family, limit: number): readonly InetSocket[];
  /** The flow of a connection, by its addresses in one direction or the other; undefined where none is known. Throws KernelError. */
  flowOf(connection: Pick<InetSocket, 'local' | 'localPort' | 'remote' | 'remotePort'>): ConntrackEntry | undefined;
}

/** Throws KernelError. */
export function openTcpConnections(): TcpConnections {
  const conntrack = NetlinkSocket.open(NETLINK_NETFILTER);
  return {
    list: (family, limit) => {
      const subject = { operation: 'list', object: 'TCP connections' };
      const states = (1 << TCP_ESTABLISHED) | (1 << TCP_SYN_SENT);
      const dump: SocketDump = { family, protocol: IPPROTO_TCP, states, tcpInfo: true };
      // A dump that is broken off leaves its socket unusable.
      using socket = NetlinkSocket.open(NETLINK_SOCK_DIAG);
      const messages = socket.dumpSome(encodeSocketDump(dump), subject, limit);
      return decodeReply(subject, () => messages.map(decodeSocket));
    },
    flowOf: ({ local, localPort, remote, remotePort }) => {
      const subject = { operation: 'get', object: 'conntrack entry' };
      const original = {
        protocol: IPPROTO_TCP,
        source: local,
        sourcePort: localPort,
        destination: remote,
        destinationPort: remotePort,
      };
      try {
        const [answer] = conntrack.request(encodeConntrackGet({ original }), subject);
        return answer === undefined ? undefined : decodeReply(subject, () => decodeConntrackEntry(answer));
      } catch (error) {
        if (error instanceof KernelError && error.isNotFound) return undefined;
        throw error;
      }
    },
    [Symbol.dispose]: () => conntrack[Symbol.dispose](),
  };
}
