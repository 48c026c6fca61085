/** Keeps listening to the kernel's events: a thread that ends is started anew, and all it may have missed is looked at. */
import type { Background } from '../kernel/background.ts';
import { type NeighbourKey, neighbourText } from '../netlink/neighbour.ts';
import type { KernelEvent } from '../watch/kernel-event.ts';
import { KernelEvents } from '../watch/kernel-events.ts';

const RESTART_MS = 1000;

export interface EventKeeperOptions {
  readonly background: Background;
  readonly generation: () => number;
  readonly onEvent: (event: KernelEvent) => void;
  /** `KernelEventsOptions.onTurn` */
  readonly onTurn: () => void;
  /** `undefined`: events are heard again. */
  readonly onTrouble: (error: Error | undefined) => void;
}

export class EventKeeper implements AsyncDisposable {
  readonly #options: EventKeeperOptions;
  #events: KernelEvents | undefined;
  #watchesFlows = false;
  #neighbours: readonly NeighbourKey[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  private constructor(options: EventKeeperOptions) {
    this.#options = options;
  }

  /** The first start has to succeed. Rejects with KernelError. */
  static async start(options: EventKeeperOptions): Promise<EventKeeper> {
    const keeper = new EventKeeper(options);
    keeper.#events = await keeper.#open();
    keeper.#watchGuard();
    return keeper;
  }

  watchFlows(on: boolean): void {
    this.#watchesFlows = on;
    this.#events?.watchFlows({ on }).catch((error: unknown) => this.#options.onTrouble(asError(error)));
  }

  /** To be called whenever they may be others. */
  watchNeighbours(keys: readonly NeighbourKey[]): void {
    if (textOf(keys) === textOf(this.#neighbours)) return;
    this.#neighbours = keys;
    this.#tellNeighbours();
  }

  #watchGuard(): void {
    this.#events?.watchGuard().catch((error: unknown) => this.#options.onTrouble(asError(error)));
  }

  #tellNeighbours(): void {
    this.#events?.watchNeighbours(this.#neighbours).catch((error: unknown) => this.#options.onTrouble(asError(error)));
  }

  beginChange(): void {
    this.#events?.beginChange();
  }

  endChange(generation: number): void {
    this.#events?.endChange(generation);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#events?.[Symbol.asyncDispose]();
  }

  #open(): Promise<KernelEvents> {
    const { generation, onEvent, onTurn } = this.#options;
    const onExit = (error: Error): void => this.#restartLater(error);
    return KernelEvents.start({ generation: generation(), onEvent, onTurn, onExit });
  }

  #restartLater(error: Error): void {
    this.#events = undefined;
    if (this.#isClosed) return;
    this.#options.onTrouble(error);
    this.#timer = this.#options.background.timeout(() => this.#restart(), RESTART_MS);
  }

  async #restart(): Promise<void> {
    try {
      const events = await this.#open();
      if (this.#isClosed) return await events[Symbol.asyncDispose]();
      this.#events = events;
      this.#options.onTrouble(undefined);
      this.#watchGuard();
      if (this.#watchesFlows) this.watchFlows(true);
      if (this.#neighbours.length > 0) this.#tellNeighbours();
      this.#options.onEvent({ kind: 'resynchronise', source: 'network' });
      this.#options.onEvent({ kind: 'resynchronise', source: 'ruleset' });
    } catch (error) {
      this.#restartLater(asError(error));
    }
  }
}

const textOf = (keys: readonly NeighbourKey[]): string => keys.map(neighbourText).join();

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
