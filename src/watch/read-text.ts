/** Files that others write, looked at and read without throwing, but where descriptors or memory are short (KernelError). */
import { readdirSync, readFileSync, type Stats, statSync } from 'node:fs';
import { fileLooks } from '../kernel/file-looks.ts';
import { throwShortage } from '../kernel/shortage.ts';

/** Of a directory whose answers come from elsewhere. */
const MAX_NAMES_ELSEWHERE = 65_536;

const decodeUtf8 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

/** Empty where it cannot be read, is no regular file, or is too large to be what it should be. */
export function readText(path: string, maxBytes: number): string {
  try {
    const stats = lookAt(path);
    const elsewhere = stats?.isFile() ? fileLooks().contentFromElsewhere(path, maxBytes + 1) : 'here';
    if (elsewhere === 'late') return '';
    if (elsewhere !== 'here') return elsewhere.bytes.length <= maxBytes ? decodeUtf8(elsewhere.bytes) : '';
    return stats?.isFile() && stats.size <= maxBytes ? readFileSync(path, 'utf8') : '';
  } catch (error) {
    throwShortage(error, 'read', path);
    return '';
  }
}

/** What is in a directory, in no order; nothing where it is not there, or does not say so in time. */
export function listNames(directory: string): string[] {
  try {
    if (!fileLooks().answers(directory)) return [];
    const elsewhere = fileLooks().namesFromElsewhere(directory, MAX_NAMES_ELSEWHERE);
    if (elsewhere === 'late') return [];
    return elsewhere === 'here' ? readdirSync(directory) : [...elsewhere];
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
