import { constants } from 'node:os';
import { kernelErrorFromErrno } from '../kernel/errno.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { NetlinkSocket, type Subject } from '../kernel/netlink-socket.ts';
import { CONNTRACK_DELETE, CONNTRACK_NEW, decodeConntrackEvent } from '../netlink/conntrack.ts';
import {
  decodeLoggedPacket,
  encodeLogBatching,
  encodeLogBind,
  encodeLogMode,
  NFLOG_PACKET,
  NFULNL_COPY_PACKET,
} from '../netlink/nflog.ts';
import { NETLINK_NETFILTER, NFNLGRP_CONNTRACK_DESTROY, NFNLGRP_CONNTRACK_NEW } from '../netlink/uapi.ts';
import { LOG_GROUP } from '../plan/reserved.ts';
import { decodeEach, drainEvents } from './event-source.ts';
import type { KernelEvent } from './kernel-event.ts';

/** A busy server's new flows of a second. */
const RECEIVE_QUEUE_BYTES = 4 * 1024 * 1024;
/** IP and transport headers with room for options: what a flow is told by. */
const LOGGED_BYTES = 128;
/** A person who watches notices no delay below this; a burst is one event. */
const LOG_DELAY_MS = 50;
const LOG_BATCH_PACKETS = 32;

/** New and ended conntrack entries, and what our rules log. Costs the kernel work for each flow, so only while watched. */
export class FlowEvents {
  readonly #conntrack: NetlinkSocket;
  readonly #log: NetlinkSocket;

  private constructor(conntrack: NetlinkSocket, log: NetlinkSocket) {
    this.#conntrack = conntrack;
    this.#log = log;
  }

  /** Throws KernelError: EBUSY where another process has the log group. */
  static open(): FlowEvents {
    const groups = [NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_DESTROY];
    const conntrack = NetlinkSocket.open(NETLINK_NETFILTER, { groups });
    try {
      conntrack.setReceiveBuffer(RECEIVE_QUEUE_BYTES);
      return new FlowEvents(conntrack, openLog());
    } catch (error) {
      conntrack[Symbol.dispose]();
      throw error;
    }
  }

  get fds(): readonly number[] {
    return [this.#conntrack.fd, this.#log.fd];
  }

  /** What has arrived on the sockets that are ready. Throws KernelError. */
  drain(ready: readonly number[]): KernelEvent[] {
    return [
      ...(ready.includes(this.#conntrack.fd) ? drainConntrack(this.#conntrack) : []),
      ...(ready.includes(this.#log.fd) ? drainLog(this.#log) : []),
    ];
  }

  close(): void {
    this.#conntrack[Symbol.dispose]();
    // The group is unbound with its socket.
    this.#log[Symbol.dispose]();
  }
}

function openLog(): NetlinkSocket {
  const subject = { operation: 'bind log group', object: `${LOG_GROUP}` };
  const socket = NetlinkSocket.open(NETLINK_NETFILTER);
  try {
    bind(socket, subject);
    socket.request(encodeLogMode(LOG_GROUP, { copyMode: NFULNL_COPY_PACKET, copyRange: LOGGED_BYTES }), subject);
    socket.request(encodeLogBatching(LOG_GROUP, { packets: LOG_BATCH_PACKETS, timeoutMs: LOG_DELAY_MS }), subject);
    return socket;
  } catch (error) {
    socket[Symbol.dispose]();
    throw error;
  }
}

/** The kernel says EPERM of a group that another socket has; that we may bind one at all is known by then. */
function bind(socket: NetlinkSocket, subject: Subject): void {
  try {
    socket.request(encodeLogBind(LOG_GROUP), subject);
  } catch (error) {
    if (!(error instanceof KernelError && error.isDenied)) throw error;
    throw kernelErrorFromErrno(subject.operation, constants.errno.EBUSY, subject.object);
  }
}

function drainConntrack(socket: NetlinkSocket): KernelEvent[] {
  const { messages, overrun } = drainEvents(socket, 'conntrack events');
  const { values, unreadable } = decodeEach(messages, [CONNTRACK_NEW, CONNTRACK_DELETE], decodeConntrackEvent);
  return [
    ...(values.length > 0 ? [{ kind: 'flows', events: values } as const] : []),
    ...(overrun || unreadable ? [{ kind: 'resynchronise', source: 'flows' } as const] : []),
  ];
}

function drainLog(socket: NetlinkSocket): KernelEvent[] {
  const { messages, overrun } = drainEvents(socket, 'logged packets');
  const { values, unreadable } = decodeEach(messages, [NFLOG_PACKET], decodeLoggedPacket);
  // Views of a datagram would each take the whole of it along to the other thread.
  const packets = values.map((packet) => ({ ...packet, payload: packet.payload.slice() }));
  return [
    ...(packets.length > 0 ? [{ kind: 'logged', packets } as const] : []),
    ...(overrun || unreadable ? [{ kind: 'resynchronise', source: 'log' } as const] : []),
  ];
}
