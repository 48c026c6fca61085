import { NETLINK_NETFILTER, NETLINK_ROUTE } from '../netlink/uapi.ts';
import { openConntrack } from './conntrack.ts';
import type { Conntrack, Kernel, Nft, Routing, Xtables } from './kernel.ts';
import { NetlinkSocket } from './netlink-socket.ts';
import { openNft } from './nft.ts';
import { openRouting } from './routing.ts';
import type { SocketMarks } from './socket-marks.ts';
import { linuxXtables } from './xtables.ts';

/** The real kernel, in the network namespace that the calling thread is in; needs CAP_NET_ADMIN there. */
export class LinuxKernel implements Kernel {
  readonly nft: Nft;
  readonly routing: Routing;
  readonly xtables: Xtables = linuxXtables;
  readonly conntrack: Conntrack;
  readonly sockets?: SocketMarks;
  readonly #netlink: readonly NetlinkSocket[];

  private constructor(route: NetlinkSocket, netfilter: NetlinkSocket, marks: SocketMarks | undefined) {
    this.#netlink = [route, netfilter];
    if (marks !== undefined) this.sockets = marks;
    this.nft = openNft(netfilter);
    this.routing = openRouting(route);
    this.conntrack = openConntrack(netfilter);
  }

  /** `marks`: where sockets can be marked; they stay the caller's. Throws KernelError. */
  static open(marks?: SocketMarks): LinuxKernel {
    const route = NetlinkSocket.open(NETLINK_ROUTE);
    try {
      return new LinuxKernel(route, NetlinkSocket.open(NETLINK_NETFILTER), marks);
    } catch (error) {
      route[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const socket of this.#netlink) socket[Symbol.dispose]();
  }
}
