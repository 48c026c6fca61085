import { openSync } from 'node:fs';
import { fileLooks } from '../kernel/file-looks.ts';
import { throwShortage } from '../kernel/shortage.ts';

/** linux/fcntl.h: names a file without opening it, so that nobody is asked. */
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;

/** A descriptor that only names the file, to be closed by the caller; `undefined` where nothing is there, or not in time. Throws KernelError where descriptors are short. */
export function openWithoutAsking(path: string): number | undefined {
  try {
    return fileLooks().answers(path) ? openSync(path, O_PATH | O_CLOEXEC) : undefined;
  } catch (error) {
    throwShortage(error, 'open', path);
    return undefined;
  }
}
