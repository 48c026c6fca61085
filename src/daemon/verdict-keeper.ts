/** Keeps a verdict thread running: one that ends is started anew, with the snapshot that holds then. */
import { VerdictChannel, type VerdictChannelOptions } from './verdict-channel.ts';
import type { VerdictStats } from './verdict-message.ts';
import type { VerdictSnapshot } from './verdict-snapshot.ts';

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 10_000;

export interface VerdictKeeperOptions extends Omit<VerdictChannelOptions, 'onExit'> {
  /** `undefined`: packets are answered again. */
  readonly onTrouble: (error: Error | undefined) => void;
}

export class VerdictKeeper implements AsyncDisposable {
  readonly #options: VerdictKeeperOptions;
  #channel: VerdictChannel | undefined;
  #snapshot: VerdictSnapshot;
  #delayMs = FIRST_DELAY_MS;
  #timer: NodeJS.Timeout | undefined;
  #restarting: Promise<void> | undefined;
  #isClosed = false;

  private constructor(options: VerdictKeeperOptions) {
    this.#options = options;
    this.#snapshot = options.snapshot;
  }

  /** The first start has to succeed. Rejects with KernelError. */
  static async start(options: VerdictKeeperOptions): Promise<VerdictKeeper> {
    const keeper = new VerdictKeeper(options);
    keeper.#channel = await keeper.#open();
    return keeper;
  }

  publish(snapshot: VerdictSnapshot): void {
    if (snapshot === this.#snapshot) return;
    this.#snapshot = snapshot;
    this.#channel?.publish(snapshot);
  }

  /** Counts the signs of life of the thread; stands still while none runs. */
  get beats(): number {
    return this.#channel?.beats ?? 0;
  }

  /** Resolves when no packet is answered by a snapshot before this revision any more. */
  async published(revision: number): Promise<void> {
    // A thread that is just being started has the snapshot of that moment, and the latest a moment later.
    await this.#restarting;
    await this.#channel?.published(revision);
  }

  async stats(): Promise<VerdictStats | undefined> {
    try {
      return await this.#channel?.stats();
    } catch {
      // It ended while it was asked.
      return undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#channel?.close();
  }

  #open(): Promise<VerdictChannel> {
    return VerdictChannel.start({
      ...this.#options,
      snapshot: this.#snapshot,
      onExit: (error) => this.#restartLater(error),
    });
  }

  #restartLater(error: Error): void {
    this.#channel = undefined;
    if (this.#isClosed) return;
    this.#options.onTrouble(error);
    this.#timer = this.#options.background.timeout(() => {
      this.#restarting = this.#restart();
      return this.#restarting;
    }, this.#delayMs);
    this.#delayMs = Math.min(this.#delayMs * 2, MAX_DELAY_MS);
  }

  async #restart(): Promise<void> {
    const snapshot = this.#snapshot;
    try {
      const channel = await this.#open();
      if (this.#isClosed) return await channel.close();
      this.#channel = channel;
      if (snapshot !== this.#snapshot) channel.publish(this.#snapshot);
      this.#options.onTrouble(undefined);
    } catch (error) {
      this.#restartLater(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
