/** Decisions, changes and warnings, handed to whoever watches; nobody's slowness is anybody else's. */
import type { WatchEvent } from '../api/event.ts';
import type { WallMs } from '../net/clock.ts';

/** Lines that wait for one watcher; beyond this it loses the newest and is told how many. */
export const MAX_WAITING_LINES = 2000;
export const MAX_WATCHERS = 32;

export interface Watcher {
  /** Called for each event, in order. */
  readonly onEvent: (event: WatchEvent) => void;
}

export class EventStream {
  readonly #watchers = new Set<Watcher>();
  readonly #onAudience: (isWatched: boolean) => void;

  /** `onAudience`: the first watcher has come, the last has gone. */
  constructor(onAudience: (isWatched: boolean) => void) {
    this.#onAudience = onAudience;
  }

  get isWatched(): boolean {
    return this.#watchers.size > 0;
  }

  publish(event: WatchEvent): void {
    for (const { onEvent } of this.#watchers) onEvent(event);
  }

  /** `undefined` where there are as many as there may be. */
  subscribe(watcher: Watcher): (() => void) | undefined {
    if (this.#watchers.size >= MAX_WATCHERS) return undefined;
    this.#watchers.add(watcher);
    if (this.#watchers.size === 1) this.#onAudience(true);
    return () => {
      if (this.#watchers.delete(watcher) && this.#watchers.size === 0) this.#onAudience(false);
    };
  }
}

/** Sends one line, with its end, on its way to a client; `onTaken` is called when it no longer takes memory here. */
export type WriteLine = (line: string, onTaken: () => void) => void;

/**
 * The stream as newline-delimited JSON, for one client, until the function that is returned is called.
 * `undefined` where there are too many watchers.
 */
export function streamLines(stream: EventStream, nowMs: () => WallMs, write: WriteLine): (() => void) | undefined {
  let waiting = 0;
  let lost = 0;
  const send = (event: WatchEvent): void => {
    waiting += 1;
    write(`${JSON.stringify(event)}\n`, () => {
      waiting -= 1;
    });
  };
  return stream.subscribe({
    onEvent: (event) => {
      if (waiting >= MAX_WAITING_LINES) {
        lost += 1;
        return;
      }
      if (lost > 0) send(lostLines(lost, nowMs()));
      lost = 0;
      send(event);
    },
  });
}

function lostLines(count: number, timeMs: WallMs): WatchEvent {
  const message = `${count} lines are missing here: they came faster than they were read`;
  return { kind: 'warning', timeMs, code: 'watch-lost-lines', message, over: true };
}
