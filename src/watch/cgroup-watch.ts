/**
 * Tells when cgroups right below given directories come or go (inotify works on cgroup2). A cgroup that is made anew under
 * its old path is another one to the kernel.
 */

import { type FSWatcher, watch } from 'node:fs';
import { basename, join } from 'node:path';
import type { Background } from '../kernel/background.ts';
import { lookAt } from './read-text.ts';

/** More directories are not watched: the slow path learns of their cgroups anyway. */
export const MAX_WATCHED_DIRECTORIES = 1024;
/** From the first change to the report: what comes and goes in between is told at once. */
export const CGROUPS_WAIT_MS = 50;

interface Watched {
  readonly watcher: FSWatcher;
  /** Inode of the directory: the watch on one that was removed tells nothing of its successor. */
  readonly inode: number;
}

const ALL = (): boolean => true;

export class CgroupWatch implements Disposable {
  readonly #onChange: () => void;
  readonly #background: Background;
  readonly #watched = new Map<string, Watched>();
  #concerns: (path: string) => boolean = ALL;
  #report: NodeJS.Timeout | undefined;

  constructor(onChange: () => void, background: Background) {
    this.#background = background;
    this.#onChange = onChange;
  }

  /**
   * Absolute directories; those that are gone are passed over: their parents tell. `concerns`: whether it matters that what is
   * at an absolute path has come or gone. To be called again after each report, with what is to be watched then. Directories
   * that are new here are reported as a change: something may have come into them before they were watched.
   */
  watch(directories: Iterable<string>, concerns: (path: string) => boolean = ALL): void {
    this.#concerns = concerns;
    const wanted = new Set([...directories].slice(0, MAX_WATCHED_DIRECTORIES));
    for (const directory of [...this.#watched.keys()]) if (!wanted.has(directory)) this.#unwatch(directory);
    for (const directory of wanted) if (this.#watch(directory)) this.#tell();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#report);
    for (const directory of [...this.#watched.keys()]) this.#unwatch(directory);
  }

  /** True where a watch had to be set. */
  #watch(directory: string): boolean {
    const inode = lookAt(directory)?.ino;
    if (this.#watched.get(directory)?.inode === inode) return false;
    this.#unwatch(directory);
    if (inode === undefined) return false;
    try {
      const watcher = watch(
        directory,
        { persistent: false },
        this.#background.handler((event: string, name: string | null) => this.#onEvent(directory, event, name)),
      );
      watcher.on(
        'error',
        this.#background.handler(() => this.#unwatch(directory)),
      );
      this.#watched.set(directory, { watcher, inode });
      return true;
    } catch {
      // Gone, or no watches left: the slow path still learns of what it sees.
      return false;
    }
  }

  #unwatch(directory: string): void {
    this.#watched.get(directory)?.watcher.close();
    this.#watched.delete(directory);
  }

  #onEvent(directory: string, event: string, name: string | null): void {
    // Of the files of a cgroup: limits and counts.
    if (event === 'change') return;
    // inotify names a directory's own end by its last part.
    const isOwnEnd = name === null || name === basename(directory);
    if (isOwnEnd || this.#concerns(join(directory, name))) this.#tell();
  }

  #tell(): void {
    this.#report ??= this.#background
      .timeout(() => {
        this.#report = undefined;
        this.#onChange();
      }, CGROUPS_WAIT_MS)
      .unref();
  }
}
