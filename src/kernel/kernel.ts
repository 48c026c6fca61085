/**
 * The only door to Linux, as the layers above see it. `linux-kernel.ts` opens the real one, `fake/` a kernel in memory
 * that refuses what the real one refuses; `contract/` is the suite that both pass. Every failure is a KernelError.
 */
import type { Address } from '../net/address.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { Flow } from '../net/flow.ts';
import type { ConntrackEntry } from '../netlink/conntrack.ts';
import type { ConntrackTuple } from '../netlink/conntrack-tuple.ts';
import type { Link } from '../netlink/link.ts';
import type { LinkAddress } from '../netlink/link-address.ts';
import type { Neighbour, NeighbourKey } from '../netlink/neighbour.ts';
import type { Route } from '../netlink/route.ts';
import type { RoutingRule } from '../netlink/routing-rule.ts';
import type { NftCommand } from '../plan/nft/command.ts';
import type { NftSet, SetElement } from '../plan/nft/ruleset.ts';
import type { PlannedRoute, PlannedRule, XtablesQueue } from '../plan/plan.ts';
import type { HolderSocket } from '../policy/facts.ts';
import type { SocketMarks } from './socket-marks.ts';

export interface Kernel {
  readonly nft: Nft;
  readonly routing: Routing;
  readonly xtables: Xtables;
  readonly conntrack: Conntrack;
  readonly connections: Connections;
  readonly neighbours: Neighbours;
  readonly wireless: Wireless;
  readonly tunnels: Tunnels;
  readonly keptPrograms: KeptPrograms;
  /** Absent where this kernel cannot mark sockets, or may not be asked to. */
  readonly sockets?: SocketMarks;
}

/** BPF programs and maps that outlive daemons: of this network namespace unless stated. */
export interface KeptPrograms {
  areHere(): boolean;
  remove(): void;
  /** Of network namespaces that are gone: nobody else would ever remove them. */
  removeOfGoneNamespaces(): void;
}

/** A table by names, counts and prints: enough to see whether it is what we loaded. */
export interface ObservedTable {
  /** Rules of each chain. */
  readonly chains: ReadonlyMap<string, number>;
  /** Elements of each named set and map; those with a timeout may go at any moment. */
  readonly sets: ReadonlyMap<string, number>;
  readonly maps: ReadonlyMap<string, number>;
  /** Of each set: elements that never expire. */
  readonly lasting: ReadonlyMap<string, number>;
  readonly prints: Prints;
}

/**
 * By `printOf`: other where somebody has put another one into its place. Of a chain what it is, of its rules what they say and their handles,
 * of a set or map its elements that never expire.
 */
export type Prints = ReadonlyMap<string, string>;

export const printOf: {
  readonly chain: (name: string) => string;
  readonly rules: (chain: string) => string;
  readonly elements: (set: string) => string;
} = {
  chain: (name) => `chain ${name}`,
  rules: (chain) => `rules ${chain}`,
  elements: (set) => `elements ${set}`,
};

/** Elements for a set of our table that has the flag `timeout`. */
export interface SetAddition {
  readonly set: NftSet;
  readonly elements: readonly SetElement[];
}

export interface Nft {
  /**
   * The text commands take effect as a whole or not at all; elements of cgroup maps follow as a second transaction.
   * `nowMs`: against which the expiries of elements count.
   */
  apply(commands: readonly NftCommand[], nowMs: MonotonicMs): Promise<void>;
  /**
   * Lets elements of sets with timeouts hold from now on until they expire, whether they are there or not, at once and without
   * starting nft(8). All of them or none; EEXIST or ENOTEMPTY where one overlaps another that is there, ERESTART where the
   * generation is another than `at`. Returns the generation from then on.
   */
  refreshElements(additions: readonly SetAddition[], nowMs: MonotonicMs, at: number): number;
  /** The keys of a set or map of our table, as of users or marks; none where there is no such one. */
  numbersIn(name: string): readonly number[];
  /** Asks whether `apply` would be accepted, without effect. Elements of cgroup maps are not looked at. */
  check(commands: readonly NftCommand[], nowMs: MonotonicMs): Promise<void>;
  /** The table of family inet with this name; undefined where there is none. */
  observe(table: string): Promise<ObservedTable | undefined>;
  /** Whether the kernel has the statement `queue`. Leaves nothing behind. */
  supports(feature: 'queue'): Promise<boolean>;
  /** Loads PANIC_TABLE, which lets nothing but loopback and the link's own housekeeping pass. */
  loadPanicTable(): Promise<void>;
  /** Counts every committed change of this namespace's nftables, whoever made it: equal means untouched. */
  generation(): number;
}

export interface Routing {
  links(): readonly Link[];
  addresses(): readonly LinkAddress[];
  /**
   * The number of a process's network namespace, as links name the one of their other end; undefined where the process has
   * ended, or no link leads there. Links that have just come are numbered by `links()`.
   */
  namespaceIdOf(pid: number): number | undefined;
  /** Routes of all tables, of whomever. */
  routes(): readonly Route[];
  rules(): readonly RoutingRule[];
  /** The device by which a packet with this mark would be sent, by the rules and routes as they are; undefined where none is. */
  deviceTo(destination: Address, mark: number): number | undefined;
  /** Routes that carry our protocol number and stand in our tables. */
  ownRoutes(): readonly PlannedRoute[];
  /** Rules that carry our protocol number and a preference of ours. */
  ownRules(): readonly PlannedRule[];
  /** Takes the place of a route with the same table, destination and metric. ENODEV where the device is gone. */
  addRoute(route: PlannedRoute): void;
  /** Exactly this one; ESRCH where it is not there. */
  deleteRoute(route: PlannedRoute): void;
  /** EEXIST where it is there already. */
  addRule(rule: PlannedRule): void;
  /** ENOENT where it is not there. */
  deleteRule(rule: PlannedRule): void;
}

/** Where packets of a tunnel go: to somebody by the rules and routes, or by the device that their socket is bound to. */
export type OuterFlow =
  | { readonly remote: Address; readonly mark: number }
  | { readonly deviceIndex: number; readonly mark: number };

/** Processes with a descriptor of a tun or tap device, and the sockets by which they send; undefined where nobody is seen to hold it. */
export interface TunUse {
  readonly pids: readonly number[];
  readonly sockets: readonly HolderSocket[];
}

/** Undefined where nobody can tell: who holds a device cannot be seen, or its socket may send to anybody. */
export interface Tunnels {
  /** Of a tun or tap device of this network namespace, by the sockets of the processes that hold it. */
  ofTun(device: string): readonly OuterFlow[] | undefined;
  useOfTun(device: string): TunUse | undefined;
  ofWireGuard(deviceIndex: number): readonly OuterFlow[] | undefined;
  /** By which a WireGuard device sends; undefined where it cannot be told. */
  portOfWireGuard(deviceIndex: number): number | undefined;
}

/** NFQUEUE rules in the mangle OUTPUT and INPUT chains of iptables and ip6tables: one queue is one rule in each of the four. */
export interface Xtables {
  /** The one that all four chains have, and nothing else of ours; undefined otherwise. */
  observeQueue(): Promise<XtablesQueue | undefined>;
  /** Every one of ours that stands in any of them: parts and predecessors too. */
  queues(): Promise<readonly XtablesQueue[]>;
  /** Adds it to each chain that lacks it: in all or in none. */
  addQueue(queue: XtablesQueue): Promise<void>;
  /** Removes it where it is, and the tables where they were made for us and are empty again. */
  deleteQueue(queue: XtablesQueue): Promise<void>;
  /** The same for every rule of ours. */
  deleteQueues(): Promise<void>;
}

export interface Conntrack {
  /** Entries with our bit in the conntrack mark. */
  ownEntries(): readonly ConntrackEntry[];
  /** The entry whose answers have this tuple; undefined where there is none. */
  entryOfReply(reply: ConntrackTuple): ConntrackEntry | undefined;
  /** `mark = mark & ~mask | value`; the entry must still be there. */
  updateMark(entry: ConntrackEntry, value: number, mask: number): void;
  deleteEntry(entry: ConntrackEntry): void;
}

/** Sockets of programs, by the flow that they send. */
export interface Connections {
  /**
   * Ends the socket that is connected so: its program gets ECONNABORTED at once, a TCP peer a reset. False where there is none:
   * it has ended by itself, is in another network namespace, or is a UDP socket that is not connected. Throws KernelError:
   * EOPNOTSUPP where the kernel can not do that.
   */
  abort(flow: OutgoingFlow): boolean;
  /** The device that the socket which is connected so is bound to; undefined where there is no such socket, or it is bound to none. */
  boundDevice(flow: OutgoingFlow): number | undefined;
}

export interface OutgoingFlow
  extends Pick<Flow, 'protocol' | 'source' | 'destination' | 'sourcePort' | 'destinationPort'> {
  /** Sockets bound to this device are meant, too. */
  readonly deviceIndex?: number;
}

/** Who is at the other end of a device: the kernel's table of link-layer addresses. */
export interface Neighbours {
  /** Undefined where the kernel has no entry. */
  find(key: NeighbourKey): Neighbour | undefined;
  /**
   * Has the kernel find out who the neighbour is, or whether he is still the same, and returns before it knows. Nothing is sent to
   * him but the question itself. Without effect on a permanent entry.
   */
  resolve(key: NeighbourKey): void;
}

/** Wireless devices of this network namespace. */
export interface Wireless {
  /** By the device's index, those that are in a network. Empty where the kernel has nothing wireless. */
  ssids(): ReadonlyMap<number, string>;
}
