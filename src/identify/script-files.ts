/**
 * Which of the listed scripts a file is. Files are told by device and inode, so any of their paths will do; what counts is
 * the file that has the listed path now. Asked with stat(2) only: listed files must not be opened by whoever answers for
 * their opening.
 */
import { type FileIdentity, fileIdentity, isSameFile } from '../kernel/file-identity.ts';
import { BoundedMap } from './bounded-map.ts';

/** Further ones are not told by their file. */
export const MAX_LISTED_SCRIPTS = 4096;
/** Files of which it is remembered that they are none. */
export const MAX_FILES_MISSED = 1024;
/** For so long where nothing else is asked for; then all listed paths are looked at again. */
export const MISSED_FILE_MS = 20;

export interface ScriptFilesOptions {
  readonly fileAt?: (path: string) => FileIdentity | undefined;
  readonly monotonicMs?: () => number;
  /** How long a file is known to be none: it may be about to be renamed to a listed path. */
  readonly missedMs?: number;
}

/** Remembers answers, so one for each thread that asks. */
export class ScriptFiles {
  readonly #paths: readonly string[];
  readonly #fileAt: (path: string) => FileIdentity | undefined;
  readonly #monotonicMs: () => number;
  readonly #missedMs: number;
  readonly #pathOfFile = new Map<string, string>();
  readonly #missed = new BoundedMap<string, number>(MAX_FILES_MISSED);

  constructor(listed: Iterable<string>, { fileAt, monotonicMs, missedMs = MISSED_FILE_MS }: ScriptFilesOptions = {}) {
    this.#paths = [...listed].slice(0, MAX_LISTED_SCRIPTS);
    this.#fileAt = fileAt ?? fileIdentity;
    this.#missedMs = missedMs;
    this.#monotonicMs = monotonicMs ?? (() => performance.now());
  }

  /** The listed path whose file this is. */
  pathOf(file: FileIdentity): string | undefined {
    const key = keyOf(file);
    const known = this.#pathOfFile.get(key);
    if (known !== undefined && this.#has(known, file)) return known;
    const missedAtMs = this.#missed.get(key);
    if (known === undefined && missedAtMs !== undefined && this.#monotonicMs() - missedAtMs < this.#missedMs)
      return undefined;
    this.#lookAtAll();
    const found = this.#pathOfFile.get(key);
    if (found === undefined) this.#missed.set(key, this.#monotonicMs());
    return found;
  }

  #has(path: string, file: FileIdentity): boolean {
    const now = this.#fileAt(path);
    return now !== undefined && isSameFile(now, file);
  }

  #lookAtAll(): void {
    this.#pathOfFile.clear();
    for (const path of this.#paths) {
      const file = this.#fileAt(path);
      // Of two names of one file the one listed first.
      if (file !== undefined && !this.#pathOfFile.has(keyOf(file))) this.#pathOfFile.set(keyOf(file), path);
    }
  }
}

function keyOf({ device, inode }: FileIdentity): string {
  return `${device}:${inode}`;
}
