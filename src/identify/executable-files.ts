/**
 * Whether a process runs the file that its `exe` link names. The link's text is a path in the process's own mounts, which in
 * a user and mount namespace anybody can arrange; device and inode, both asked of stat(2) from here, cannot be.
 */
import { type FileIdentity, fileIdentity, isSameFile, isStillSameFile } from '../kernel/file-identity.ts';
import type { Proc } from '../kernel/proc.ts';
import { BoundedMap } from './bounded-map.ts';
import { NamedFiles } from './named-files.ts';
import type { PolicyNames } from './policy-names.ts';

/** Paths whose files are remembered. */
export const MAX_EXECUTABLES_REMEMBERED = 32_768;
/** Files that one path had: programs go on running over so many upgrades. */
export const MAX_FILES_OF_PATH = 4;
/** For so long a path is taken to have the file it had. Where that does not fit, the path is looked at again. */
export const PATH_VALID_MS = 1000;

interface KnownPath {
  /** The latest first. */
  readonly files: readonly FileIdentity[];
  readonly lookedAtMs: number;
}

export interface ExecutableFilesOptions {
  readonly fileAt?: (path: string) => FileIdentity | undefined;
  readonly monotonicMs?: () => number;
}

/** Remembers answers, so one for each thread that asks. */
export class ExecutableFiles {
  readonly #proc: Proc;
  readonly #fileAt: (path: string) => FileIdentity | undefined;
  readonly #monotonicMs: () => number;
  readonly #paths = new BoundedMap<string, KnownPath>(MAX_EXECUTABLES_REMEMBERED);
  readonly #named: NamedFiles;

  constructor(proc: Proc, options: ExecutableFilesOptions = {}) {
    this.#proc = proc;
    this.#fileAt = options.fileAt ?? fileIdentity;
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
    this.#named = new NamedFiles(this.#monotonicMs, this.#fileAt);
  }

  /** Looks at paths not seen before, so that programs that started in time are known after their file is replaced. */
  learn(paths: Iterable<string>): void {
    this.#named.forget();
    for (const path of paths) if (this.#paths.get(path) === undefined) this.#look(path);
  }

  /**
   * By what path policies name the file that a process runs; `undefined` where they do not, or where it is not proven to be
   * that file. `link`: what `proc.executable(pid)` gives.
   */
  namedPathOf(pid: number, link: string, names: PolicyNames): string | undefined {
    if (names.hasExecutable(link)) return this.isProven(pid, link) ? link : undefined;
    const file = this.#proc.executableFile(pid);
    if (file === undefined) return undefined;
    return this.#named.withInode(file.inode, names, { called: [link] }).paths.find((path) => {
      const now = this.#fileAt(names.placeOf(path));
      return now !== undefined && isSameFile(now, file);
    });
  }

  /** `path`: what `proc.executable(pid)` gives. */
  isProven(pid: number, path: string): boolean {
    const file = this.#proc.executableFile(pid);
    if (file === undefined) return false;
    const known = this.#paths.get(path);
    const isFresh = known !== undefined && this.#monotonicMs() - known.lookedAtMs < PATH_VALID_MS;
    // Compared in full: the path may have gone since, and the inode's number been given out again.
    const [latest] = known?.files ?? [];
    if (isFresh && latest !== undefined && isStillSameFile(latest, file)) return true;
    const now = this.#look(path);
    if (now.file !== undefined && isSameFile(now.file, file)) return true;
    return this.#proc.isExecutableDeleted(pid) && now.files.some((earlier) => isStillSameFile(earlier, file));
  }

  #look(path: string): KnownPath & { readonly file: FileIdentity | undefined } {
    const file = this.#fileAt(path);
    const earlier = this.#paths.get(path)?.files ?? [];
    const files = file === undefined ? earlier : [file, ...earlier.filter((other) => !isSameFile(other, file))];
    const known = { files: files.slice(0, MAX_FILES_OF_PATH), lookedAtMs: this.#monotonicMs() };
    this.#paths.set(path, known);
    return { ...known, file };
  }
}
