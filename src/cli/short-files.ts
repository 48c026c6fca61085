/** Files in tables: what stands in the configuration's directory is named from there, and the directory once. */
import { join } from 'node:path';
import { printable } from '../net/printable.ts';

export interface ShortFiles {
  readonly shorten: (file: string) => string;
  /** Below the table; empty where nothing was shortened. */
  readonly note: (files: readonly string[]) => readonly string[];
}

/** `root`: what etc is below. */
export function shortFiles(root: string): ShortFiles {
  const directory = join(root, 'etc/pointsman');
  const isBelow = (file: string): boolean => file.startsWith(`${directory}/`);
  return {
    shorten: (file) => (isBelow(file) ? file.slice(directory.length + 1) : file),
    note: (files) => (files.some(isBelow) ? [`FILES are relative to ${printable(directory)}.`] : []),
  };
}
