import { closeSync, writeSync } from 'node:fs';
import { lastKernelError } from './errno.ts';
import { libc } from './libc.ts';

/** linux/memfd.h: the children that are not meant to have it do not get it. */
const MFD_CLOEXEC = 1;

/** A file without a name (memfd_create(2)) that holds a text whole, to be read from its start. Throws KernelError. */
export class MemoryFile {
  readonly fd: number;

  constructor(name: string, text: string) {
    this.fd = libc().memfd_create(name, MFD_CLOEXEC);
    if (this.fd < 0) throw lastKernelError('memfd_create', name);
    const bytes = Buffer.from(text);
    // Written at positions of their own, so that the offset which the reader inherits stays 0.
    for (let written = 0; written < bytes.length; ) {
      written += writeSync(this.fd, bytes, written, bytes.length - written, written);
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}
