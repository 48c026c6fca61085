import { lastKernelError } from './errno.ts';
import { libc } from './libc.ts';

const EFD_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = 0o4000;

/**
 * A counter that wakes `poll` in another thread: eventfd(2). Hand `fd` to the other thread and `borrow` it there;
 * only the one that opened it closes it.
 */
export class EventFd {
  readonly fd: number;
  readonly #owned: boolean;

  private constructor(fd: number, owned: boolean) {
    this.fd = fd;
    this.#owned = owned;
  }

  static open(): EventFd {
    const fd = libc().eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) throw lastKernelError('eventfd', '');
    return new EventFd(fd, true);
  }

  static borrow(fd: number): EventFd {
    return new EventFd(fd, false);
  }

  /** Makes the descriptor readable until somebody drains it. */
  signal(): void {
    const one = new Uint8Array(8);
    one[0] = 1;
    if (libc().write(this.fd, one, one.length) < 0) throw lastKernelError('write', 'eventfd');
  }

  /** Forgets all signals so far; nothing happens where there was none. */
  drain(): void {
    libc().read(this.fd, new Uint8Array(8), 8);
  }

  [Symbol.dispose](): void {
    if (this.#owned) libc().close(this.fd);
  }
}
