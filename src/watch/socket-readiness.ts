/** Waits for any number of sockets with one thread of libuv's pool. */
import type { Background } from '../kernel/background.ts';
import { EventFd } from '../kernel/event-fd.ts';
import { pollInPool } from '../kernel/poll.ts';

interface Wait {
  readonly toWrite: boolean;
  readonly end: (isReady: boolean) => void;
}

/** From its construction until it is disposed of; without sockets to wait for it occupies nothing. */
export class SocketReadiness implements AsyncDisposable {
  readonly #background: Background;
  readonly #wake = EventFd.open();
  readonly #waits = new Map<number, Wait>();
  #running: Promise<void> | undefined;
  #isDisposed = false;

  constructor(background: Background) {
    this.#background = background;
  }

  /**
   * Resolves with true when the socket may be ready: whoever asked tries, and asks again where it was not. With false when the time
   * is over, or this is disposed of. A socket has one wait at a time, and may be closed as soon as that has ended.
   */
  until(fd: number, what: 'readable' | 'writable', timeoutMs: number): Promise<boolean> {
    if (this.#isDisposed || timeoutMs <= 0) return Promise.resolve(false);
    return new Promise((resolve) => {
      const end = (isReady: boolean): void => {
        clearTimeout(timer);
        this.#waits.delete(fd);
        resolve(isReady);
      };
      const timer = this.#background.timeout(() => {
        end(false);
        this.#wake.signal();
      }, timeoutMs);
      this.#waits.set(fd, { toWrite: what === 'writable', end });
      this.#wake.signal();
      if (this.#running === undefined) this.#start();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    for (const { end } of [...this.#waits.values()]) end(false);
    this.#wake.signal();
    await this.#running;
    this.#wake[Symbol.dispose]();
  }

  /** Where it fails nobody waits in vain: each wait ends with its own time. */
  #start(): void {
    const running = this.#run().finally(() => {
      this.#running = undefined;
    });
    this.#running = running.catch(() => undefined);
    this.#background.run(() => running);
  }

  async #run(): Promise<void> {
    while (this.#waits.size > 0) {
      const toWrite = new Set([...this.#waits].filter(([, wait]) => wait.toWrite).map(([fd]) => fd));
      const ready = await pollInPool([this.#wake.fd, ...this.#waits.keys()], -1, toWrite);
      this.#wake.drain();
      for (const fd of ready) this.#waits.get(fd)?.end(true);
    }
  }
}
