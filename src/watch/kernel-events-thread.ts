/**
 * The event thread: it blocks in poll(2) on multicast netlink sockets and hands decoded events to the main thread.
 * Started by KernelEvents.
 */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { EventFd } from '../kernel/event-fd.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { NetlinkSocket } from '../kernel/netlink-socket.ts';
import { poll } from '../kernel/poll.ts';
import { decodeGeneration, encodeGenerationGet, type Generation, NFTABLES_GENERATION } from '../netlink/nftables.ts';
import {
  NETLINK_NETFILTER,
  NETLINK_ROUTE,
  NFNLGRP_NFTABLES,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV4_RULE,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_IPV6_ROUTE,
  RTNLGRP_IPV6_RULE,
  RTNLGRP_LINK,
} from '../netlink/uapi.ts';
import { decodeEach, drainEvents } from './event-source.ts';
import { FlowEvents } from './flow-events.ts';
import type { EventThreadStart, FromEventThread, ToEventThread } from './kernel-event.ts';
import { isNetworkChange } from './network-change.ts';

const NETWORK_GROUPS = [
  RTNLGRP_LINK,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV4_RULE,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_IPV6_ROUTE,
  RTNLGRP_IPV6_RULE,
];
/** A routing daemon's full table, or a whole ruleset, arrives at once. */
const RECEIVE_QUEUE_BYTES = 4 * 1024 * 1024;
/** A device that comes up brings a dozen events: they are told as one. */
const COALESCE_MS = 20;
/** A thread in a system call cannot be ended: this is how long a process that exits in a hurry waits for it. */
const POLL_LIMIT_MS = 500;

class EventThread {
  readonly #port: MessagePort;
  readonly #wake: EventFd;
  readonly #network = NetlinkSocket.open(NETLINK_ROUTE, { groups: NETWORK_GROUPS });
  readonly #ruleset = NetlinkSocket.open(NETLINK_NETFILTER, { groups: [NFNLGRP_NFTABLES] });
  /** Apart from the events: an answer must not be looked for among them. */
  readonly #requests = NetlinkSocket.open(NETLINK_NETFILTER);
  #flows: FlowEvents | undefined;
  #networkDueMs: number | undefined;

  constructor(port: MessagePort, wake: EventFd) {
    this.#port = port;
    this.#wake = wake;
    for (const socket of [this.#network, this.#ruleset]) socket.setReceiveBuffer(RECEIVE_QUEUE_BYTES);
  }

  /** Until it is told to stop. Throws KernelError. */
  run(): void {
    this.#say({ kind: 'ready' });
    for (;;) {
      const ready = poll(
        [this.#wake.fd, this.#network.fd, this.#ruleset.fd, ...(this.#flows?.fds ?? [])],
        this.#timeoutMs(),
      );
      if (ready.includes(this.#wake.fd) && this.#obey() === 'stop') return;
      if (ready.includes(this.#network.fd)) this.#hearNetwork();
      if (ready.includes(this.#ruleset.fd)) this.#hearRuleset();
      for (const event of this.#flows?.drain(ready) ?? []) this.#say(event);
      this.#tellNetwork();
    }
  }

  close(): void {
    this.#flows?.close();
    for (const socket of [this.#network, this.#ruleset, this.#requests]) socket[Symbol.dispose]();
    this.#port.close();
  }

  #say(message: FromEventThread): void {
    this.#port.postMessage(message);
  }

  #timeoutMs(): number {
    if (this.#networkDueMs === undefined) return POLL_LIMIT_MS;
    return Math.max(0, Math.ceil(this.#networkDueMs - performance.now()));
  }

  #obey(): 'stop' | 'go on' {
    this.#wake.drain();
    for (let next = receiveMessageOnPort(this.#port); next !== undefined; next = receiveMessageOnPort(this.#port)) {
      const message = next.message as ToEventThread;
      if (message.kind === 'stop') return 'stop';
      this.#watchFlows(message.on);
    }
    return 'go on';
  }

  #watchFlows(on: boolean): void {
    try {
      if (on) this.#flows ??= FlowEvents.open();
      else {
        this.#flows?.close();
        this.#flows = undefined;
      }
      this.#say({ kind: 'watching flows', on });
    } catch (error) {
      this.#say(refusalOf(error, false));
    }
  }

  #hearNetwork(): void {
    const { messages, overrun } = drainEvents(this.#network, 'network events');
    if (overrun) this.#say({ kind: 'resynchronise', source: 'network' });
    if (messages.some(isNetworkChange)) this.#networkDueMs ??= performance.now() + COALESCE_MS;
  }

  #tellNetwork(): void {
    if (this.#networkDueMs === undefined || performance.now() < this.#networkDueMs) return;
    this.#networkDueMs = undefined;
    this.#say({ kind: 'network changed' });
  }

  /** The last of several generations says it for all. What was lost is asked for: the counter cannot be missed. */
  #hearRuleset(): void {
    const { messages, overrun } = drainEvents(this.#ruleset, 'nftables events');
    const { values, unreadable } = decodeEach(messages, [NFTABLES_GENERATION], decodeGeneration);
    const by = overrun || unreadable ? this.#currentGeneration() : values.at(-1);
    if (by !== undefined) this.#say({ kind: 'ruleset changed', by });
  }

  #currentGeneration(): Generation | undefined {
    const subject = { operation: 'get generation', object: 'nftables' };
    const [answer] = this.#requests.request(encodeGenerationGet(), subject);
    // It carries the name of whoever asked: that is us.
    return answer && { generation: decodeGeneration(answer).generation };
  }
}

function refusalOf(error: unknown, fatal: boolean): FromEventThread {
  if (!(error instanceof KernelError)) throw error;
  const { operation, errno, object } = error;
  return { kind: 'refused', operation, errno, object, fatal };
}

function main(port: MessagePort, { wakeFd }: EventThreadStart): void {
  let thread: EventThread | undefined;
  try {
    thread = new EventThread(port, EventFd.borrow(wakeFd));
    thread.run();
  } catch (error) {
    port.postMessage(refusalOf(error, true));
  }
  thread?.close();
}

if (parentPort !== null) main(parentPort, workerData as EventThreadStart);
