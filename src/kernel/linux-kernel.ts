import { NETLINK_GENERIC, NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_SOCK_DIAG } from '../netlink/uapi.ts';
import { openConnections } from './connections.ts';
import { openConntrack } from './conntrack.ts';
import { linuxKeptPrograms } from './kept-programs.ts';
import type {
  Connections,
  Conntrack,
  KeptPrograms,
  Kernel,
  Neighbours,
  Nft,
  Routing,
  Tunnels,
  Wireless,
  Xtables,
} from './kernel.ts';
import { openNeighbours } from './neighbours.ts';
import { NetlinkSocket } from './netlink-socket.ts';
import { openNft } from './nft.ts';
import { openRouting } from './routing.ts';
import type { SocketMarks } from './socket-marks.ts';
import { openTunnels } from './tunnels.ts';
import { openWireless } from './wireless.ts';
import { linuxXtables } from './xtables.ts';

interface NetlinkSockets {
  readonly route: NetlinkSocket;
  readonly netfilter: NetlinkSocket;
  readonly sockDiag: NetlinkSocket;
  readonly generic: NetlinkSocket;
}

/** The real kernel, in the network namespace that the calling thread is in; needs CAP_NET_ADMIN there. */
export class LinuxKernel implements Kernel {
  readonly nft: Nft;
  readonly routing: Routing;
  readonly xtables: Xtables = linuxXtables;
  readonly conntrack: Conntrack;
  readonly connections: Connections;
  readonly neighbours: Neighbours;
  readonly wireless: Wireless;
  readonly tunnels: Tunnels;
  readonly keptPrograms: KeptPrograms = linuxKeptPrograms;
  readonly sockets?: SocketMarks;
  readonly #netlink: readonly NetlinkSocket[];

  private constructor({ route, netfilter, sockDiag, generic }: NetlinkSockets, marks: SocketMarks | undefined) {
    this.#netlink = [route, netfilter, sockDiag, generic];
    if (marks !== undefined) this.sockets = marks;
    this.nft = openNft(netfilter);
    this.routing = openRouting(route);
    this.conntrack = openConntrack(netfilter);
    this.connections = openConnections(sockDiag);
    this.neighbours = openNeighbours(route);
    this.wireless = openWireless(generic);
    this.tunnels = openTunnels({ sockDiag, generic });
  }

  /** `marks`: where sockets can be marked; they stay the caller's. Throws KernelError. */
  static open(marks?: SocketMarks): LinuxKernel {
    const opened: NetlinkSocket[] = [];
    const open = (protocol: number): NetlinkSocket => {
      const socket = NetlinkSocket.open(protocol);
      opened.push(socket);
      return socket;
    };
    try {
      const [route, netfilter] = [open(NETLINK_ROUTE), open(NETLINK_NETFILTER)];
      const [sockDiag, generic] = [open(NETLINK_SOCK_DIAG), open(NETLINK_GENERIC)];
      return new LinuxKernel({ route, netfilter, sockDiag, generic }, marks);
    } catch (error) {
      for (const socket of opened) socket[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const socket of this.#netlink) socket[Symbol.dispose]();
  }
}
