/** Tells when a profile's time begins or ends. */

import type { Background } from '../kernel/background.ts';
import type { WallMs } from '../net/clock.ts';
import type { Profile, TimeWindow } from '../policy/model.ts';
import { isInWindow } from '../policy/time-window.ts';
import { localTime } from '../watch/local-time.ts';

/** A clock may be set, a zone changed, and timers stand still while the machine sleeps: it is looked at again at least so often. */
export const MAX_WAIT_MS = 60_000;
/** Tomorrow's first boundary always lies within. */
const DAYS_AHEAD = 2;

const NO_PROFILES: readonly Profile[] = [];

const windowsOf = (profiles: readonly Profile[]): readonly TimeWindow[] =>
  profiles.flatMap(({ when }) => when.flatMap(({ times = [] }) => times));

/** The next time of day at which some window may begin or end, in epoch milliseconds; undefined where none ever does. */
export function nextBoundaryMs(windows: readonly TimeWindow[], nowMs: WallMs): WallMs | undefined {
  const minutes = new Set(windows.flatMap(({ fromMinute, toMinute }) => [fromMinute, toMinute]));
  const now = new Date(nowMs);
  // By the calendar, so that a day of 23 or 25 hours is one too.
  const at = (day: number, minute: number): number =>
    new Date(now.getFullYear(), now.getMonth(), now.getDate() + day, 0, minute).getTime();
  const ahead = [...minutes].flatMap((minute) =>
    Array.from({ length: DAYS_AHEAD }, (_, day) => at(day, minute)).filter((boundaryMs) => boundaryMs > nowMs),
  );
  return ahead.length === 0 ? undefined : Math.min(...ahead);
}

export interface ProfileClockParts {
  readonly background: Background;
  readonly nowMs: () => WallMs;
  /** Another set of windows holds than before. */
  readonly onChange: () => void;
}

export class ProfileClock implements Disposable {
  readonly #parts: ProfileClockParts;
  #profiles = NO_PROFILES;
  #windows: readonly TimeWindow[] = [];
  #holding = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: ProfileClockParts) {
    this.#parts = parts;
  }

  watch(profiles: readonly Profile[] = NO_PROFILES): void {
    if (profiles === this.#profiles) return;
    this.#profiles = profiles;
    this.#windows = windowsOf(profiles);
    this.#holding = this.#hold();
    this.#arm();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  /** Which windows hold now. */
  #hold(): string {
    const now = localTime(this.#parts.nowMs());
    return this.#windows.map((window) => (isInWindow(window, now) ? '1' : '0')).join('');
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const nowMs = this.#parts.nowMs();
    const boundaryMs = nextBoundaryMs(this.#windows, nowMs);
    if (boundaryMs === undefined) return;
    this.#timer = this.#parts.background.timeout(() => this.#look(), Math.min(boundaryMs - nowMs, MAX_WAIT_MS));
  }

  #look(): void {
    const holding = this.#hold();
    const hasChanged = holding !== this.#holding;
    this.#holding = holding;
    this.#arm();
    if (hasChanged) this.#parts.onChange();
  }
}
