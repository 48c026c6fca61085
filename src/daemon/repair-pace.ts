/** How soon the next look at somebody else's change may come: at once if things were quiet, less and less often in a fight. */
import type { MonotonicMs } from '../net/clock.ts';

/** From one look to the next. */
const LOOK_INTERVAL_MS = 1000;
const MAX_INTERVAL_MS = 30_000;
/** A fight is over after so long without a repair. */
export const QUIET_MS = 60_000;

export class RepairPace {
  #notBeforeMs = 0;
  #repairs = 0;
  #lastRepairMs = Number.NEGATIVE_INFINITY;

  /** Repairs since things were last quiet. */
  get repairs(): number {
    return this.#repairs;
  }

  delayMs(nowMs: MonotonicMs): number {
    return Math.max(0, this.#notBeforeMs - nowMs);
  }

  looked(nowMs: MonotonicMs): void {
    this.#notBeforeMs = nowMs + LOOK_INTERVAL_MS;
  }

  repaired(nowMs: MonotonicMs): void {
    if (this.isQuiet(nowMs)) this.#repairs = 0;
    this.#repairs += 1;
    this.#lastRepairMs = nowMs;
    this.#notBeforeMs = nowMs + Math.min(LOOK_INTERVAL_MS * 2 ** (this.#repairs - 1), MAX_INTERVAL_MS);
  }

  isQuiet(nowMs: MonotonicMs): boolean {
    return nowMs - this.#lastRepairMs >= QUIET_MS;
  }
}
