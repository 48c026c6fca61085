/** The files that policies name, by inode number: a link to one, or one that has been replaced, is found by it. */
import { commandNameOf, type FileName } from '../bpf/records.ts';
import { fileIdentity } from '../kernel/file-identity.ts';
import { nameAtPath, nameWhereLinkLeads } from '../kernel/file-name.ts';
import type { PolicyNames } from './policy-names.ts';

/** All files are looked at again no sooner than after this, and after twenty times as long as it took. */
export const MIN_LOOK_PAUSE_MS = 1;
export const LOOK_PAUSE_FACTOR = 20;
/** Of so many named paths all are looked at for every file of which nobody can say later whether it is named: it takes a millisecond or two. */
export const MAX_PATHS_AT_ONCE = 512;
/** Named paths whose files are called the same; of more, those further on in the policies wait for the next look. */
export const MAX_NAMESAKES = 32;

export interface FilesWithInode {
  readonly paths: readonly string[];
  /** Where not, all were looked at so lately that this was not done again: other paths may have such a file by now. */
  readonly isNow: boolean;
  /** Some named file is called as this one: a link may come to lead to it without it being touched. */
  readonly hasNamesake: boolean;
}

/** What is known of a file besides its inode number: what it is called, and whether it has further names, or nobody runs it any more. */
export interface FileInQuestion {
  readonly called?: readonly string[];
  readonly hasLinks?: boolean;
  readonly hasEnded?: boolean;
}

type Names = Pick<PolicyNames, 'executables' | 'placeOf'>;

/** Remembers answers, so one for each thread that asks. */
export class NamedFiles {
  readonly #monotonicMs: () => number;
  readonly #fileAt: typeof fileIdentity;
  #byInode = new Map<bigint, string[]>();
  /** By what a file is called that is there, or comes to be there. */
  #byName = new Map<FileName, string[]>();
  #lookAgainMs = 0;
  #paths = 0;

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
   * puts a new file under a name that was there, `called`.
   */
  withInode(
    inode: bigint,
    names: Names,
    { called = [], hasLinks = false, hasEnded = false }: FileInQuestion = {},
  ): FilesWithInode {
    const isNow = this.#look(names, hasLinks || hasEnded);
    const paths = this.#byInode.get(inode) ?? [];
    const namesakes = called.flatMap((name) => this.#byName.get(nameAtPath(name)) ?? []);
    const hasNamesake = namesakes.length > 0;
    return { paths: isNow ? paths : [...new Set([...paths, ...namesakes])], isNow, hasNamesake };
  }

  /** Whether it is time to look. `now`: it is, unless there are too many. */
  #look(names: Names, now: boolean): boolean {
    const startMs = this.#monotonicMs();
    if (startMs < this.#lookAgainMs && !(now && this.#paths <= MAX_PATHS_AT_ONCE)) return false;
    this.#byInode = new Map();
    this.#byName = new Map();
    this.#paths = 0;
    for (const path of names.executables()) {
      this.#paths += 1;
      const place = names.placeOf(path);
      const file = this.#fileAt(place);
      if (file !== undefined) add(this.#byInode, file.inode, path);
      const called = [place, path].map(nameAtPath).concat(nameWhereLinkLeads(place) ?? []);
      for (const name of new Set(called.flatMap((each) => [each, commandNameOf(each)])))
        add(this.#byName, name, path, MAX_NAMESAKES);
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
