/** When news is told: the first of it at once, and what follows closely as one. */
export class EventPace {
  readonly #everyMs: number;
  #dueMs: number | undefined;
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  /** Something has happened. */
  note(nowMs: number): void {
    this.#dueMs ??= Math.max(nowMs, this.#toldMs + this.#everyMs);
  }

  /** How long to wait; `undefined` where there is nothing to tell. */
  waitMs(nowMs: number): number | undefined {
    return this.#dueMs === undefined ? undefined : Math.max(0, Math.ceil(this.#dueMs - nowMs));
  }

  /** Whether it is to be told now; then it has been. */
  take(nowMs: number): boolean {
    if (this.#dueMs === undefined || nowMs < this.#dueMs) return false;
    this.#dueMs = undefined;
    this.#toldMs = nowMs;
    return true;
  }
}
