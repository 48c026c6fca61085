/** Which package has put a policy file in its place, and what else is of that package's source, by the word of dpkg. */
import type { Shipper } from '../policy/package-claims.ts';
import type { PolicyShippers } from '../store/package-claims.ts';
import type { Paths } from '../store/paths.ts';
import { DPKG_DIRECTORY, DpkgDatabase, type DpkgState } from './dpkg-database.ts';
import { readText } from './read-text.ts';
import { RootDirectory } from './root-directory.ts';

/** Longer lists are not read. The largest known has 4 MB. */
const MAX_LIST_BYTES = 32 * 1024 * 1024;

interface SeenList {
  readonly version: string;
  /** Of the files in it those that stand in the directory of policies. */
  readonly policies: readonly string[];
}

interface InstalledList {
  readonly packageName: string;
  readonly path: string;
  readonly version: string;
}

/** For the policy files below the root of these paths. */
export function packageShippers({ root, packagePolicies }: Pick<Paths, 'root' | 'packagePolicies'>): PackageShippers {
  const directory = root === '/' ? packagePolicies : packagePolicies.slice(root.length);
  return new PackageShippers(directory, root);
}

export class PackageShippers implements PolicyShippers {
  readonly #root: RootDirectory;
  readonly #database: DpkgDatabase;
  /** In the words of dpkg's lists: below the root, with a slash at its end. */
  readonly #directory: string;
  #seen: ReadonlyMap<string, SeenList> = new Map();

  /** `directory`: where packages put policy files, as seen from `root`. */
  constructor(directory: string, root = '/') {
    this.#root = new RootDirectory(root);
    this.#database = new DpkgDatabase(this.#root.at(DPKG_DIRECTORY));
    this.#directory = `${directory}/`;
  }

  /** Another text after every step of dpkg; `undefined` where there is no dpkg, and nobody can tell what a package has. */
  version(): string | undefined {
    return this.#database.isThere ? this.#database.version() : undefined;
  }

  /**
   * Who put each of these files there, by its name in the directory. The first look reads every list of files on the machine, a
   * later one those that have changed. Never throws.
   */
  shippers(names: Iterable<string>): ReadonlyMap<string, Shipper> {
    const wanted = [...names];
    if (wanted.length === 0) return new Map();
    const state = this.#database.read();
    const lists = this.#lists(state);
    const owners = this.#owners(lists, state);
    const ofSource = new Map<string, Shipper>();
    return new Map(
      wanted.map((name) => {
        const owner = owners.get(`${this.#directory}${name}`);
        if (owner === undefined) return [name, { kind: 'nobody' }];
        const known = ofSource.get(owner) ?? this.#shipping(owner, lists, state);
        ofSource.set(owner, known);
        return [name, known];
      }),
    );
  }

  #lists({ architectures }: DpkgState): readonly InstalledList[] {
    const byPath = new Map<string, InstalledList>();
    for (const [packageName, ofPackage] of architectures) {
      for (const architecture of ofPackage.keys()) {
        const list = this.#database.listOf(packageName, architecture);
        if (list !== undefined) byPath.set(list.path, { packageName, ...list });
      }
    }
    return [...byPath.values()];
  }

  /** By where the file lies. */
  #owners(lists: readonly InstalledList[], state: DpkgState): ReadonlyMap<string, string> {
    const owners = new Map<string, string>();
    const seen = new Map<string, SeenList>();
    for (const { packageName, path, version } of lists) {
      const before = this.#seen.get(path);
      const list = before?.version === version ? before : this.#look(path, version);
      if (list === undefined) continue;
      seen.set(path, list);
      for (const file of list.policies) owners.set(state.placeOf(file, packageName), packageName);
    }
    this.#seen = seen;
    return owners;
  }

  /** `undefined` where it did not come in time: every list has the root of the file system. */
  #look(listPath: string, version: string): SeenList | undefined {
    const files = filesOf(listPath);
    if (files.length === 0) return undefined;
    return { version, policies: files.filter((file) => file.startsWith(this.#directory)) };
  }

  #shipping(name: string, lists: readonly InstalledList[], state: DpkgState): Shipper {
    const source = state.sources.get(name);
    const siblings = new Set([...state.sources].flatMap(([other, of]) => (of === source ? [other] : [])));
    let files: ReadonlySet<string> | undefined;
    const placeOf = this.#root.places();
    return {
      kind: 'package',
      name,
      siblings,
      ships: (path) => {
        files ??= this.#filesOf(lists, siblings, state, placeOf);
        // The program of an alternative (update-alternatives(1)) is at the end of two links.
        const real = this.#root.realPath(path) ?? placeOf(path) ?? path;
        return files.has(real);
      },
    };
  }

  /** Where the files of these packages lie. A link among them is followed where somebody asks for it, not here. */
  #filesOf(
    lists: readonly InstalledList[],
    packages: ReadonlySet<string>,
    state: DpkgState,
    placeOf: (path: string) => string | undefined,
  ): ReadonlySet<string> {
    const files = new Set<string>();
    for (const { packageName, path } of lists) {
      if (!packages.has(packageName)) continue;
      for (const file of filesOf(path)) {
        const place = state.placeOf(file, packageName);
        files.add(placeOf(place) ?? place);
      }
    }
    return files;
  }
}

function filesOf(listPath: string): string[] {
  return readText(listPath, MAX_LIST_BYTES)
    .split('\n')
    .filter((line) => line.startsWith('/'));
}
