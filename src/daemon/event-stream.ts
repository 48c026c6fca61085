/** Decisions, changes and warnings, handed to whoever watches; nobody's slowness is anybody else's. */
import type { WatchEvent } from '../api/event.ts';

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

/** The stream as newline-delimited JSON, for one client. `undefined` where there are too many watchers. */
export function ndjson(stream: EventStream, nowMs: () => number): ReadableStream<Uint8Array> | undefined {
  const encoder = new TextEncoder();
  let unsubscribe: (() => void) | undefined;
  let lost = 0;
  const start = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    const write = (event: WatchEvent): void => controller.enqueue(encoder.encode(`${JSON.stringify(event)}\n`));
    unsubscribe = stream.subscribe({
      onEvent: (event) => {
        if ((controller.desiredSize ?? 0) <= 0) {
          lost += 1;
          return;
        }
        if (lost > 0) write(lostLines(lost, nowMs()));
        lost = 0;
        write(event);
      },
    });
  };
  const lines = new ReadableStream<Uint8Array>(
    { start, cancel: () => unsubscribe?.() },
    { highWaterMark: MAX_WAITING_LINES, size: () => 1 },
  );
  return unsubscribe === undefined ? undefined : lines;
}

function lostLines(count: number, timeMs: number): WatchEvent {
  const message = `${count} lines are missing here: they came faster than they were read`;
  return { kind: 'warning', timeMs, code: 'watch-lost-lines', message, over: true };
}
