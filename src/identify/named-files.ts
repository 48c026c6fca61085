/** The files that policies name, by inode number: a link to one, or one that has been replaced, is found by it. */
import { fileIdentity } from '../kernel/file-identity.ts';
import type { PolicyNames } from './policy-names.ts';

/** All files are looked at again no sooner than after this, and after twenty times as long as it took. */
export const MIN_LOOK_PAUSE_MS = 100;
export const LOOK_PAUSE_FACTOR = 20;

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
  #lookAgainMs = 0;

  constructor(monotonicMs: () => number = () => performance.now(), fileAt: typeof fileIdentity = fileIdentity) {
    this.#monotonicMs = monotonicMs;
    this.#fileAt = fileAt;
  }

  /** Other files are named now. */
  forget(): void {
    this.#lookAgainMs = 0;
  }

  /** Paths whose file has this inode number, on whatever device. */
  withInode(inode: bigint, names: Pick<PolicyNames, 'executables'>): FilesWithInode {
    const startMs = this.#monotonicMs();
    if (startMs < this.#lookAgainMs) return { paths: this.#byInode.get(inode) ?? [], isNow: false };
    this.#byInode = new Map();
    for (const path of names.executables()) {
      const file = this.#fileAt(path);
      if (file === undefined) continue;
      const paths = this.#byInode.get(file.inode);
      if (paths === undefined) this.#byInode.set(file.inode, [path]);
      else paths.push(path);
    }
    const endMs = this.#monotonicMs();
    this.#lookAgainMs = endMs + Math.max(MIN_LOOK_PAUSE_MS, (endMs - startMs) * LOOK_PAUSE_FACTOR);
    return { paths: this.#byInode.get(inode) ?? [], isNow: true };
  }
}
