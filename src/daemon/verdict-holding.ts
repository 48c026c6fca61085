/** Flows whose first packets wait in the kernel's queue until a name is known or an uplink is up. Bounded in flows, packets and time. */
import type { Flow } from '../net/flow.ts';
import type { Sender } from '../policy/identity.ts';
import { type Taken, UserShares } from './user-shares.ts';

/** Flows that wait at the same time. */
export const MAX_HELD_FLOWS = 1024;
/** Of one user, by however many applications. */
export const MAX_HELD_FLOWS_OF_USER = 512;
/** Packets of one flow: its retransmissions, or the first datagrams of a burst. */
export const MAX_HELD_PACKETS_PER_FLOW = 8;
/** Packets of all flows: the queue in the kernel has room for as many again, for flows that need not wait. */
export const MAX_HELD_PACKETS = 2048;
/** Of one application: its flows to a name that nobody answers for must leave room for others'. */
export const MAX_HELD_PACKETS_PER_APP = 512;
/** From the first packet on. A resolver that needs longer has failed; programs try for longer than this. */
export const HOLD_MS = 3000;

export interface HeldPacket {
  readonly packetId: number;
  readonly mark: number;
  readonly receivedUs: number;
}

/** `deadlineMs`: on the clock of the caller. `packets` in the order of arrival, never empty. */
export interface HeldFlow {
  /** A uid, or what else stands for the sender. */
  readonly user: number;
  /** The application it counts for; '' for none. It stays where a new policy gives the flow to another. */
  readonly app: string;
  readonly flow: Flow;
  readonly owner: Sender;
  readonly deadlineMs: number;
  readonly packets: HeldPacket[];
  /** A name; '' for an uplink. */
  waitsFor: string;
}

export class HeldFlows {
  readonly #flows = new Map<string, HeldFlow>();
  /** Number of flows that wait for a name. */
  readonly #names = new Map<string, number>();
  /** Packets that an application holds. */
  readonly #apps = new Map<string, number>();
  readonly #shares: UserShares<string>;
  #packets = 0;

  constructor(limit: number = MAX_HELD_FLOWS) {
    this.#shares = new UserShares({ places: limit, placesOfUser: Math.min(limit, MAX_HELD_FLOWS_OF_USER) });
  }

  get flowCount(): number {
    return this.#flows.size;
  }

  get packetCount(): number {
    return this.#packets;
  }

  /** When the first of them has waited long enough; undefined where none waits. All wait equally long: the oldest is first. */
  get nextDeadlineMs(): number | undefined {
    const first = this.#flows.values().next();
    return first.done === true ? undefined : first.value.deadlineMs;
  }

  /** Adds a packet to its flow. `absent`: the flow is not held; `full`: it holds enough, and the packet is not taken. */
  fold(key: string, packet: HeldPacket): 'folded' | 'full' | 'absent' {
    const held = this.#flows.get(key);
    if (held === undefined) return 'absent';
    if (held.packets.length >= MAX_HELD_PACKETS_PER_FLOW || !this.#hasRoom(held.app)) return 'full';
    held.packets.push(packet);
    this.#countPackets(held.app, 1);
    return 'folded';
  }

  /** `taken over`: the flow of this key, of a user who has more of them, is to be released for it. */
  hold(key: string, held: HeldFlow): Taken<string> {
    if (!this.#hasRoom(held.app)) return { kind: 'full' };
    const taken = this.#shares.take(held.user, key);
    if (taken.kind === 'full') return taken;
    this.#flows.set(key, held);
    this.#countPackets(held.app, held.packets.length);
    this.#count(held.waitsFor, 1);
    return taken;
  }

  get(key: string): HeldFlow | undefined {
    return this.#flows.get(key);
  }

  /** How many flows wait for this name. */
  waitingFor(name: string): number {
    return this.#names.get(name) ?? 0;
  }

  waitFor(held: HeldFlow, name: string): void {
    this.#count(held.waitsFor, -1);
    held.waitsFor = name;
    this.#count(name, 1);
  }

  release(key: string): HeldFlow | undefined {
    const held = this.#flows.get(key);
    if (held === undefined) return undefined;
    this.#flows.delete(key);
    this.#shares.free(held.user, key);
    this.#countPackets(held.app, -held.packets.length);
    this.#count(held.waitsFor, -1);
    return held;
  }

  /** Oldest first; entries may be released while walking. */
  entries(): IterableIterator<[string, HeldFlow]> {
    return this.#flows.entries();
  }

  #hasRoom(app: string): boolean {
    return this.#packets < MAX_HELD_PACKETS && (this.#apps.get(app) ?? 0) < MAX_HELD_PACKETS_PER_APP;
  }

  #countPackets(app: string, difference: number): void {
    this.#packets += difference;
    const count = (this.#apps.get(app) ?? 0) + difference;
    if (count === 0) this.#apps.delete(app);
    else this.#apps.set(app, count);
  }

  #count(name: string, difference: 1 | -1): void {
    const count = this.waitingFor(name) + difference;
    if (count === 0) this.#names.delete(name);
    else this.#names.set(name, count);
  }
}
