import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

export interface AtomicWrite {
  readonly mode?: number;
  /** `disk`: the bytes are on disk before the name points at them. `cache`: a power loss may cost them, nothing else. */
  readonly until: 'disk' | 'cache';
}

/**
 * Puts `bytes` at `path`: readers see the old file or the new one, never a part. Missing directories are made, for root alone.
 * Throws the file system's error (ENOSPC, EROFS, EACCES...) and then leaves the old file as it was.
 */
export function writeAtomically(path: string, bytes: Uint8Array, { mode = 0o600, until }: AtomicWrite): void {
  const directory = dirname(path);
  // Hidden, so that nobody who lists the directory takes it for a file of its own.
  const temporary = join(directory, `.${basename(path).slice(0, LONGEST_STEM)}.${randomBytes(6).toString('hex')}`);
  const descriptor = openMakingDirectory(temporary, directory, mode);
  try {
    try {
      writeFileSync(descriptor, bytes);
      if (until === 'disk') fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, path);
  } catch (error) {
    unlinkSync(temporary);
    throw error;
  }
}

/** NAME_MAX is 255 bytes, and a character may take 4 of them. */
const LONGEST_STEM = 50;

function openMakingDirectory(path: string, directory: string, mode: number): number {
  try {
    return openSync(path, 'wx', mode);
  } catch (error) {
    if (!isMissing(error)) throw error;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return openSync(path, 'wx', mode);
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
