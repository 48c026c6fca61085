/** What is said of a user over and over is said once in a while. */
import type { MonotonicMs } from '../net/clock.ts';

export const SAID_EVERY_MS = 5000;
const MAX_USERS = 64;

export class OncePerUser {
  readonly #said = new Set<number>();
  #endsMs: MonotonicMs = 0;

  /** Whether it is to be said now. */
  note(uid: number, nowMs: MonotonicMs): boolean {
    if (nowMs >= this.#endsMs) {
      this.#said.clear();
      this.#endsMs = nowMs + SAID_EVERY_MS;
    }
    if (this.#said.has(uid) || this.#said.size >= MAX_USERS) return false;
    this.#said.add(uid);
    return true;
  }
}
