/**
 * Who goes on asking although he is refused, so fast that reading what he sends leaves no time for others: the kernel drops his
 * queries for a while, before they fill the relay's socket.
 */
import type { MonotonicMs } from '../net/clock.ts';

/** Refused queries of one user within the window: a busy machine refuses a few hundred a second. A thousand names at once are fewer. */
export const NOISY_REFUSALS = 1000;
const WINDOW_MS = 5000;
export const NOISY_FOR_MS = 30_000;
const MAX_USERS = 1024;
/** Root is trusted, and is all system services at once. */
const FIRST_USER = 1;

export class NoisyUsers {
  readonly #refused = new Map<number, number>();
  readonly #until = new Map<number, MonotonicMs>();
  #windowEndsMs: MonotonicMs = 0;

  /** A query was refused. True: its user is to be dropped from now on. */
  note(uid: number, nowMs: MonotonicMs): boolean {
    if (uid < FIRST_USER) return false;
    if (nowMs >= this.#windowEndsMs) {
      this.#refused.clear();
      this.#windowEndsMs = nowMs + WINDOW_MS;
    }
    const count = (this.#refused.get(uid) ?? 0) + 1;
    if (count > 1 || this.#refused.size < MAX_USERS) this.#refused.set(uid, count);
    // What waits in the socket was sent before.
    if (count < NOISY_REFUSALS || nowMs < (this.#until.get(uid) ?? 0)) return false;
    for (const [other, untilMs] of this.#until) if (untilMs <= nowMs) this.#until.delete(other);
    this.#until.set(uid, nowMs + NOISY_FOR_MS);
    return true;
  }
}
