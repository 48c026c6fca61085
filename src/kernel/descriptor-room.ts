import { lastKernelError } from './errno.ts';
import { libc } from './libc.ts';

const EFD_CLOEXEC = 0o2000000;

/**
 * That so many more descriptors can be opened now. For what loses those it has opened when there is none for the next one, as
 * uv_spawn() does. Throws KernelError (EMFILE, ENFILE).
 */
export function requireDescriptors(count: number, operation: string): void {
  const held: number[] = [];
  try {
    while (held.length < count) {
      const fd = libc().eventfd(0, EFD_CLOEXEC);
      if (fd < 0) throw lastKernelError(operation, 'descriptors');
      held.push(fd);
    }
  } finally {
    for (const fd of held) libc().close(fd);
  }
}
