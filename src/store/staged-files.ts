/**
 * The files of one directory that people write, as they count: those that are there, or, while a change was taken back, those that were
 * there before; and over them those that somebody tries.
 */
import type { Diagnostic } from '../policy/diagnostic.ts';
import { type FileEntry, FileSet } from './file-set.ts';

export class StagedFiles<T> extends FileSet<T> {
  #held: { readonly entries: readonly FileEntry<T>[]; readonly instead: readonly FileEntry<T>[] } | undefined;
  #tried: FileSet<T> | undefined;

  /** Whether others count than those that are there. */
  get isStaged(): boolean {
    return this.isHeld || this.#tried !== undefined;
  }

  get isHeld(): boolean {
    return this.#held !== undefined && !isSame(this.#held.entries, this.#held.instead);
  }

  /** Whether what is there is no longer what it was when it was put aside. */
  get isOvertaken(): boolean {
    return this.#held !== undefined && !isSame(super.entries(), this.#held.instead);
  }

  /** What counts, without what is tried. */
  get settled(): readonly FileEntry<T>[] {
    return this.#held?.entries ?? super.entries();
  }

  /** From now on these count. */
  hold(entries: readonly FileEntry<T>[]): void {
    this.#held = { entries, instead: super.entries() };
  }

  release(): void {
    this.#held = undefined;
  }

  /** `undefined`: nothing is tried any more. */
  try(tried: FileSet<T> | undefined): void {
    this.#tried = tried;
    tried?.scan();
  }

  override entries(): readonly FileEntry<T>[] {
    const base = this.settled;
    const over = this.#tried?.entries() ?? [];
    if (over.length === 0) return base;
    const names = new Set(over.map(({ name }) => name));
    return [...base.filter(({ name }) => !names.has(name)), ...over].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  override notable(): readonly FileEntry<T>[] {
    if (!this.isStaged) return super.notable();
    return this.entries().filter(({ parsed }) => parsed.masked || parsed.diagnostics.length > 0);
  }

  override diagnostics(): readonly Diagnostic[] {
    return [...super.diagnostics(), ...(this.#tried?.diagnostics() ?? [])];
  }

  override scan(): void {
    super.scan();
    this.#tried?.scan();
  }
}

function isSame<T>(a: readonly FileEntry<T>[], b: readonly FileEntry<T>[]): boolean {
  return a.length === b.length && a.every((entry, i) => entry === b[i]);
}
