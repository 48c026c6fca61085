import { closeSync, writeSync } from 'node:fs';
import { kernelErrorFromErrno, lastKernelError } from './errno.ts';
import { libc } from './libc.ts';

/** linux/memfd.h: the children that are not meant to have it do not get it. */
const MFD_CLOEXEC = 1;

/** A file without a name (memfd_create(2)) that holds a text whole, to be read from its start. Throws KernelError. */
export class MemoryFile {
  readonly fd: number;

  constructor(name: string, text: string) {
    this.fd = libc().memfd_create(name, MFD_CLOEXEC);
    if (this.fd < 0) throw lastKernelError('memfd_create', name);
    try {
      fill(this.fd, Buffer.from(text));
    } catch (error) {
      closeSync(this.fd);
      // No memory (ENOSPC), or larger than a file may be (EFBIG).
      const { errno = 0 } = error as NodeJS.ErrnoException;
      throw kernelErrorFromErrno('write', Math.abs(errno), name);
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}

/** Written at positions of their own, so that the offset which the reader inherits stays 0. */
function fill(fd: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; )
    written += writeSync(fd, bytes, written, bytes.length - written, written);
}
