/**
 * Two clocks, which only their difference in kind keeps from being mixed up. A plain number may stand for either; one of one kind
 * never for the other.
 */

/** Epoch milliseconds: a time of day. People and NTP set it, forward and back, by days. */
export type WallMs = number & { readonly clock?: 'wall' };
/** Milliseconds since some moment, the same for all threads; nobody sets it, and it stands still while the machine sleeps. */
export type MonotonicMs = number & { readonly clock?: 'monotonic' };

export interface Clock {
  /** For what is shown as a time, and for times of the week. */
  readonly wallMs: () => WallMs;
  /** For how long something has lasted, and until when it lasts. */
  readonly monotonicMs: () => MonotonicMs;
}

/** The time of day at a moment, as the clock is set now: so its distance from the time of day is right, whatever it was set to then. */
export const wallAt = (clock: Clock, atMs: MonotonicMs): WallMs => clock.wallMs() + (atMs - clock.monotonicMs());
