/** News of a few neighbours, out of what the kernel says of all: on a busy network that is much. */
import { NetlinkSocket } from '../kernel/netlink-socket.ts';
import {
  decodeNeighbour,
  type Neighbour,
  type NeighbourKey,
  neighbourText,
  RTM_DELNEIGH,
  RTM_NEWNEIGH,
} from '../netlink/neighbour.ts';
import { NETLINK_ROUTE, RTNLGRP_NEIGH } from '../netlink/uapi.ts';
import { decodeEach, drainEvents } from './event-source.ts';

const RECEIVE_QUEUE_BYTES = 1024 * 1024;
const KINDS: readonly number[] = [RTM_NEWNEIGH, RTM_DELNEIGH];

export class NeighbourEvents implements Disposable {
  readonly #socket: NetlinkSocket;
  #watched: ReadonlySet<string> = new Set();

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Throws KernelError. */
  static open(): NeighbourEvents {
    const socket = NetlinkSocket.open(NETLINK_ROUTE, { groups: [RTNLGRP_NEIGH] });
    try {
      socket.setReceiveBuffer(RECEIVE_QUEUE_BYTES);
      return new NeighbourEvents(socket);
    } catch (error) {
      socket[Symbol.dispose]();
      throw error;
    }
  }

  get fd(): number {
    return this.#socket.fd;
  }

  watch(keys: readonly NeighbourKey[]): void {
    this.#watched = new Set(keys.map(neighbourText));
  }

  /** Throws KernelError. `overrun`: some news is lost. Entries of bridges cannot be read, and are none of these. */
  drain(): { readonly neighbours: readonly Neighbour[]; readonly overrun: boolean } {
    const { messages, overrun } = drainEvents(this.#socket, 'neighbour events');
    const { values } = decodeEach(messages, KINDS, decodeNeighbour);
    return { neighbours: values.filter((neighbour) => this.#watched.has(neighbourText(neighbour))), overrun };
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}
