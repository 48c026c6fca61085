import { constants } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { equalAddress, formatAddress } from '../../net/address.ts';
import type { MonotonicMs } from '../../net/clock.ts';
import { withBits } from '../../net/mark.ts';
import type { ConntrackEntry } from '../../netlink/conntrack.ts';
import type { ConntrackTuple } from '../../netlink/conntrack-tuple.ts';
import type { Link } from '../../netlink/link.ts';
import type { XtablesQueue } from '../../plan/plan.ts';
import { MARK_OURS } from '../../plan/reserved.ts';
import { kernelErrorFromErrno } from '../errno.ts';
import type { Connections, Conntrack, Kernel, OutgoingFlow, Xtables } from '../kernel.ts';
import { systemClock } from '../system-clock.ts';
import { FailurePlan } from './failure-plan.ts';
import { FakeKeptPrograms } from './fake-kept-programs.ts';
import { FakeNeighbours } from './fake-neighbours.ts';
import { FakeNft } from './fake-nft.ts';
import { type FakeNetwork, FakeRouting } from './fake-routing.ts';
import { FakeTunnels } from './fake-tunnels.ts';
import { FakeWireless } from './fake-wireless.ts';

export interface FakeKernelOptions extends Partial<FakeNetwork> {
  /** Whether nft has `queue`; false as on kernels that need xtables. */
  readonly hasQueue?: boolean;
  readonly nowMs?: () => MonotonicMs;
}

/** A kernel in memory: it refuses what the real one refuses, and what a test orders by `failures`. */
export class FakeKernel implements Kernel {
  readonly failures: FailurePlan = new FailurePlan();
  readonly nft: FakeNft;
  readonly routing: FakeRouting;
  readonly xtables: FakeXtables;
  readonly conntrack: FakeConntrack;
  readonly connections: FakeConnections;
  readonly neighbours: FakeNeighbours;
  readonly wireless: FakeWireless = new FakeWireless();
  readonly tunnels: FakeTunnels = new FakeTunnels();
  readonly keptPrograms: FakeKeptPrograms = new FakeKeptPrograms(this.failures);

  constructor(options: FakeKernelOptions = {}) {
    const {
      hasQueue = false,
      nowMs = systemClock.monotonicMs,
      links = [],
      addresses = [],
      routes = [],
      rules = [],
    } = options;
    this.nft = new FakeNft({ failures: this.failures, hasQueue, nowMs });
    this.routing = new FakeRouting(this.failures, { links, addresses, routes, rules });
    this.xtables = new FakeXtables(this.failures);
    this.conntrack = new FakeConntrack(this.failures);
    this.connections = new FakeConnections(this.failures);
    this.neighbours = new FakeNeighbours(this.failures);
  }
}

export class FakeXtables implements Xtables {
  readonly #failures: FailurePlan;
  #queues: readonly XtablesQueue[] = [];

  constructor(failures: FailurePlan) {
    this.#failures = failures;
  }

  async observeQueue(): Promise<XtablesQueue | undefined> {
    return this.#queues.length === 1 ? this.#queues[0] : undefined;
  }

  async queues(): Promise<readonly XtablesQueue[]> {
    return this.#queues;
  }

  async addQueue(queue: XtablesQueue): Promise<void> {
    this.#failures.check('add xtables queue');
    if (!this.#queues.some((own) => isDeepStrictEqual(own, queue))) this.#queues = [...this.#queues, queue];
  }

  async deleteQueue(queue: XtablesQueue): Promise<void> {
    this.#failures.check('delete xtables queue');
    this.#queues = this.#queues.filter((own) => !isDeepStrictEqual(own, queue));
  }

  async deleteQueues(): Promise<void> {
    this.#failures.check('delete xtables queue');
    this.#queues = [];
  }
}

export class FakeConntrack implements Conntrack {
  readonly #failures: FailurePlan;
  #entries: readonly ConntrackEntry[] = [];

  constructor(failures: FailurePlan) {
    this.#failures = failures;
  }

  /** What traffic does. */
  addEntry(entry: ConntrackEntry): void {
    this.#entries = [...this.#entries, entry];
  }

  ownEntries(): readonly ConntrackEntry[] {
    this.#failures.check('conntrack');
    return this.#entries.filter(({ mark }) => (mark & MARK_OURS) !== 0);
  }

  entryOfReply(reply: ConntrackTuple): ConntrackEntry | undefined {
    this.#failures.check('conntrack');
    const key = tupleText(reply);
    return this.#entries.find((entry) => tupleText(entry.reply) === key);
  }

  updateMark(entry: ConntrackEntry, value: number, mask: number): void {
    this.#failures.check('conntrack');
    this.#require(entry);
    this.#entries = this.#entries.map((other) =>
      other.id === entry.id ? { ...other, mark: withBits(other.mark, value, mask) } : other,
    );
  }

  deleteEntry(entry: ConntrackEntry): void {
    this.#failures.check('conntrack');
    this.#require(entry);
    this.#entries = this.#entries.filter(({ id }) => id !== entry.id);
  }

  #require(entry: ConntrackEntry): void {
    if (this.#entries.some(({ id }) => id === entry.id)) return;
    throw kernelErrorFromErrno('conntrack entry', constants.errno.ENOENT, `${entry.id}`);
  }
}

export class FakeConnections implements Connections {
  readonly #failures: FailurePlan;
  #open: readonly OutgoingFlow[] = [];

  constructor(failures: FailurePlan) {
    this.#failures = failures;
  }

  /** What a program's connect(2) does. */
  connect(flow: OutgoingFlow): void {
    this.#open = [...this.#open, flow];
  }

  isOpen(flow: OutgoingFlow): boolean {
    return this.#open.some((other) => isSameFlow(other, flow));
  }

  boundDevice(flow: OutgoingFlow): number | undefined {
    return this.#open.find((other) => isSameFlow(other, flow))?.deviceIndex;
  }

  abort(flow: OutgoingFlow): boolean {
    if (!this.isOpen(flow)) return false;
    this.#failures.check('abort connection');
    this.#open = this.#open.filter((other) => !isSameFlow(other, flow));
    return true;
  }
}

const isSameFlow = (a: OutgoingFlow, b: OutgoingFlow): boolean =>
  a.protocol === b.protocol &&
  a.sourcePort === b.sourcePort &&
  a.destinationPort === b.destinationPort &&
  equalAddress(a.source, b.source) &&
  equalAddress(a.destination, b.destination);
const tupleText = ({ protocol, source, sourcePort, destination, destinationPort }: ConntrackTuple): string =>
  [protocol, formatAddress(source), sourcePort, formatAddress(destination), destinationPort].join(' ');

/** A device for tests: up and with carrier unless said otherwise. */
export function fakeLink(link: Pick<Link, 'index' | 'name'> & Partial<Link>): Link {
  return {
    type: 1,
    up: true,
    running: true,
    lowerUp: true,
    loopback: false,
    operationalState: 'up',
    mtu: 1500,
    bridgePortEvent: false,
    ...link,
  };
}
