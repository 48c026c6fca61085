/**
 * The programs of installed Debian packages. Packages of other managers are not told (`package-manager.ts` says which one a
 * machine has).
 *
 * dpkg's word is taken: a file that somebody else put, changed or made executable counts from the next time that dpkg has
 * worked on its package.
 */
import { lstatSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { fileLooks } from '../kernel/file-looks.ts';
import type { PackagePrograms } from '../policy/facts.ts';
import { DPKG_DIRECTORY, DpkgDatabase, type DpkgState } from './dpkg-database.ts';
import { type ProgramKind, ProgramKinds } from './program-kinds.ts';
import { readText } from './read-text.ts';
import { RootDirectory } from './root-directory.ts';
import { sameTexts } from './same-texts.ts';

/** Longer lists are not read. The largest known has 4 MB. */
const MAX_LIST_BYTES = 32 * 1024 * 1024;
/** Further files of a package are not looked at. */
export const MAX_FILES_PER_PACKAGE = 200_000;

/** Half of all packaged files. By Debian's policy manual (and the FHS) none of them is a program that anything runs. */
const WITHOUT_PROGRAMS: readonly string[] = [
  '/usr/share/man/',
  '/usr/share/doc/',
  '/usr/share/info/',
  '/usr/share/locale/',
  '/usr/share/icons/',
  '/usr/share/zoneinfo/',
  '/usr/include/',
];
/** Directories that became links when /usr was merged: files listed below them are elsewhere after that. */
const MERGED_DIRECTORIES: readonly string[] = ['/bin', '/sbin', '/lib'];

interface Remembered {
  readonly version: string;
  /** `undefined`: not installed. */
  readonly programs: PackagePrograms | undefined;
}

interface Answer {
  readonly version: string;
  readonly names: readonly string[];
  readonly programs: ReadonlyMap<string, PackagePrograms>;
}

export class Packages {
  readonly #root: RootDirectory;
  readonly #database: DpkgDatabase;
  readonly #kinds = new ProgramKinds();
  #remembered: ReadonlyMap<string, Remembered> = new Map();
  #answer: Answer | undefined;

  constructor(root = '/') {
    this.#root = new RootDirectory(root);
    this.#database = new DpkgDatabase(this.#root.at(DPKG_DIRECTORY));
  }

  /**
   * Of each package, `NAME` (all its architectures) or `NAME:ARCHITECTURE`, that is installed. As long as nothing has
   * changed, it is the same map and costs three looks at files; after a change, packages that stayed as they were are the same
   * objects. Never throws.
   */
  programs(names: Iterable<string>): ReadonlyMap<string, PackagePrograms> {
    const wanted = [...names];
    const before = this.#answer;
    if (wanted.length === 0) return before?.names.length === 0 ? before.programs : this.#remember('', [], new Map());
    const version = this.#database.version();
    if (before?.version === version && sameTexts(before.names, wanted)) return before.programs;
    return this.#remember(version, wanted, this.#look(wanted));
  }

  /** What the file at an absolute path is, links followed. The answer for a file that was looked at before costs no open(). */
  classify(path: string): ProgramKind | undefined {
    return this.#kinds.kindOf(this.#root.at(path));
  }

  #remember(
    version: string,
    names: readonly string[],
    found: ReadonlyMap<string, PackagePrograms>,
  ): ReadonlyMap<string, PackagePrograms> {
    const before = this.#answer?.programs;
    const programs = before !== undefined && sameEntries(before, found) ? before : found;
    this.#answer = { version, names, programs };
    return programs;
  }

  #look(names: readonly string[]): Map<string, PackagePrograms> {
    const state = this.#database.read();
    const places = `${state.diversionsVersion} ${MERGED_DIRECTORIES.map((path) => this.#root.realPath(path)).join(' ')}`;
    const realPath = this.#root.places();
    const remembered = new Map<string, Remembered>();
    const found = new Map<string, PackagePrograms>();
    for (const name of [...new Set(names)].sort()) {
      const before = this.#remembered.get(name);
      const lists = this.#listsOf(name, state);
      const version = [places, ...lists.map((list) => `${list.path} ${list.version}`)].join('\n');
      const isSame = before?.version === version;
      const programs = isSame ? before.programs : this.#programsOf(name, lists, state, realPath);
      const kept =
        before?.programs !== undefined && samePrograms(before.programs, programs) ? before.programs : programs;
      remembered.set(name, { version, programs: kept });
      if (kept !== undefined) found.set(name, kept);
    }
    this.#remembered = remembered;
    return found;
  }

  /** A version of its own when the package is configured: only then its configuration files, of which some are scripts, are there. */
  #listsOf(name: string, { architectures }: DpkgState): { readonly path: string; readonly version: string }[] {
    const { packageName, architecture } = splitName(name);
    const lists = [...(architectures.get(packageName) ?? [])]
      .filter(([each]) => architecture === undefined || each === architecture)
      .flatMap(([each, state]) => {
        const list = this.#database.listOf(packageName, each);
        return list === undefined ? [] : { path: list.path, version: `${list.version} ${state}` };
      });
    return lists.filter(({ path }, i) => lists.findIndex((other) => other.path === path) === i);
  }

  #programsOf(
    name: string,
    lists: readonly { readonly path: string }[],
    state: DpkgState,
    realPath: (path: string) => string | undefined,
  ): PackagePrograms | undefined {
    if (lists.length === 0) return undefined;
    const { packageName } = splitName(name);
    const found = { executable: new Set<string>(), script: new Set<string>() };
    for (const list of lists) {
      for (const file of filesOf(readText(list.path, MAX_LIST_BYTES))) {
        const place = state.placeOf(file, packageName);
        const kind = this.#kindOfListed(place);
        const path = kind === undefined ? undefined : realPath(place);
        if (kind !== undefined && path !== undefined) found[kind].add(path);
      }
    }
    return { executables: [...found.executable].sort(), scripts: [...found.script].sort() };
  }

  /** A listed link is no program: what it points to is, of the package that it belongs to. */
  #kindOfListed(path: string): ProgramKind | undefined {
    const place = this.#root.at(path);
    const stats = lookAtLink(place);
    return stats === undefined ? undefined : this.#kinds.kindOfFile(place, stats);
  }
}

function splitName(name: string): { readonly packageName: string; readonly architecture?: string } {
  const [packageName = '', architecture] = name.split(':');
  return { packageName, ...(architecture !== undefined && { architecture }) };
}

/** Paths in a list that may be programs. A directory comes right before what is in it. */
function* filesOf(list: string): Generator<string> {
  const lines = list.split('\n', MAX_FILES_PER_PACKAGE);
  for (const [i, line] of lines.entries()) {
    if (!line.startsWith('/') || lines[i + 1]?.startsWith(`${line}/`)) continue;
    if (!WITHOUT_PROGRAMS.some((directory) => line.startsWith(directory))) yield line;
  }
}

function lookAtLink(path: string): Stats | undefined {
  try {
    return fileLooks().answers(dirname(path)) ? lstatSync(path, { throwIfNoEntry: false }) : undefined;
  } catch {
    return undefined;
  }
}

function samePrograms(a: PackagePrograms, b: PackagePrograms | undefined): boolean {
  return b !== undefined && (a === b || (sameTexts(a.executables, b.executables) && sameTexts(a.scripts, b.scripts)));
}

function sameEntries<Value>(a: ReadonlyMap<string, Value>, b: ReadonlyMap<string, Value>): boolean {
  return a.size === b.size && [...b].every(([key, value]) => a.get(key) === value);
}
