/** Files that others write, looked at and read without throwing, but where descriptors or memory are short (KernelError). */
import { readdirSync, readFileSync, type Stats, statSync } from 'node:fs';
import { fileLooks } from '../kernel/file-looks.ts';
import { throwShortage } from '../kernel/shortage.ts';

/** Empty where it cannot be read, is no regular file, or is too large to be what it should be. */
export function readText(path: string, maxBytes: number): string {
  try {
    const stats = lookAt(path);
    return stats?.isFile() && stats.size <= maxBytes ? readFileSync(path, 'utf8') : '';
  } catch (error) {
    throwShortage(error, 'read', path);
    return '';
  }
}

/** What is in a directory, in no order; nothing where it is not there, or does not say so in time. */
export function listNames(directory: string): string[] {
  try {
    return fileLooks().answers(directory) ? readdirSync(directory) : [];
  } catch (error) {
    throwShortage(error, 'list', directory);
    return [];
  }
}

/** Of what is at the end of all links; `undefined` where nothing is, or where it does not say so in time. */
export function lookAt(path: string): Stats | undefined {
  try {
    return fileLooks().answers(path) ? statSync(path, { throwIfNoEntry: false }) : undefined;
  } catch {
    return undefined;
  }
}

export const NO_FILE = '-';

/** Another text for another file at the path, or another content of it. A directory's content are its entries. */
export function fileVersion(stats: Stats | undefined): string {
  return stats === undefined ? NO_FILE : `${stats.dev}:${stats.ino}:${stats.mtimeMs}:${stats.size}`;
}
