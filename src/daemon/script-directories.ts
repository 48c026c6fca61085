/**
 * Tells when a listed path may have another file, by inotify on the directories that can say so: of a script that of the path, that of
 * the file to which links lead, and for what is missing the nearest one that is there. What happens further up (a link in the
 * middle of the path, a mount) is not told, unless `placesOf` names it.
 */

import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Background } from '../kernel/background.ts';
import { fileLooks } from '../kernel/file-looks.ts';
import { isDirectory } from '../kernel/file-stat.ts';

/** More directories are not watched. */
export const MAX_SCRIPT_DIRECTORIES = 1024;

interface Watched {
  readonly watcher: FSWatcher;
  /** Another directory may come to have the path. */
  readonly inode: bigint;
}

export interface Place {
  readonly directory: string;
  readonly name: string;
}

type PlacesOf = (path: string) => readonly Place[];

export interface ScriptDirectoriesListener {
  /** Listed paths that may have another file. */
  readonly onChange: (paths: ReadonlySet<string>) => void;
  /**
   * A file whose name is that of a listed one and more: what package managers, editors and rsync write before they rename it
   * (`x.py.dpkg-new`, `.x.py.a1b2c3`).
   */
  readonly onCandidate: (path: string) => void;
}

export class ScriptDirectories implements Disposable {
  readonly #listener: ScriptDirectoriesListener;
  readonly #background: Background;
  readonly #placesOf: PlacesOf;
  readonly #watched = new Map<string, Watched>();
  /** By listed path, where its changes show. */
  readonly #places = new Map<string, readonly Place[]>();
  /** By directory and name in it the listed paths: other names may be busy. */
  #paths: ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>> = new Map();

  /** `placesOf`: where changes of a path show; those of a script unless stated. */
  constructor(listener: ScriptDirectoriesListener, background: Background, placesOf: PlacesOf = placesOfScript) {
    this.#placesOf = placesOf;
    this.#background = background;
    this.#listener = listener;
  }

  /** Exactly these, absolute, from now on. */
  watch(paths: ReadonlySet<string>): void {
    for (const path of [...this.#places.keys()]) if (!paths.has(path)) this.#places.delete(path);
    this.lookAgain(paths);
  }

  /** To be called with what has changed, as other directories may tell of it from now on. */
  lookAgain(paths: Iterable<string>): void {
    const touched = new Set<string>();
    for (const path of paths) {
      const places = this.#placesOf(path);
      this.#places.set(path, places);
      for (const { directory } of places) touched.add(directory);
    }
    this.#paths = pathsByPlace(this.#places);
    for (const directory of [...this.#watched.keys()]) {
      const isReplaced = touched.has(directory) && this.#watched.get(directory)?.inode !== inodeOf(directory);
      if (isReplaced || !this.#paths.has(directory)) this.#unwatch(directory);
    }
    for (const directory of touched) if (!this.#watched.has(directory)) this.#watch(directory);
  }

  [Symbol.dispose](): void {
    for (const directory of [...this.#watched.keys()]) this.#unwatch(directory);
  }

  #watch(directory: string): void {
    const inode = inodeOf(directory);
    if (inode === undefined || this.#watched.size >= MAX_SCRIPT_DIRECTORIES) return;
    try {
      const watcher = watch(
        directory,
        { persistent: false },
        this.#background.handler((_event: string, name: string | null) => this.#hear(directory, name)),
      );
      watcher.on(
        'error',
        this.#background.handler(() => this.#unwatch(directory)),
      );
      this.#watched.set(directory, { watcher, inode });
    } catch {
      // Gone, or no watches left: what nobody tells is found by looking.
    }
  }

  #hear(directory: string, name: string | null): void {
    const names = this.#paths.get(directory);
    if (names === undefined) return;
    const paths = name === null ? undefined : names.get(name);
    if (paths !== undefined) this.#listener.onChange(paths);
    // A directory that is removed or renamed itself is told with its own name, or without one.
    else if (name === null || name === basename(directory))
      this.#listener.onChange(new Set([...names.values()].flatMap((some) => [...some])));
    else if ([...names.keys()].some((listed) => name.includes(listed)))
      this.#listener.onCandidate(join(directory, name));
  }

  #unwatch(directory: string): void {
    this.#watched.get(directory)?.watcher.close();
    this.#watched.delete(directory);
  }
}

function placesOfScript(path: string): readonly Place[] {
  const real = realPath(path);
  const shown = [nearest(path), ...(real === undefined || real === path ? [] : [real])];
  return shown.map((place) => ({ directory: dirname(place), name: basename(place) }));
}

function pathsByPlace(places: ReadonlyMap<string, readonly Place[]>): Map<string, Map<string, Set<string>>> {
  const byDirectory = new Map<string, Map<string, Set<string>>>();
  for (const [path, shown] of places) {
    for (const { directory, name } of shown) {
      const names = byDirectory.get(directory) ?? new Map<string, Set<string>>();
      byDirectory.set(directory, names.set(name, (names.get(name) ?? new Set<string>()).add(path)));
    }
  }
  return byDirectory;
}

/** The path, or the first part of it whose directory is there. */
function nearest(path: string): string {
  let part = path;
  while (part !== '/' && inodeOf(dirname(part)) === undefined) part = dirname(part);
  return part;
}

function realPath(path: string): string | undefined {
  try {
    return fileLooks().realPath(path)?.toString();
  } catch {
    return undefined;
  }
}

function inodeOf(directory: string): bigint | undefined {
  try {
    const stat = fileLooks().stat(directory);
    return stat !== undefined && isDirectory(stat) ? stat.inode : undefined;
  } catch {
    return undefined;
  }
}
