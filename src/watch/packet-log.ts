import { constants } from 'node:os';
import { kernelErrorFromErrno } from '../kernel/errno.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { NetlinkSocket, type Subject } from '../kernel/netlink-socket.ts';
import {
  decodeLoggedPacket,
  encodeLogBatching,
  encodeLogBind,
  encodeLogMode,
  type LoggedPacket,
  NFLOG_PACKET,
  NFULNL_COPY_PACKET,
} from '../netlink/nflog.ts';
import { NETLINK_NETFILTER } from '../netlink/uapi.ts';
import { decodeEach, drainEvents } from './event-source.ts';

/** IP and transport headers with room for options: what a flow is told by. */
const LOGGED_BYTES = 128;

export interface PacketLogOptions {
  readonly group: number;
  /** So many at once, or those of so long: whatever comes first. */
  readonly packets: number;
  readonly timeoutMs: number;
}

/** What rules log to one NFLOG group. */
export class PacketLog implements Disposable {
  readonly #socket: NetlinkSocket;

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Throws KernelError: EBUSY where another process has the group. */
  static open({ group, ...batching }: PacketLogOptions): PacketLog {
    const subject = { operation: 'bind log group', object: `${group}` };
    const socket = NetlinkSocket.open(NETLINK_NETFILTER);
    try {
      bind(socket, group, subject);
      socket.request(encodeLogMode(group, { copyMode: NFULNL_COPY_PACKET, copyRange: LOGGED_BYTES }), subject);
      socket.request(encodeLogBatching(group, batching), subject);
      return new PacketLog(socket);
    } catch (error) {
      socket[Symbol.dispose]();
      throw error;
    }
  }

  get fd(): number {
    return this.#socket.fd;
  }

  /** `isWhole`: none was lost. Throws KernelError. */
  drain(): { readonly packets: readonly LoggedPacket[]; readonly isWhole: boolean } {
    const { messages, overrun } = drainEvents(this.#socket, 'logged packets');
    const { values, unreadable } = decodeEach(messages, [NFLOG_PACKET], decodeLoggedPacket);
    // Views of a datagram would each take the whole of it along to the other thread.
    const packets = values.map((packet) => ({ ...packet, payload: packet.payload.slice() }));
    return { packets, isWhole: !overrun && !unreadable };
  }

  /** The group is unbound with its socket. */
  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

/** The kernel says EPERM of a group that another socket has; that we may bind one at all is known by then. */
function bind(socket: NetlinkSocket, group: number, subject: Subject): void {
  try {
    socket.request(encodeLogBind(group), subject);
  } catch (error) {
    if (!(error instanceof KernelError && error.isDenied)) throw error;
    throw kernelErrorFromErrno(subject.operation, constants.errno.EBUSY, subject.object);
  }
}
