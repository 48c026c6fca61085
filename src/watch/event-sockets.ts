/** The multicast sockets that the kernel's events come from, and what arrives on them as values. */
import { NetlinkSocket } from '../kernel/netlink-socket.ts';
import { DecodeError } from '../netlink/errors.ts';
import type { NetlinkMessage } from '../netlink/message.ts';
import type { NeighbourKey } from '../netlink/neighbour.ts';
import {
  decodeGeneration,
  decodeTableOfEvent,
  encodeGenerationGet,
  type Generation,
  NFTABLES_GENERATION,
} from '../netlink/nftables.ts';
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
  RTNLGRP_NEXTHOP,
} from '../netlink/uapi.ts';
import { GUARD_LOG_GROUP, TABLE } from '../plan/reserved.ts';
import { EventPace } from './event-pace.ts';
import { decodeEach, drainEvents } from './event-source.ts';
import { FlowEvents } from './flow-events.ts';
import type { KernelEvent } from './kernel-event.ts';
import { NeighbourEvents } from './neighbour-events.ts';
import { isNetworkChange, isOwnRemoval } from './network-change.ts';
import { PacketLog } from './packet-log.ts';

const NETWORK_GROUPS = [
  RTNLGRP_LINK,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV4_RULE,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_IPV6_ROUTE,
  RTNLGRP_IPV6_RULE,
  RTNLGRP_NEXTHOP,
];
/** A routing daemon's full table, or a whole ruleset, arrives at once. */
const RECEIVE_QUEUE_BYTES = 4 * 1024 * 1024;
/** A device that comes up brings a dozen events: after the first they are told as one. */
const COALESCE_MS = 20;

export class EventSockets implements Disposable {
  readonly #network: NetlinkSocket;
  readonly #ruleset: NetlinkSocket;
  /** Apart from the events: an answer must not be looked for among them. */
  readonly #requests: NetlinkSocket;
  #flows: FlowEvents | undefined;
  #neighbours: NeighbourEvents | undefined;
  #guard: PacketLog | undefined;
  readonly #networkPace = new EventPace(COALESCE_MS);
  /** Since the last generation that was heard of. */
  #isOursTouched = false;

  private constructor([network, ruleset, requests]: readonly [NetlinkSocket, NetlinkSocket, NetlinkSocket]) {
    this.#network = network;
    this.#ruleset = ruleset;
    this.#requests = requests;
  }

  /** `queueBytes`: what the kernel keeps for us until it is taken. Throws KernelError. */
  static open(queueBytes: number = RECEIVE_QUEUE_BYTES): EventSockets {
    const opened: NetlinkSocket[] = [];
    const open = (protocol: number, groups?: readonly number[]): NetlinkSocket => {
      const socket = NetlinkSocket.open(protocol, groups === undefined ? {} : { groups });
      opened.push(socket);
      if (groups !== undefined) socket.setReceiveBuffer(queueBytes);
      return socket;
    };
    try {
      return new EventSockets([
        open(NETLINK_ROUTE, NETWORK_GROUPS),
        open(NETLINK_NETFILTER, [NFNLGRP_NFTABLES]),
        open(NETLINK_NETFILTER),
      ]);
    } catch (error) {
      for (const socket of opened) socket[Symbol.dispose]();
      throw error;
    }
  }

  /** Those to wait for. */
  get fds(): readonly number[] {
    return [
      this.#network.fd,
      this.#ruleset.fd,
      ...(this.#flows?.fds ?? []),
      ...(this.#neighbours ? [this.#neighbours.fd] : []),
      ...(this.#guard ? [this.#guard.fd] : []),
    ];
  }

  /** `drain` has something to say by then, whatever arrives; `undefined` where it waits for the sockets alone. */
  get timeoutMs(): number | undefined {
    return this.#networkPace.waitMs(performance.now());
  }

  /** Throws KernelError: EBUSY where another process has the log group. Nobody may be waiting for `fds` meanwhile. */
  watchFlows(on: boolean): void {
    if (on) this.#flows ??= FlowEvents.open();
    else {
      this.#flows?.close();
      this.#flows = undefined;
    }
  }

  /** What the guard drops, one by one: programs wait. Throws KernelError: EBUSY. Nobody may be waiting for `fds` meanwhile. */
  watchGuard(): void {
    this.#guard ??= PacketLog.open({ group: GUARD_LOG_GROUP, packets: 1, timeoutMs: 10 });
  }

  /** News of these neighbours and no others. Throws KernelError. Nobody may be waiting for `fds` meanwhile. */
  watchNeighbours(keys: readonly NeighbourKey[]): void {
    if (keys.length === 0) {
      this.#neighbours?.[Symbol.dispose]();
      this.#neighbours = undefined;
      return;
    }
    this.#neighbours ??= NeighbourEvents.open();
    this.#neighbours.watch(keys);
    // Something may have happened before anybody listened.
    this.#networkPace.note(performance.now());
  }

  /** What has arrived on the sockets that are ready, and what is due. Throws KernelError. */
  drain(ready: readonly number[]): KernelEvent[] {
    return [
      ...(ready.includes(this.#network.fd) ? this.#hearNetwork() : []),
      ...(ready.includes(this.#ruleset.fd) ? this.#hearRuleset() : []),
      ...(this.#flows?.drain(ready) ?? []),
      ...this.#hearNeighbours(ready),
      ...this.#hearGuard(ready),
      ...this.#dueNetwork(),
    ];
  }

  [Symbol.dispose](): void {
    this.#flows?.close();
    this.#neighbours?.[Symbol.dispose]();
    this.#guard?.[Symbol.dispose]();
    for (const socket of [this.#network, this.#ruleset, this.#requests]) socket[Symbol.dispose]();
  }

  #hearNetwork(): KernelEvent[] {
    const { messages, overrun } = drainEvents(this.#network, 'network events');
    if (messages.some(isNetworkChange)) this.#networkPace.note(performance.now());
    const removed: KernelEvent[] = messages.some(isOwnRemoval) ? [{ kind: 'own routing removed' }] : [];
    return overrun ? [...removed, { kind: 'resynchronise', source: 'network' }] : removed;
  }

  #hearNeighbours(ready: readonly number[]): KernelEvent[] {
    if (this.#neighbours === undefined || !ready.includes(this.#neighbours.fd)) return [];
    const { neighbours, overrun } = this.#neighbours.drain();
    const heard: KernelEvent[] = neighbours.length === 0 ? [] : [{ kind: 'neighbours', neighbours }];
    return overrun ? [...heard, { kind: 'resynchronise', source: 'network' }] : heard;
  }

  /** What was lost is dropped again when it is sent again. */
  #hearGuard(ready: readonly number[]): KernelEvent[] {
    if (this.#guard === undefined || !ready.includes(this.#guard.fd)) return [];
    const { packets } = this.#guard.drain();
    return packets.length === 0 ? [] : [{ kind: 'guarded', packets }];
  }

  #dueNetwork(): KernelEvent[] {
    return this.#networkPace.take(performance.now()) ? [{ kind: 'network changed' }] : [];
  }

  /** The last of several generations says it for all. What was lost is asked for: the counter cannot be missed. */
  #hearRuleset(): KernelEvent[] {
    const { messages, overrun } = drainEvents(this.#ruleset, 'nftables events');
    const { values, unreadable } = decodeEach(messages, [NFTABLES_GENERATION], decodeGeneration);
    const isUnclear = overrun || unreadable;
    this.#isOursTouched ||= isUnclear || messages.some(touchesOurs);
    const by = isUnclear ? this.#currentGeneration() : values.at(-1);
    // What changed is told before the generation that has it.
    if (by === undefined) return [];
    const isOurs = this.#isOursTouched;
    this.#isOursTouched = false;
    return [{ kind: 'ruleset changed', by, isOurs }];
  }

  #currentGeneration(): Generation | undefined {
    const subject = { operation: 'get generation', object: 'nftables' };
    const [answer] = this.#requests.request(encodeGenerationGet(), subject);
    // It carries the name of whoever asked: that is us.
    return answer && { generation: decodeGeneration(answer).generation };
  }
}

/** Of iptables' tables, where rules of ours are on kernels without nft `queue`. */
const XTABLES_TABLE = 'mangle';

function touchesOurs(message: NetlinkMessage): boolean {
  try {
    const table = decodeTableOfEvent(message);
    return table === TABLE || table === XTABLES_TABLE;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return true;
  }
}
