/** Questions to the kernel's socket tables (sock_diag(7)) in the calling thread's network namespace. */
import { KernelError } from '../kernel/kernel-error.ts';
import { MSG_DONTWAIT, NetlinkSocket } from '../kernel/netlink-socket.ts';
import {
  decodeSocket,
  encodeSocketDump,
  type InetSocket,
  type SocketDump,
  type SocketLookup,
} from '../netlink/sock-diag.ts';
import { decodeFoundSocket, type FoundSocket, SocketLookupMessage, sequenceOf } from '../netlink/socket-lookup.ts';
import { NETLINK_SOCK_DIAG } from '../netlink/uapi.ts';

const ANSWER_BYTES = 4096;

/** The two questions of the slow path, so that tests can answer them. */
export interface SocketTables {
  lookup(lookup: SocketLookup): FoundSocket | undefined;
  /** Empty where the kernel cannot list this protocol. */
  dump(dump: SocketDump): InetSocket[];
}

export class SocketDiag implements SocketTables {
  readonly #socket: NetlinkSocket = NetlinkSocket.open(NETLINK_SOCK_DIAG);
  readonly #buffer = new Uint8Array(ANSWER_BYTES);
  readonly #message = new SocketLookupMessage();
  #sequence = 0x4000_0000;

  /** Throws RangeError for addresses of two families. */
  lookup(lookup: SocketLookup): FoundSocket | undefined {
    const sequence = this.#nextSequence();
    if (this.#socket.send(this.#message.set(lookup, sequence)) < 0) return undefined;
    // The kernel works while we are in `send`: the answer, one message or ENOENT, lies here already, so no poll is needed.
    for (;;) {
      const received = this.#socket.receiveInto(this.#buffer, MSG_DONTWAIT);
      if (received <= 0) return undefined;
      const answer = this.#buffer.subarray(0, received);
      if (sequenceOf(answer) === sequence) return decodeFoundSocket(answer, sequence);
    }
  }

  dump(dump: SocketDump): InetSocket[] {
    const object = `protocol ${dump.protocol}`;
    try {
      return this.#socket.dump(encodeSocketDump(dump), { operation: 'list sockets', object }).map(decodeSocket);
    } catch (error) {
      if (error instanceof KernelError) return [];
      throw error;
    }
  }

  /** Apart from the numbers that the socket gives to dumps. */
  #nextSequence(): number {
    this.#sequence = this.#sequence >= 0x7fff_ffff ? 0x4000_0000 : this.#sequence + 1;
    return this.#sequence;
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}
