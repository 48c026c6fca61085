import type { Clock, MonotonicMs, WallMs } from '../../net/clock.ts';

const START_WALL_MS = 1_800_000_000_000;

/** Stands still until it is told. */
export class FakeClock implements Clock {
  #wallMs: WallMs;
  #monotonicMs: MonotonicMs = 1000;

  constructor(wallMs: WallMs = START_WALL_MS) {
    this.#wallMs = wallMs;
  }

  readonly wallMs = (): WallMs => this.#wallMs;
  readonly monotonicMs = (): MonotonicMs => this.#monotonicMs;

  /** Time passes. */
  pass(ms: number): void {
    this.#wallMs += ms;
    this.#monotonicMs += ms;
  }

  /** Somebody sets the time of day. */
  step(ms: number): void {
    this.#wallMs += ms;
  }
}
