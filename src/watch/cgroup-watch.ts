/**
 * Tells when cgroups beside or below given ones come or go (inotify works on cgroup2). A cgroup that is made anew under its
 * old path is another one to the kernel.
 */
import { type FSWatcher, watch } from 'node:fs';

/** More directories are not watched: the slow path learns of their cgroups anyway. */
export const MAX_WATCHED_DIRECTORIES = 1024;

export class CgroupWatch implements Disposable {
  readonly #onChange: () => void;
  readonly #watchers = new Map<string, FSWatcher>();

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** Absolute directories; those that are gone are passed over: their parents tell. */
  watch(directories: Iterable<string>): void {
    const wanted = new Set([...directories].slice(0, MAX_WATCHED_DIRECTORIES));
    for (const directory of [...this.#watchers.keys()]) if (!wanted.has(directory)) this.#unwatch(directory);
    for (const directory of wanted) if (!this.#watchers.has(directory)) this.#watch(directory);
  }

  [Symbol.dispose](): void {
    for (const directory of [...this.#watchers.keys()]) this.#unwatch(directory);
  }

  #watch(directory: string): void {
    try {
      const watcher = watch(directory, { persistent: false }, () => this.#onChange());
      watcher.on('error', () => this.#unwatch(directory));
      this.#watchers.set(directory, watcher);
    } catch {
      // Gone, or no watches left: the slow path still learns of what it sees.
    }
  }

  #unwatch(directory: string): void {
    this.#watchers.get(directory)?.close();
    this.#watchers.delete(directory);
  }
}
