/** Decisions, changes and warnings, handed to whoever watches; nobody's slowness is anybody else's. */
import type { WatchEvent } from '../api/event.ts';
import type { Clock, MonotonicMs, WallMs } from '../net/clock.ts';
import { ReservedShares } from './reserved-shares.ts';

/** Lines that wait for one watcher; beyond this it loses the newest and is told how many. */
export const MAX_WAITING_LINES = 2000;
/** Of users together, and of each. */
export const MAX_WATCHERS = 32;
export const MAX_WATCHERS_OF_USER = 8;
/** Beside those of users. */
export const MAX_WATCHERS_OF_ROOT = 32;
/** Who takes nothing for so long, while lines wait, watches no more. */
export const WATCHER_READS_WITHIN_MS = 60_000;

export interface Watcher {
  readonly uid: number;
  /** Called for each event, in order. */
  readonly onEvent: (event: WatchEvent) => void;
  /** Another user needs the place more. */
  readonly onGivenUp: () => void;
}

export class EventStream {
  readonly #watchers = new Set<Watcher>();
  readonly #onAudience: (isWatched: boolean) => void;
  readonly #onShareFull: (uid: number) => void;
  readonly #shares = new ReservedShares<Watcher>({
    places: MAX_WATCHERS,
    placesOfUser: MAX_WATCHERS_OF_USER,
    placesOfRoot: MAX_WATCHERS_OF_ROOT,
  });

  /** `onAudience`: the first watcher has come, the last has gone. `onShareFull`: a user watches more often than he may. */
  constructor(onAudience: (isWatched: boolean) => void, onShareFull: (uid: number) => void = () => undefined) {
    this.#onAudience = onAudience;
    this.#onShareFull = onShareFull;
  }

  get isWatched(): boolean {
    return this.#watchers.size > 0;
  }

  publish(event: WatchEvent): void {
    for (const { onEvent } of this.#watchers) onEvent(event);
  }

  /** `undefined` where the user watches as often as he may. */
  subscribe(watcher: Watcher): (() => void) | undefined {
    const taken = this.#shares.take(watcher.uid, watcher);
    if (taken.kind === 'full') this.#onShareFull(watcher.uid);
    if (taken.kind === 'full') return undefined;
    this.#watchers.add(watcher);
    if (this.#watchers.size === 1) this.#onAudience(true);
    if (taken.kind === 'taken over') {
      this.#onShareFull(taken.from);
      this.#watchers.delete(taken.given);
      taken.given.onGivenUp();
    }
    return () => {
      this.#shares.free(watcher.uid, watcher);
      if (this.#watchers.delete(watcher) && this.#watchers.size === 0) this.#onAudience(false);
    };
  }
}

/** The way to one client. */
export interface WatcherClient {
  readonly uid: number;
  /** Sends one line, with its end, on its way; `onTaken` is called when it no longer takes memory here. */
  readonly write: (line: string, onTaken: () => void) => void;
  /** After a last line; whoever does not read that either is not waited for. */
  readonly end: (line: string) => void;
}

/**
 * The stream as newline-delimited JSON, for one client, until the function that is returned is called, or the client's `end`.
 * `undefined` where its user watches as often as he may.
 */
export function streamLines(stream: EventStream, clock: Clock, client: WatcherClient): (() => void) | undefined {
  let waiting = 0;
  let lost = 0;
  let takenMs: MonotonicMs = clock.monotonicMs();
  let isEnded = false;
  const send = (event: WatchEvent): void => {
    if (waiting === 0) takenMs = clock.monotonicMs();
    waiting += 1;
    client.write(textOf(event), () => {
      waiting -= 1;
      takenMs = clock.monotonicMs();
    });
  };
  const end = (because: string): void => {
    if (isEnded) return;
    isEnded = true;
    stop?.();
    client.end(textOf(warning('watch-ended', because, clock.wallMs())));
  };
  const stop = stream.subscribe({
    uid: client.uid,
    onEvent: (event) => {
      if (isEnded) return;
      if (waiting > 0 && clock.monotonicMs() - takenMs > WATCHER_READS_WITHIN_MS) {
        end(`nothing of it was read for ${WATCHER_READS_WITHIN_MS / 1000} s`);
        return;
      }
      if (waiting >= MAX_WAITING_LINES) {
        lost += 1;
        return;
      }
      if (lost > 0) send(lostLines(lost, clock.wallMs()));
      lost = 0;
      send(event);
    },
    onGivenUp: () => end('another user needs the place, and this one has more'),
  });
  return stop;
}

const textOf = (event: WatchEvent): string => `${JSON.stringify(event)}\n`;

function lostLines(count: number, timeMs: WallMs): WatchEvent {
  return warning('watch-lost-lines', `${count} lines are missing here: they came faster than they were read`, timeMs);
}

const warning = (code: string, message: string, timeMs: WallMs): WatchEvent => ({
  ...{ kind: 'warning', timeMs, code, over: true },
  message,
});
