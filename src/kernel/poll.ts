import { constants } from 'node:os';
import { lastKernelError } from './errno.ts';
import { libc } from './libc.ts';

const POLLFD_SIZE = 8;
const POLLFD_REVENTS = 6;
const POLLIN = 1;
const POLLOUT = 4;
const NONE: ReadonlySet<number> = new Set();

/**
 * Waits until one of the file descriptors can be read, has failed or was closed by the other side, and returns those:
 * poll(2). None after `timeoutMs` (-1: no limit) or where a signal came in between. Blocks the calling thread.
 */
export function poll(fds: readonly number[], timeoutMs: number): number[] {
  const set = new PollSet(fds);
  set.wait(timeoutMs);
  return fds.filter((_, index) => set.isReady(index));
}

/** The same for who waits for the same descriptors again and again. */
export class PollSet {
  readonly #descriptors: Uint8Array;
  readonly #view: DataView;
  readonly #count: number;

  constructor(fds: readonly number[]) {
    this.#descriptors = pollfds(fds);
    this.#view = new DataView(this.#descriptors.buffer);
    this.#count = fds.length;
  }

  /** As `poll`. */
  wait(timeoutMs: number): void {
    if (libc().poll(this.#descriptors, this.#count, timeoutMs) >= 0) return;
    const error = lastKernelError('poll', `${this.#count} descriptors`);
    if (error.errno !== constants.errno.EINTR) throw error;
    for (let index = 0; index < this.#count; index++)
      this.#view.setInt16(index * POLLFD_SIZE + POLLFD_REVENTS, 0, true);
  }

  /** After `wait`; `index`: of the descriptor in the list. */
  isReady(index: number): boolean {
    return this.#view.getInt16(index * POLLFD_SIZE + POLLFD_REVENTS, true) !== 0;
  }
}

/**
 * As `poll`, without blocking: a thread of libuv's pool waits, and is not free for anything else until then. Those of `toWrite` are
 * ready when they can be written.
 */
export function pollInPool(
  fds: readonly number[],
  timeoutMs: number,
  toWrite: ReadonlySet<number> = NONE,
): Promise<number[]> {
  const descriptors = pollfds(fds, toWrite);
  return new Promise((resolve, reject) => {
    libc().pollInPool(descriptors, fds.length, timeoutMs, (failure, ready) => {
      try {
        if (failure !== null && failure !== undefined) reject(failure);
        // Asked again where errno is not lost: a signal is no failure.
        else resolve(ready < 0 ? poll(fds, 0) : readyAmong(fds, descriptors));
      } catch (error) {
        reject(error);
      }
    });
  });
}

function pollfds(fds: readonly number[], toWrite = NONE): Uint8Array {
  const bytes = new Uint8Array(fds.length * POLLFD_SIZE);
  const view = new DataView(bytes.buffer);
  for (const [index, fd] of fds.entries()) {
    view.setInt32(index * POLLFD_SIZE, fd, true);
    view.setInt16(index * POLLFD_SIZE + 4, toWrite.has(fd) ? POLLOUT : POLLIN, true);
  }
  return bytes;
}

function readyAmong(fds: readonly number[], descriptors: Uint8Array): number[] {
  const view = new DataView(descriptors.buffer);
  return fds.filter((_, index) => view.getInt16(index * POLLFD_SIZE + POLLFD_REVENTS, true) !== 0);
}
