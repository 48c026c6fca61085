import { NetlinkSocket } from '../kernel/netlink-socket.ts';
import { CONNTRACK_DELETE, CONNTRACK_NEW, decodeConntrackEvent } from '../netlink/conntrack.ts';
import { NETLINK_NETFILTER, NFNLGRP_CONNTRACK_DESTROY, NFNLGRP_CONNTRACK_NEW } from '../netlink/uapi.ts';
import { LOG_GROUP } from '../plan/reserved.ts';
import { decodeEach, drainEvents } from './event-source.ts';
import type { KernelEvent } from './kernel-event.ts';
import { PacketLog } from './packet-log.ts';

/** A busy server's new flows of a second. */
const RECEIVE_QUEUE_BYTES = 4 * 1024 * 1024;
/** A person who watches notices no delay below this; a burst is one event. */
const LOG_DELAY_MS = 50;
const LOG_BATCH_PACKETS = 32;

/** New and ended conntrack entries, and what our rules log. Costs the kernel work for each flow, so only while watched. */
export class FlowEvents {
  readonly #conntrack: NetlinkSocket;
  readonly #log: PacketLog;

  private constructor(conntrack: NetlinkSocket, log: PacketLog) {
    this.#conntrack = conntrack;
    this.#log = log;
  }

  /** Throws KernelError: EBUSY where another process has the log group. */
  static open(): FlowEvents {
    const groups = [NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_DESTROY];
    const conntrack = NetlinkSocket.open(NETLINK_NETFILTER, { groups });
    try {
      conntrack.setReceiveBuffer(RECEIVE_QUEUE_BYTES);
      const log = PacketLog.open({ group: LOG_GROUP, packets: LOG_BATCH_PACKETS, timeoutMs: LOG_DELAY_MS });
      return new FlowEvents(conntrack, log);
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
    this.#log[Symbol.dispose]();
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

function drainLog(log: PacketLog): KernelEvent[] {
  const { packets, isWhole } = log.drain();
  return [
    ...(packets.length > 0 ? [{ kind: 'logged', packets } as const] : []),
    ...(isWhole ? [] : [{ kind: 'resynchronise', source: 'log' } as const]),
  ];
}
