/**
 * What happens in the kernel without our doing. The wait for it takes a thread of libuv's pool and not a worker thread: that
 * would be an isolate of its own, about 9 MB, for a few events an hour.
 */
import { EventFd } from '../kernel/event-fd.ts';
import { pollInPool } from '../kernel/poll.ts';
import type { NeighbourKey } from '../netlink/neighbour.ts';
import { EventSockets } from './event-sockets.ts';
import type { KernelEvent } from './kernel-event.ts';
import { RulesetWatch } from './ruleset-watch.ts';

/** A thread in a system call cannot be ended: this is how long a process that exits in a hurry waits for it. */
const POLL_LIMIT_MS = 500;

export interface KernelEventsOptions {
  /** `Nft.generation()` now: what is later is news. */
  readonly generation: number;
  readonly onEvent: (event: KernelEvent) => void;
  /** Nothing is heard any more, without having been told so. */
  readonly onExit: (error: Error) => void;
  /** At the end of each turn, at least twice a second: for what can wait until somebody is awake. */
  readonly onTurn?: () => void;
  /** Another size of the kernel's queues for us than the usual. */
  readonly queueBytes?: number;
}

/** Done between two waits, when nobody looks at the sockets. */
interface Task {
  readonly run: () => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class KernelEvents implements AsyncDisposable {
  readonly #options: KernelEventsOptions;
  readonly #sockets: EventSockets;
  readonly #wake = EventFd.open();
  readonly #ruleset: RulesetWatch;
  readonly #ended: Promise<void>;
  #tasks: Task[] = [];
  #state: 'running' | 'closing' | 'ended' = 'running';

  private constructor(options: KernelEventsOptions) {
    this.#options = options;
    this.#sockets = EventSockets.open(options.queueBytes);
    this.#ruleset = new RulesetWatch(options.generation, (by, isOurs) =>
      options.onEvent({ kind: 'ruleset changed', by, isOurs }),
    );
    this.#ended = this.#run();
  }

  /** Resolves when events are heard. Rejects with KernelError. */
  static async start(options: KernelEventsOptions): Promise<KernelEvents> {
    return new KernelEvents(options);
  }

  /** Subscribes to new and ended flows and to logged packets, or ends that. Rejects with KernelError: EBUSY. */
  watchFlows(want: { readonly on: boolean }): Promise<void> {
    return this.#betweenWaits(() => this.#sockets.watchFlows(want.on));
  }

  /** What the last guard drops from now on. Rejects with KernelError: EBUSY. */
  watchGuard(): Promise<void> {
    return this.#betweenWaits(() => this.#sockets.watchGuard());
  }

  /** News of these neighbours from now on; what came before is told as a change of the network. Rejects with KernelError. */
  watchNeighbours(keys: readonly NeighbourKey[]): Promise<void> {
    return this.#betweenWaits(() => this.#sockets.watchNeighbours(keys));
  }

  /**
   * We change nftables ourselves from now on: until `endChange` nothing is taken for somebody else's.
   * Changes do not overlap.
   */
  beginChange(): void {
    this.#ruleset.beginChange();
  }

  /** `generation`: at which the result was seen to be right (`ApplyReport.generation`). What came later is news. */
  endChange(generation: number): void {
    this.#ruleset.endChange(generation);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'running') {
      this.#state = 'closing';
      this.#wake.signal();
    }
    await this.#ended;
  }

  #betweenWaits(run: () => void): Promise<void> {
    if (this.#state !== 'running') return Promise.reject(new Error('listening to the kernel has ended'));
    return new Promise((resolve, reject) => {
      this.#tasks.push({ run, resolve, reject });
      this.#wake.signal();
    });
  }

  async #run(): Promise<void> {
    let failure: Error | undefined;
    try {
      while (this.#state === 'running') await this.#turn();
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
    }
    this.#state = 'ended';
    this.#sockets[Symbol.dispose]();
    this.#wake[Symbol.dispose]();
    const tasks = this.#tasks;
    this.#tasks = [];
    for (const { reject } of tasks) reject(failure ?? new Error('listening to the kernel has ended'));
    // Whoever waits for an answer has been told.
    if (failure !== undefined && tasks.length === 0) this.#options.onExit(failure);
  }

  async #turn(): Promise<void> {
    const { fds, timeoutMs = POLL_LIMIT_MS } = this.#sockets;
    const ready = await pollInPool([this.#wake.fd, ...fds], timeoutMs);
    if (this.#state !== 'running') return;
    if (ready.includes(this.#wake.fd)) this.#wake.drain();
    for (const event of this.#sockets.drain(ready)) this.#hear(event);
    for (const { run, resolve, reject } of this.#tasks.splice(0)) {
      try {
        run();
        resolve();
      } catch (error) {
        reject(error);
      }
    }
    this.#options.onTurn?.();
  }

  #hear(event: KernelEvent): void {
    if (event.kind === 'ruleset changed') this.#ruleset.hear(event.by, event.isOurs);
    else this.#options.onEvent(event);
  }
}
