/**
 * Tells of changes in directories of policy files, by inotify. The directories may be missing, come, go and be replaced.
 * It tells too much rather than too little: whoever listens compares what is there with what was.
 */

import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Background } from '../kernel/background.ts';
import { fileLooks } from '../kernel/file-looks.ts';
import { isDirectory } from '../kernel/file-stat.ts';
import { isPolicyFileName } from '../policy/layers.ts';

/** Absolute paths. */
export interface WatchTargets {
  readonly directories: readonly string[];
  /** Single files in directories that otherwise do not matter. */
  readonly files: readonly string[];
}

export interface WatchListener {
  /** `everything`: it is not known which files have changed. */
  readonly onChange: (changed: ReadonlySet<string> | 'everything') => void;
  /** A directory cannot be watched (ENOSPC, EMFILE, EACCES). It is tried again; until then changes in it go unseen. */
  readonly onError: (error: Error, directory: string) => void;
}

/** Without a change for so long, what was changed is told: a package manager's or an editor's steps come as one. */
const QUIET_MS = 5;
/** From the first change to the report at the latest. */
const MAX_WAIT_MS = 40;
/** An empty file means something, but most are about to be written: a shell empties a file before the program runs that fills it. */
const EMPTY_WAIT_MS = 150;
const RETRY_MS = 5000;
/** Somebody who keeps replacing a directory may not keep us at it. */
const MAX_ARM_ROUNDS = 16;
/** More paths than this at once: the kernel's own queue (16,384 events) may have overflowed, of which Node says nothing. */
export const MAX_CHANGED_PATHS = 1000;

interface Watched {
  readonly watcher: FSWatcher;
  readonly identity: string;
}

/** Watches from its construction until it is disposed of. */
export class PolicyWatch implements AsyncDisposable {
  readonly #directories: ReadonlySet<string>;
  readonly #files: ReadonlySet<string>;
  readonly #listener: WatchListener;
  readonly #background: Background;
  readonly #watched = new Map<string, Watched>();
  #changed = new Set<string>();
  #isEverything = false;
  /** When the first change that is not told yet was seen. */
  #sinceMs: number | undefined;
  /** Files that were empty at the last look, and until when they are left out. */
  #empty: ReadonlyMap<string, number> = new Map();
  #report: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #isDisposed = false;

  constructor(targets: WatchTargets, listener: WatchListener, background: Background) {
    this.#background = background;
    this.#directories = new Set(targets.directories);
    this.#files = new Set(targets.files);
    this.#listener = listener;
    this.#arm();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    clearTimeout(this.#report);
    clearTimeout(this.#retry);
    for (const directory of [...this.#watched.keys()]) this.#unwatch(directory);
  }

  /** Brings the watches in line with the directories that exist; true where one had to be set or was lost. */
  #arm(): boolean {
    clearTimeout(this.#retry);
    let hasChanged = false;
    // A directory may appear between the look and the watch on its parent: look until nothing is new.
    for (let round = 0; round < MAX_ARM_ROUNDS; round += 1) {
      if (!this.#armOnce()) return hasChanged;
      hasChanged = true;
    }
    this.#armLater();
    return hasChanged;
  }

  #armOnce(): boolean {
    let hasChanged = false;
    const wanted = this.#wantedDirectories();
    for (const [directory, { identity }] of [...this.#watched]) {
      if (wanted.get(directory) === identity) continue;
      this.#unwatch(directory);
      hasChanged = true;
    }
    for (const [directory, identity] of wanted) {
      if (!this.#watched.has(directory) && this.#watch(directory, identity)) hasChanged = true;
    }
    return hasChanged;
  }

  /** Each directory with its parent, or what there is on the way to it. */
  #wantedDirectories(): Map<string, string> {
    const wanted = new Map<string, string>();
    const add = (directory: string): boolean => {
      const identity = identityOf(directory);
      if (identity !== undefined) wanted.set(directory, identity);
      return identity !== undefined;
    };
    for (const directory of this.#ends()) {
      const isThere = add(directory);
      let above = dirname(directory);
      while (!add(above) && above !== dirname(above)) above = dirname(above);
      // The parent of a directory that is there tells of its being replaced; so does the grandparent of one that is not.
      if (!isThere) add(dirname(above));
    }
    return wanted;
  }

  #ends(): ReadonlySet<string> {
    return new Set([...this.#directories, ...Array.from(this.#files, (file) => dirname(file))]);
  }

  #watch(directory: string, identity: string): boolean {
    try {
      const watcher = watch(
        directory,
        this.#background.handler((_event: string, name: string | null) => this.#onEvent(directory, name)),
      );
      watcher.on(
        'error',
        this.#background.handler((error: Error) => this.#fail(error, directory)),
      );
      this.#watched.set(directory, { watcher, identity });
      return true;
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)), directory);
      return false;
    }
  }

  #unwatch(directory: string): void {
    this.#watched.get(directory)?.watcher.close();
    this.#watched.delete(directory);
  }

  #fail(error: Error, directory: string): void {
    if (this.#isDisposed) return;
    this.#unwatch(directory);
    this.#listener.onError(error, directory);
    this.#armLater();
  }

  #armLater(): void {
    clearTimeout(this.#retry);
    this.#retry = this.#background.timeout(() => {
      if (this.#arm()) this.#tellEverything();
    }, RETRY_MS);
  }

  #onEvent(directory: string, name: string | null): void {
    if (this.#isDisposed) return;
    if (name === null) {
      this.#arm();
      this.#tellEverything();
      return;
    }
    const path = join(directory, name);
    // inotify names a directory's own end by its last part. What is there now may have its number.
    const isOwnEnd = name === basename(directory);
    if (isOwnEnd) this.#unwatch(directory);
    const concernsDirectory = isOwnEnd || this.#leadsToDirectory(path);
    if (concernsDirectory && this.#arm()) this.#tellEverything();
    if (this.#files.has(path) || (this.#directories.has(directory) && isPolicyFileName(name))) this.#tell(path);
  }

  #leadsToDirectory(path: string): boolean {
    for (const end of this.#ends()) if (end === path || end.startsWith(`${path}/`)) return true;
    return false;
  }

  #tell(path: string): void {
    if (this.#changed.size >= MAX_CHANGED_PATHS) this.#isEverything = true;
    else this.#changed.add(path);
    this.#schedule();
  }

  #tellEverything(): void {
    this.#isEverything = true;
    this.#schedule();
  }

  #schedule(): void {
    const nowMs = performance.now();
    this.#sinceMs ??= nowMs;
    this.#reportIn(Math.min(QUIET_MS, this.#sinceMs + MAX_WAIT_MS - nowMs));
  }

  #reportIn(delayMs: number): void {
    clearTimeout(this.#report);
    this.#report = this.#background.timeout(() => this.#tellListener(), Math.max(0, delayMs));
  }

  #tellListener(): void {
    this.#sinceMs = undefined;
    const early = this.#isEverything ? new Map<string, number>() : this.#emptyFor(performance.now());
    const changed = [...this.#changed].filter((path) => !early.has(path));
    const report = this.#isEverything ? 'everything' : new Set(changed);
    this.#isEverything = false;
    this.#empty = early;
    this.#changed = new Set(early.keys());
    if (early.size > 0) this.#reportIn(Math.min(...early.values()) - performance.now());
    if (report === 'everything' || report.size > 0) this.#listener.onChange(report);
  }

  /** Changed files that are empty and may not be for long, each with the time at which that is believed. */
  #emptyFor(nowMs: number): Map<string, number> {
    const early = new Map<string, number>();
    for (const path of this.#changed) {
      if (fileLooks().stat(path)?.size !== 0n) continue;
      const believedMs = this.#empty.get(path) ?? nowMs + EMPTY_WAIT_MS;
      if (believedMs > nowMs) early.set(path, believedMs);
    }
    return early;
  }
}

/** Tells a directory from another one at the same path. */
function identityOf(directory: string): string | undefined {
  const stat = fileLooks().stat(directory);
  return stat !== undefined && isDirectory(stat) ? `${stat.device}:${stat.inode}` : undefined;
}
