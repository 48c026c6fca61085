/**
 * Tells the kernel what the files of named programs are called, and which they are: what is neither, it takes for nobody's. So what
 * is missing here is not asked about.
 */
import { commandNameOf, type ExecutableKey, type FileId, type FileName, fileIdOf } from '../bpf/records.ts';
import { BROKERS } from '../identify/socket-broker.ts';
import { nameAtPath } from '../kernel/file-name.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { SocketMarks } from '../kernel/socket-marks.ts';
import { userModeNetworkNames } from '../policy/user-mode-networks.ts';

/** `hasFamily`: what the application starts counts as its own. */
export interface NamedPath {
  readonly path: string;
  /** Of the file there, which is another one than the path's where a link leads to it, and of one that may come to be there. */
  readonly names: readonly FileName[];
  readonly hasFamily: boolean;
  /** A link leads to it. */
  readonly byLink: boolean;
}

export interface NamedKey {
  readonly key: ExecutableKey;
  readonly hasFamily: boolean;
  /** Of the program that it is, or was. */
  readonly number: number;
}

export class ToldNames {
  readonly #marks: SocketMarks;
  /** Of the paths that were told last: there may be thousands, of which one has changed. */
  #nameOf: ReadonlyMap<string, FileName> = new Map();
  #files: ReadonlyMap<FileId, boolean> = new Map();

  constructor(marks: SocketMarks) {
    this.#marks = marks;
  }

  /** Whether it is the file of something named, in whatever state. */
  hasFile(key: ExecutableKey): boolean {
    return this.#files.has(fileIdOf(key));
  }

  /** Throws KernelError: then nothing is nobody's any more. */
  tell(paths: Iterable<NamedPath>, keys: Iterable<NamedKey>): void {
    const names = new Map<FileName, boolean>();
    const files = new Map<FileId, boolean>();
    const byLink = new Set<FileName>();
    const numbers = new Map<FileId, number>();
    const nameOf = new Map<string, FileName>();
    for (const { path, names: others, hasFamily, byLink: isByLink } of paths) {
      const own = this.#nameOf.get(path) ?? nameAtPath(path);
      nameOf.set(path, own);
      for (const name of [own, ...others].flatMap((each) => [each, commandNameOf(each)])) {
        add(names, name, hasFamily);
        if (isByLink) byLink.add(name);
      }
    }
    for (const { key, hasFamily, number } of keys) {
      add(files, fileIdOf(key), hasFamily);
      if (!numbers.has(fileIdOf(key))) numbers.set(fileIdOf(key), number);
    }
    this.#nameOf = nameOf;
    this.#files = files;
    try {
      this.#addBrokers(names, files);
      for (const name of userModeNetworkNames()) add(names, nameAtPath(name), false);
      this.#marks.setNamed({ names, files, byLink, numbers });
    } catch (error) {
      if (error instanceof KernelError) this.#marks.setNobody(undefined);
      throw error;
    }
  }

  /** Whoever holds their sockets owns them: that has to be looked for. */
  #addBrokers(names: Map<FileName, boolean>, files: Map<FileId, boolean>): void {
    for (const path of BROKERS) {
      const file = this.#marks.programFile(path);
      add(names, nameAtPath(path), false);
      if (file === undefined) continue;
      add(names, file.name, false);
      add(files, fileIdOf(file.key), false);
    }
  }
}

function add<T>(told: Map<T, boolean>, what: T, hasFamily: boolean): void {
  told.set(what, hasFamily || told.get(what) === true);
}
