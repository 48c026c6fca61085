import type { VerdictEvent } from './verdict-loop.ts';

/** Events go to the main thread when so many are there, or the first has waited so long. */
const BATCH_EVENTS = 256;
const BATCH_MS = 20;
/** Events that the main thread has not read yet; more are counted and forgotten, for the packet path never waits. */
export const MAX_UNREAD_EVENTS = 8192;

export interface EventBatch {
  readonly events: readonly VerdictEvent[];
  /** Forgotten since the batch before. */
  readonly lost: number;
}

/** Gathers events in the verdict thread. `read` is shared memory in which the reader counts the events it has taken. */
export class VerdictReporter {
  readonly #post: (batch: EventBatch) => void;
  readonly #read: Int32Array;
  #events: VerdictEvent[] = [];
  #firstAtMs = 0;
  #posted = 0;
  #lost = 0;
  #lostInAll = 0;

  constructor(post: (batch: EventBatch) => void, read: Int32Array) {
    this.#post = post;
    this.#read = read;
  }

  get lost(): number {
    return this.#lostInAll;
  }

  report(event: VerdictEvent, nowMs: number): void {
    // Both counters wrap around; their difference does not.
    const unread = (this.#posted - Atomics.load(this.#read, 0)) | 0;
    if (unread + this.#events.length >= MAX_UNREAD_EVENTS) {
      this.#lost++;
      this.#lostInAll++;
      return;
    }
    if (this.#events.length === 0) this.#firstAtMs = nowMs;
    this.#events.push(event);
    if (this.#events.length >= BATCH_EVENTS) this.flush();
  }

  /** Milliseconds until the next batch is due; undefined where nothing waits. */
  timeoutMs(nowMs: number): number | undefined {
    return this.#events.length === 0 ? undefined : Math.max(0, this.#firstAtMs + BATCH_MS - nowMs);
  }

  flushIfDue(nowMs: number): void {
    if (this.timeoutMs(nowMs) === 0) this.flush();
  }

  flush(): void {
    if (this.#events.length === 0 && this.#lost === 0) return;
    const batch = { events: this.#events, lost: this.#lost };
    this.#posted = (this.#posted + batch.events.length) | 0;
    this.#events = [];
    this.#lost = 0;
    this.#post(batch);
  }
}
