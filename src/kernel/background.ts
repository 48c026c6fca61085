/** Whatever is thrown in the background is handed over, and what else there is goes on. */
export type HearFault = (fault: unknown) => void;

/**
 * The owner of what nobody waits for: handlers of events, timers, promises without a caller. What one of them throws goes no
 * further: not into the event loop, which would end the process, nor into whoever emits an event to others as well. Made by
 * whoever composes a program and passed on; test/gates refuses what goes round it.
 */
export class Background {
  /** For a fault that somebody has caught and can do nothing about. */
  readonly hear: HearFault;

  constructor(hear: HearFault) {
    this.hear = hear;
  }

  /** To be given to `on()`, `once()` and the like. */
  handler<A extends readonly unknown[]>(handle: (...args: A) => unknown): (...args: A) => void {
    return (...args) => this.run(() => handle(...args));
  }

  /** Begins at once. */
  run(work: () => unknown): void {
    try {
      const running = work();
      if (running instanceof Promise) running.catch(this.hear);
    } catch (fault) {
      this.hear(fault);
    }
  }

  timeout(work: () => unknown, delayMs: number): NodeJS.Timeout {
    return setTimeout(() => this.run(work), delayMs);
  }

  interval(work: () => unknown, everyMs: number): NodeJS.Timeout {
    return setInterval(() => this.run(work), everyMs);
  }

  /** After the events that are there already. */
  immediate(work: () => unknown): NodeJS.Immediate {
    return setImmediate(() => this.run(work));
  }
}
