/**
 * Tells when dpkg has done something: its status file is replaced at the end, and each step before is a file of its journal.
 * A package's own script starts its service between these, so it is not the end that is waited for.
 */

import { type FSWatcher, watch } from 'node:fs';
import { join } from 'node:path';
import type { Background } from '../kernel/background.ts';
import { DPKG_DIRECTORY } from './dpkg-database.ts';

/** From the first change to the report: the steps of one package come together. */
export const PACKAGES_WAIT_MS = 50;

/** Where it all happens, and which files there say something (all where none is named). */
const WATCHED: readonly (readonly [directory: string, files: readonly string[]])[] = [
  [DPKG_DIRECTORY, ['status', 'diversions']],
  [`${DPKG_DIRECTORY}/updates`, []],
];

/** Watches from its construction until it is disposed of. On a machine without dpkg it never tells anything. */
export class PackagesWatch implements Disposable {
  readonly #onChange: () => void;
  readonly #background: Background;
  readonly #watchers: FSWatcher[] = [];
  #report: NodeJS.Timeout | undefined;

  constructor(onChange: () => void, background: Background, root = '/') {
    this.#background = background;
    this.#onChange = onChange;
    for (const [directory, files] of WATCHED) this.#watch(join(root, directory), files);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#report);
    for (const watcher of this.#watchers.splice(0)) watcher.close();
  }

  #watch(directory: string, files: readonly string[]): void {
    try {
      const watcher = watch(
        directory,
        { persistent: false },
        this.#background.handler((_event: string, name: string | null) => {
          if (name === null || files.length === 0 || files.includes(name)) this.#tell();
        }),
      );
      watcher.on(
        'error',
        this.#background.handler(() => watcher.close()),
      );
      this.#watchers.push(watcher);
    } catch {
      // No such directory, or no watches left: the next change of anything else has the packages looked at.
    }
  }

  #tell(): void {
    this.#report ??= this.#background
      .timeout(() => {
        this.#report = undefined;
        this.#onChange();
      }, PACKAGES_WAIT_MS)
      .unref();
  }
}
