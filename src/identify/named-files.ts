/** The files that policies name, by inode number: a link to one, or one that has been replaced, is found by it. */
import type { FileName } from '../bpf/records.ts';
import { fileIdentity } from '../kernel/file-identity.ts';
import { nameAtPath, nameWhereLinkLeads } from '../kernel/file-name.ts';
import type { PolicyNames } from './policy-names.ts';

/** All files are looked at again no sooner than after this, and after twenty times as long as it took. */
export const MIN_LOOK_PAUSE_MS = 1;
export const LOOK_PAUSE_FACTOR = 20;
/** Named paths whose files are called the same; of more, those further on in the policies wait for the next look. */
export const MAX_NAMESAKES = 32;

export interface FilesWithInode {
  readonly paths: readonly string[];
  /** Where not, all were looked at so lately that this was not done again: other paths may have such a file by now. */
  readonly isNow: boolean;
}

/** Remembers answers, so one for each thread that asks. */
export class NamedFiles {
  readonly #monotonicMs: () => number;
  readonly #fileAt: typeof fileIdentity;
  #byInode = new Map<bigint, string[]>();
  /** By what a file is called that is there, or comes to be there. */
  #byName = new Map<FileName, string[]>();
  #lookAgainMs = 0;

  constructor(monotonicMs: () => number = () => performance.now(), fileAt: typeof fileIdentity = fileIdentity) {
    this.#monotonicMs = monotonicMs;
    this.#fileAt = fileAt;
  }

  /** Other files are named now. */
  forget(): void {
    this.#lookAgainMs = 0;
  }

  /**
   * Paths whose file has this inode number, on whatever device. Between looks also those that may have got it since: an upgrade
   * puts a new file under a name that was there, `calledAs`.
   */
  withInode(inode: bigint, names: Pick<PolicyNames, 'executables'>, calledAs?: string): FilesWithInode {
    const isNow = this.#look(names);
    const paths = this.#byInode.get(inode) ?? [];
    if (isNow || calledAs === undefined) return { paths, isNow };
    const namesakes = this.#byName.get(nameAtPath(calledAs)) ?? [];
    return { paths: [...new Set([...paths, ...namesakes])], isNow };
  }

  /** Whether it is time to look. */
  #look(names: Pick<PolicyNames, 'executables'>): boolean {
    const startMs = this.#monotonicMs();
    if (startMs < this.#lookAgainMs) return false;
    this.#byInode = new Map();
    this.#byName = new Map();
    for (const path of names.executables()) {
      const file = this.#fileAt(path);
      if (file !== undefined) add(this.#byInode, file.inode, path);
      add(this.#byName, nameWhereLinkLeads(path) ?? nameAtPath(path), path, MAX_NAMESAKES);
    }
    const endMs = this.#monotonicMs();
    this.#lookAgainMs = endMs + Math.max(MIN_LOOK_PAUSE_MS, (endMs - startMs) * LOOK_PAUSE_FACTOR);
    return true;
  }
}

function add<K>(lists: Map<K, string[]>, key: K, path: string, most = Number.POSITIVE_INFINITY): void {
  const paths = lists.get(key);
  if (paths === undefined) lists.set(key, [path]);
  else if (paths.length < most) paths.push(path);
}
