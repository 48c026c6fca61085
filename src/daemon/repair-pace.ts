/**
 * How soon the next look at somebody else's change may come. One that does not touch ours is looked at once a second at most. Where ours is touched,
 * what is refused may pass until it is repaired: at once, a few times in a row, and then once a second.
 */
import type { MonotonicMs } from '../net/clock.ts';

export const LOOK_INTERVAL_MS = 1000;
/** So many looks at what is ours come at once, where things were quiet; each LOOK_INTERVAL_MS gives one back. */
export const PROMPT_LOOKS = 5;
/** A fight is over after so long without a repair. */
export const QUIET_MS = 60_000;

export class RepairPace {
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  /** Looks that may come at once, as of `#countedMs`. */
  #prompt = PROMPT_LOOKS;
  #countedMs = Number.NEGATIVE_INFINITY;
  #repairs = 0;
  #lastRepairMs = Number.NEGATIVE_INFINITY;

  /** Repairs since things were last quiet. */
  get repairs(): number {
    return this.#repairs;
  }

  /** `isOurs`: what is ours was touched, or may have been. */
  delayMs(nowMs: MonotonicMs, isOurs: boolean): number {
    if (!isOurs) return Math.max(0, this.#notBeforeMs - nowMs);
    return Math.max(0, 1 - this.#promptAt(nowMs)) * LOOK_INTERVAL_MS;
  }

  looked(nowMs: MonotonicMs, isOurs: boolean): void {
    this.#notBeforeMs = nowMs + LOOK_INTERVAL_MS;
    if (!isOurs) return;
    this.#prompt = Math.max(0, this.#promptAt(nowMs) - 1);
    this.#countedMs = nowMs;
  }

  repaired(nowMs: MonotonicMs): void {
    if (this.isQuiet(nowMs)) this.#repairs = 0;
    this.#repairs += 1;
    this.#lastRepairMs = nowMs;
  }

  isQuiet(nowMs: MonotonicMs): boolean {
    return nowMs - this.#lastRepairMs >= QUIET_MS;
  }

  #promptAt(nowMs: MonotonicMs): number {
    return Math.min(PROMPT_LOOKS, this.#prompt + (nowMs - this.#countedMs) / LOOK_INTERVAL_MS);
  }
}
