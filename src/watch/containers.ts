/**
 * Names of the containers on this machine, from the files in which root's runtimes keep them: Docker, Podman, CRI-O, and
 * containerd with Kubernetes or nerdctl. Nobody is asked: no runtime has to answer for a policy to hold.
 *
 * Left out are containers of users ("rootless", below `~/.local/share`): their names are whatever their user chose, and a
 * user could take the policy of any container by its name. Left out as well is storage that was moved (`data-root`,
 * `graphroot`). Both can be named by id.
 */
import type { Stats } from 'node:fs';
import {
  bundleRecord,
  type ContainerRecord,
  dockerRecord,
  isContainerId,
  type Records,
  storageRecords,
} from './container-records.ts';
import { fileVersion, listNames, lookAt, readText } from './read-text.ts';
import { sameTexts } from './same-texts.ts';

/** Further containers have no names. */
export const MAX_CONTAINERS = 4096;
/** Namespaces of one containerd: a machine has one to three. */
const MAX_NAMESPACES = 64;
/** Of one container. Docker's have 10 KB, an OCI bundle's 50 KB. */
const MAX_RECORD_BYTES = 1024 * 1024;
/** Of a list of all containers. */
const MAX_LIST_BYTES = 32 * 1024 * 1024;
/**
 * What was written a moment ago is read again next time: it may be written to once more without a later modification time
 * (kernels count it in steps of up to 10 ms), and not everybody writes files in one piece.
 */
const SETTLED_MS = 100;

/** A directory of one directory a container, named by its id, with a file that tells its name. */
interface Store {
  readonly directory: string;
  /** One more level, of namespaces, lies between. */
  readonly hasNamespaces?: true;
  readonly file: string;
  readonly read: (text: string, id: string) => Records;
}

const DOCKER: Store = { directory: '/var/lib/docker/containers', file: 'config.v2.json', read: dockerRecord };

const CONTAINERD: Omit<Store, 'directory'> = { hasNamespaces: true, file: 'config.json', read: bundleRecord };

const STORES: readonly Store[] = [
  DOCKER,
  { ...CONTAINERD, directory: '/run/containerd/io.containerd.runtime.v2.task' },
  { ...CONTAINERD, directory: '/run/k3s/containerd/io.containerd.runtime.v2.task' },
];

/** containers/storage keeps two lists, of containers that outlive a restart of the machine and of others, for each driver. */
const STORAGE_ROOTS: readonly string[] = ['/var/lib/containers/storage', '/run/containers/storage'];
const STORAGE_DRIVERS: readonly string[] = ['overlay', 'vfs', 'btrfs', 'zfs'];
const STORAGE_LISTS: readonly string[] = ['containers.json', 'volatile-containers.json'];

interface RecordFile {
  readonly path: string;
  readonly maxBytes: number;
  readonly read: (text: string) => Records;
}

interface Remembered<Value> {
  readonly version: string;
  readonly value: Value;
}

export class Containers {
  readonly #root: string;
  #entries: ReadonlyMap<string, Remembered<readonly string[]>> = new Map();
  #records: ReadonlyMap<string, Remembered<readonly ContainerRecord[]>> = new Map();
  #names: ReadonlyMap<string, readonly string[]> = new Map();

  constructor(root = '/') {
    this.#root = root.replace(/\/+$/, '');
  }

  /**
   * Id (64 hexadecimal digits) -> names, sorted. Stopped containers are among them: their ids mean nobody else. The same map as
   * long as nothing has changed: that costs one look at a file for each container. Never throws.
   */
  names(): ReadonlyMap<string, readonly string[]> {
    const found = namesOf(this.#readAll());
    if (!sameNames(this.#names, found)) this.#names = found;
    return this.#names;
  }

  #readAll(): ContainerRecord[] {
    const records = new Map<string, Remembered<readonly ContainerRecord[]>>();
    const entries = new Map<string, Remembered<readonly string[]>>();
    const found = this.#files(entries).flatMap((file) => [...this.#recordsOf(file, records)]);
    this.#records = records;
    this.#entries = entries;
    return found;
  }

  #files(entries: Map<string, Remembered<readonly string[]>>): RecordFile[] {
    const lists = STORAGE_ROOTS.flatMap((root) =>
      STORAGE_DRIVERS.flatMap((driver) =>
        STORAGE_LISTS.map((list) => `${this.#root}${root}/${driver}-containers/${list}`),
      ),
    );
    const files: RecordFile[] = lists.map((path) => ({ path, maxBytes: MAX_LIST_BYTES, read: storageRecords }));
    for (const { directory, hasNamespaces, file, read } of STORES) {
      const top = `${this.#root}${directory}`;
      const namespaces = hasNamespaces ? this.#entriesOf(top, entries).slice(0, MAX_NAMESPACES) : undefined;
      for (const parent of namespaces?.map((namespace) => `${top}/${namespace}`) ?? [top]) {
        for (const id of this.#entriesOf(parent, entries)) {
          if (files.length > MAX_CONTAINERS) return files;
          if (!isContainerId(id)) continue;
          files.push({ path: `${parent}/${id}/${file}`, maxBytes: MAX_RECORD_BYTES, read: (text) => read(text, id) });
        }
      }
    }
    return files;
  }

  /** Sorted names of what is in a directory. */
  #entriesOf(directory: string, entries: Map<string, Remembered<readonly string[]>>): readonly string[] {
    const stats = lookAt(directory);
    if (stats === undefined) return [];
    const version = fileVersion(stats);
    const known = this.#entries.get(directory);
    const value = known?.version === version ? known.value : sortedNames(directory);
    if (isSettled(stats)) entries.set(directory, { version, value });
    return value;
  }

  #recordsOf(
    { path, maxBytes, read }: RecordFile,
    records: Map<string, Remembered<readonly ContainerRecord[]>>,
  ): readonly ContainerRecord[] {
    const stats = lookAt(path);
    if (stats === undefined) return [];
    const version = fileVersion(stats);
    const known = this.#records.get(path);
    const value = known?.version === version ? known.value : (read(readText(path, maxBytes)) ?? []);
    if (isSettled(stats)) records.set(path, { version, value });
    return value;
  }
}

const isSettled = ({ mtimeMs }: Stats): boolean => Date.now() - mtimeMs > SETTLED_MS;

const sortedNames = (directory: string): string[] => listNames(directory).sort();

function namesOf(records: readonly ContainerRecord[]): Map<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const { id, names } of records.slice(0, MAX_CONTAINERS)) {
    found.set(id, [...new Set([...(found.get(id) ?? []), ...names])].sort());
  }
  return found;
}

function sameNames(a: ReadonlyMap<string, readonly string[]>, b: ReadonlyMap<string, readonly string[]>): boolean {
  return a.size === b.size && [...b].every(([id, names]) => sameTexts(a.get(id) ?? [], names));
}
