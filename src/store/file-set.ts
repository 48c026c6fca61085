/**
 * The files of one directory, read and parsed: each file is read again only where it may have changed, and the last good
 * version of a file stands in for one that can no longer be used.
 */
import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import type { Diagnostic, DiagnosticCode } from '../policy/diagnostic.ts';
import { isPolicyFileName } from '../policy/layers.ts';
import type { Match } from '../policy/model.ts';
import { diagnosticAt } from '../policy/policy-source.ts';
import type { LastGood } from './last-good.ts';
import { listSourceFiles, MAX_DIRECTORY_FILES, readSourceFile, type SourceFile, type Stamp } from './source-file.ts';

export interface ParsedFile<T> {
  /** There where the file can be used. */
  readonly value?: T;
  /** Who a policy file is about, as far as it can be told. */
  readonly app?: string;
  readonly match?: readonly Match[];
  readonly masked?: true;
  readonly diagnostics: readonly Diagnostic[];
}

export interface FileSetOptions<T> {
  readonly directory: string;
  /** The one file to look at; otherwise all policy file names. */
  readonly only?: string;
  /** Never throws, whatever the bytes are. */
  readonly parse: (file: string, bytes: Uint8Array) => ParsedFile<T>;
  readonly lastGood: LastGood;
}

/** One file at one moment: a new object whenever what it says changes. */
export interface FileEntry<T> {
  readonly name: string;
  readonly path: string;
  /** What is in force: the file as it is, or its last good version. */
  readonly value?: T;
  readonly isLastGood: boolean;
  readonly parsed: ParsedFile<T>;
}

interface Seen {
  /** Of the bytes, or why there are none. */
  readonly content: string;
  /** Absent where the file could not be read: the next look reads it. */
  readonly stamp?: Stamp;
}

export class FileSet<T> {
  readonly directory: string;
  readonly #only: string | undefined;
  readonly #parse: FileSetOptions<T>['parse'];
  readonly #lastGood: LastGood;
  readonly #byName = new Map<string, FileEntry<T>>();
  readonly #seen = new Map<string, Seen>();
  #directoryDiagnostics: readonly Diagnostic[] = [];
  #copyDiagnostics: readonly Diagnostic[] = [];
  #scanned = false;

  constructor({ directory, only, parse, lastGood }: FileSetOptions<T>) {
    this.directory = directory;
    this.#only = only;
    this.#parse = parse;
    this.#lastGood = lastGood;
  }

  /** Sorted by name. */
  entries(): readonly FileEntry<T>[] {
    const entries = [...this.#byName.values()];
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** About the directory and the copies; those about a file stand in its entry. */
  diagnostics(): readonly Diagnostic[] {
    return [...this.#directoryDiagnostics, ...this.#copyDiagnostics];
  }

  /** The name in this set that a path stands for. */
  nameOf(path: string): string | undefined {
    if (dirname(path) !== this.directory) return undefined;
    const name = basename(path);
    const belongs = this.#only === undefined ? isPolicyFileName(name) : this.#only === name;
    return belongs ? name : undefined;
  }

  /** Looks at every file. */
  scan(): void {
    const listing =
      this.#only === undefined
        ? listSourceFiles(this.directory)
        : { kind: 'listed' as const, names: [this.#only], excess: 0 };
    switch (listing.kind) {
      case 'refused':
        this.#directoryDiagnostics = [
          this.#problem('unreadable-file', `the directory cannot be read: ${listing.because}`),
        ];
        if (!this.#scanned) for (const name of this.#lastGood.names()) this.#restore(name);
        break;
      case 'listed':
        this.#directoryDiagnostics = this.#listingProblems(listing);
        this.#lookAtAll(listing.names.filter(isReadableName));
        break;
    }
    this.#scanned = true;
    this.#updateCopies();
  }

  /** Reads these files again, whatever their stamps say; names that do not belong to the set are none of its business. */
  reread(names: Iterable<string>): void {
    for (const name of names) this.#look(name, undefined);
    this.#updateCopies();
  }

  #lookAtAll(names: readonly string[]): void {
    const present = new Set(names);
    const before = this.#scanned ? this.#byName.keys() : this.#lastGood.names();
    for (const name of [...before]) if (!present.has(name)) this.#remove(name);
    for (const name of names) this.#look(name, this.#seen.get(name)?.stamp);
  }

  #listingProblems({
    names,
    excess,
  }: {
    readonly names: readonly string[];
    readonly excess: number;
  }): readonly Diagnostic[] {
    const problems = names
      .filter((name) => !isReadableName(name))
      .map((name) =>
        this.#problem('unreadable-file', `the name ${JSON.stringify(name)} is not UTF-8 text: the file is ignored`),
      );
    if (excess === 0) return problems;
    const message = `more than ${MAX_DIRECTORY_FILES} files: the last ${excess} by name are ignored`;
    return [...problems, this.#problem('too-long', message)];
  }

  #look(name: string, known: Stamp | undefined): void {
    const path = join(this.directory, name);
    const file = readSourceFile(path, known);
    switch (file.kind) {
      case 'unchanged':
        return;
      case 'absent':
        this.#remove(name);
        return;
      case 'refused':
      case 'read': {
        const before = this.#seen.get(name);
        const seen = seenOf(file);
        this.#seen.set(name, seen);
        // Touched, or installed again: nobody needs to hear of it.
        if (before?.content !== seen.content) this.#renew(name, path, file);
      }
    }
  }

  #remove(name: string): void {
    this.#byName.delete(name);
    this.#seen.delete(name);
    this.#lastGood.forget(name);
  }

  #renew(name: string, path: string, file: Extract<SourceFile, { kind: 'read' | 'refused' }>): void {
    const parsed = file.kind === 'read' ? this.#parse(path, file.bytes) : unreadable(path, file.because);
    const base = { name, path, parsed };
    if (parsed.masked) {
      this.#byName.set(name, { ...base, isLastGood: false });
      this.#lastGood.forget(name);
    } else if (parsed.value !== undefined && file.kind === 'read') {
      this.#byName.set(name, { ...base, value: parsed.value, isLastGood: false });
      this.#lastGood.keep(name, { path, stamp: file.stamp, bytes: file.bytes });
    } else {
      const value = this.#byName.get(name)?.value ?? this.#readCopy(name, path);
      if (value === undefined) this.#byName.set(name, { ...base, isLastGood: false });
      else this.#byName.set(name, { ...base, parsed: withHint(parsed), value, isLastGood: true });
    }
  }

  /** For a file that cannot even be listed. */
  #restore(name: string): void {
    const path = join(this.directory, name);
    const value = this.#readCopy(name, path);
    if (value !== undefined)
      this.#byName.set(name, { name, path, value, isLastGood: true, parsed: { diagnostics: [] } });
  }

  #readCopy(name: string, path: string): T | undefined {
    const bytes = this.#lastGood.read(name);
    return bytes === undefined ? undefined : this.#parse(path, bytes).value;
  }

  #updateCopies(): void {
    const because = this.#lastGood.flush();
    const message = `the last good versions of the files here cannot be kept for a restart: ${because}`;
    this.#copyDiagnostics =
      because === undefined ? [] : [{ ...this.#problem('unreadable-file', message), severity: 'warning' }];
  }

  #problem(code: DiagnosticCode, message: string): Diagnostic {
    const file = this.#only === undefined ? this.directory : join(this.directory, this.#only);
    return diagnosticAt({ file, line: 1, column: 1 }, 'error', code, message);
  }
}

/** Node puts U+FFFD where a name's bytes are no text; such a name leads to no file. */
function isReadableName(name: string): boolean {
  return !name.includes('\ufffd');
}

function seenOf(file: Extract<SourceFile, { kind: 'read' | 'refused' }>): Seen {
  if (file.kind === 'refused') return { content: file.because };
  return { content: createHash('sha256').update(file.bytes).digest('base64'), stamp: file.stamp };
}

function unreadable(path: string, because: string): ParsedFile<never> {
  const message = `the file cannot be read: ${because}`;
  return { diagnostics: [diagnosticAt({ file: path, line: 1, column: 1 }, 'error', 'unreadable-file', message)] };
}

/** Said at the first error: people look there. */
function withHint<T>(parsed: ParsedFile<T>): ParsedFile<T> {
  const first = parsed.diagnostics.findIndex(({ severity }) => severity === 'error');
  const note = 'until this is mended, the last good version of the file stays in force';
  const diagnostics = parsed.diagnostics.map((diagnostic, i) =>
    i === first
      ? { ...diagnostic, hint: diagnostic.hint === undefined ? note : `${diagnostic.hint}; ${note}` }
      : diagnostic,
  );
  return { ...parsed, diagnostics };
}
