import { lastKernelError } from './errno.ts';
import { libc } from './libc.ts';

const O_RDONLY = 0;
const O_CLOEXEC = 0o2000000;
const CLONE_NEWNET = 0x40000000;

/**
 * Moves the calling thread into the network namespace at `path` (`/run/netns/NAME`) until the result is disposed of:
 * setns(2). Sockets opened, and processes and threads started meanwhile, belong to it; everything else stays.
 * Throws KernelError.
 */
export function enterNetworkNamespace(path: string): Disposable {
  const home = openNamespace('/proc/thread-self/ns/net');
  try {
    enter(path);
  } catch (error) {
    libc().close(home);
    throw error;
  }
  return {
    [Symbol.dispose]() {
      const returned = libc().setns(home, CLONE_NEWNET);
      const error = returned < 0 ? lastKernelError('setns', 'the thread’s own network namespace') : undefined;
      libc().close(home);
      if (error !== undefined) throw error;
    },
  };
}

function enter(path: string): void {
  const namespace = openNamespace(path);
  const entered = libc().setns(namespace, CLONE_NEWNET);
  const error = entered < 0 ? lastKernelError('setns', path) : undefined;
  libc().close(namespace);
  if (error !== undefined) throw error;
}

function openNamespace(path: string): number {
  const fd = libc().open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw lastKernelError('open', path);
  return fd;
}
