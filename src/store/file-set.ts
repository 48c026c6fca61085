/**
 * The files of one directory, read and parsed: each file is read again only where it may have changed, and the last good
 * version of a file stands in for one that can no longer be used.
 */
import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { aclWriters } from '../kernel/posix-acl.ts';
import type { Diagnostic, DiagnosticCode } from '../policy/diagnostic.ts';
import { isPolicyFileName } from '../policy/layers.ts';
import { diagnosticAt } from '../policy/policy-source.ts';
import type { LastGood } from './last-good.ts';
import type { ParsedFile } from './parsed-file.ts';
import type { Permissions, TrustedPaths } from './path-trust.ts';
import {
  type Listing,
  listSourceFiles,
  MAX_DIRECTORY_FILES,
  type RefusedFile,
  readSourceFile,
  refusedDirectory,
  type SourceFile,
  type Stamp,
} from './source-file.ts';

export interface FileSetOptions<T> {
  readonly directory: string;
  /** The one file to look at; otherwise all policy file names. */
  readonly only?: string;
  /** Never throws, whatever the bytes are. */
  readonly parse: (file: string, bytes: Uint8Array) => ParsedFile<T>;
  readonly lastGood: LastGood;
  /** Who a file is about whose text does not tell, by its name. */
  readonly appOf?: (name: string) => string | undefined;
  /** Whom to believe at this moment. */
  readonly trusted: () => TrustedPaths;
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

/** What a file was and is; absent where there was or is none. */
export interface EntryChange<T> {
  readonly before?: FileEntry<T>;
  readonly after?: FileEntry<T>;
}

interface Seen {
  /** Of the bytes, or why there are none. */
  readonly content: string;
  /** Absent where the file could not be read: the next look reads it. */
  readonly stamp?: Stamp;
  /** Who may read what was read. */
  readonly permissions?: readonly Permissions[];
}

export class FileSet<T> {
  readonly directory: string;
  readonly #only: string | undefined;
  readonly #parse: FileSetOptions<T>['parse'];
  readonly #lastGood: LastGood;
  readonly #trusted: () => TrustedPaths;
  readonly #appOf: FileSetOptions<T>['appOf'];
  readonly #byName = new Map<string, FileEntry<T>>();
  readonly #notable = new Map<string, FileEntry<T>>();
  readonly #seen = new Map<string, Seen>();
  /** Of `entries`, until one changes. */
  #sorted: readonly FileEntry<T>[] | undefined;
  #directoryDiagnostics: readonly Diagnostic[] = [];
  #copyDiagnostics: readonly Diagnostic[] = [];
  #scanned = false;

  constructor({ directory, only, parse, lastGood, trusted, appOf }: FileSetOptions<T>) {
    this.directory = directory;
    this.#only = only;
    this.#parse = parse;
    this.#lastGood = lastGood;
    this.#trusted = trusted;
    this.#appOf = appOf;
  }

  /** Sorted by name. */
  entries(): readonly FileEntry<T>[] {
    this.#sorted ??= [...this.#byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return this.#sorted;
  }

  /** Of the entries those that have diagnostics or are masked, in no order: few of thousands. */
  notable(): readonly FileEntry<T>[] {
    return [...this.#notable.values()];
  }

  /** About the directory; those about a file stand in its entry. */
  diagnostics(): readonly Diagnostic[] {
    return this.#directoryDiagnostics;
  }

  copyDiagnostics(): readonly Diagnostic[] {
    return this.#copyDiagnostics;
  }

  /** The name in this set that a path stands for. */
  nameOf(path: string): string | undefined {
    if (dirname(path) !== this.directory) return undefined;
    const name = basename(path);
    const belongs = this.#only === undefined ? isPolicyFileName(name) : this.#only === name;
    return belongs ? name : undefined;
  }

  /** Of the directories on the way to a file, and of the file as it was read; `undefined` where it was not. */
  permissionsOf(name: string): readonly Permissions[] | undefined {
    return this.#seen.get(name)?.permissions;
  }

  /** Looks at every file. What has become of the copies is for `keepCopies` to find out. */
  scan(): void {
    this.#sorted = undefined;
    const trusted = this.#trusted();
    const listing =
      this.#only === undefined
        ? listSourceFiles(this.directory, trusted)
        : ({ kind: 'listed', names: [this.#only], excess: 0 } satisfies Listing);
    switch (listing.kind) {
      case 'refused':
        this.#directoryDiagnostics = [this.#refusedDirectory(listing)];
        if (!this.#scanned) for (const name of this.#lastGood.names()) this.#restore(name);
        break;
      case 'listed':
        this.#directoryDiagnostics = this.#listingProblems(listing);
        this.#lookAtAll(listing.names.filter(isReadableName), trusted);
        break;
    }
    this.#scanned = true;
  }

  /** Reads these files again, whatever their stamps say; names that do not belong to the set are none of its business. */
  reread(names: Iterable<string>): readonly EntryChange<T>[] {
    const changes: EntryChange<T>[] = [];
    const trusted = this.#trusted();
    const refused = this.#only === undefined ? refusedDirectory(this.directory, trusted) : undefined;
    if (refused !== undefined) {
      // What is no longer there may have been taken away by whoever is not trusted.
      this.#directoryDiagnostics = [this.#refusedDirectory(refused)];
      return [];
    }
    for (const name of names) {
      const before = this.#byName.get(name);
      this.#look(name, undefined, trusted);
      const after = this.#byName.get(name);
      if (after === before) continue;
      changes.push({ ...(before !== undefined && { before }), ...(after !== undefined && { after }) });
      this.#sorted = before && after && this.#sorted && withReplaced(this.#sorted, before, after);
    }
    return changes;
  }

  /** Writes at most so many of the copies that are due; false where nothing more can be done now. */
  keepCopies(most: number): boolean {
    if (!this.#lastGood.isBehind && this.#copyDiagnostics.length === 0) return false;
    const because = this.#lastGood.flush(most);
    const message = `the last good versions of the files here cannot be kept for a restart: ${because}`;
    this.#copyDiagnostics =
      because === undefined ? [] : [{ ...this.#problem('unreadable-file', message), severity: 'warning' }];
    return because === undefined && this.#lastGood.isBehind;
  }

  #lookAtAll(names: readonly string[], trusted: TrustedPaths): void {
    const present = new Set(names);
    const before = this.#scanned ? this.#byName.keys() : this.#lastGood.names();
    for (const name of [...before]) if (!present.has(name)) this.#remove(name);
    for (const name of names) this.#look(name, this.#seen.get(name)?.stamp, trusted);
  }

  #refusedDirectory({ code, because, hint }: RefusedFile): Diagnostic {
    const message =
      code === 'file-not-trusted'
        ? `what is in this directory is not read: ${because}`
        : `the directory cannot be read: ${because}`;
    const notes = [...(hint === undefined ? [] : [hint]), 'until this is mended, what was read before stays in force'];
    return { ...this.#problem(code, message), hint: notes.join('; ') };
  }

  #listingProblems({ names, excess }: Extract<Listing, { kind: 'listed' }>): readonly Diagnostic[] {
    const problems = names
      .filter((name) => !isReadableName(name))
      .map((name) =>
        this.#problem('unreadable-file', `the name ${JSON.stringify(name)} is not UTF-8 text: the file is ignored`),
      );
    if (excess === 0) return problems;
    const message = `more than ${MAX_DIRECTORY_FILES} files: the last ${excess} by name are ignored`;
    return [...problems, this.#problem('too-long', message)];
  }

  #look(name: string, known: Stamp | undefined, trusted: TrustedPaths): void {
    const path = join(this.directory, name);
    const file = readSourceFile(path, { known, trusted });
    switch (file.kind) {
      case 'unchanged':
        return;
      case 'absent':
        this.#remove(name);
        return;
      case 'refused':
      case 'masked':
      case 'read': {
        const before = this.#seen.get(name);
        const seen = seenOf(file);
        this.#seen.set(name, seen);
        // Touched, or installed again: nobody needs to hear of it.
        if (before?.content !== seen.content) this.#renew(name, path, file);
        // Who is named in an access list the mode does not tell. Nobody asks of files without mistakes.
        if (this.#notable.has(name) && seen.permissions?.some(hasAccessList)) {
          const { permissions: _, ...rest } = seen;
          this.#seen.set(name, rest);
        }
      }
    }
  }

  #put(entry: FileEntry<T>): void {
    const { name, parsed } = entry;
    this.#byName.set(name, entry);
    if (parsed.masked || parsed.diagnostics.length > 0) this.#notable.set(name, entry);
    else this.#notable.delete(name);
  }

  #remove(name: string): void {
    this.#byName.delete(name);
    this.#notable.delete(name);
    this.#seen.delete(name);
    this.#lastGood.forget(name);
  }

  #renew(name: string, path: string, file: ShownFile): void {
    const parsed = this.#parsed(path, file);
    const base = { name, path, parsed };
    if (parsed.masked) {
      this.#put({ ...base, isLastGood: false });
      this.#lastGood.forget(name);
    } else if (parsed.value !== undefined && file.kind === 'read') {
      this.#put({ ...base, value: parsed.value, isLastGood: false });
      this.#lastGood.keep(name, { path, stamp: file.stamp, bytes: file.bytes });
    } else {
      const value = this.#byName.get(name)?.value ?? this.#readCopy(name, path);
      if (value === undefined) this.#put({ ...base, parsed: this.#withApp(name, parsed), isLastGood: false });
      else this.#put({ ...base, parsed: withHint(parsed), value, isLastGood: true });
    }
  }

  #parsed(path: string, file: ShownFile): ParsedFile<T> {
    if (file.kind === 'masked') return { masked: true, diagnostics: [] };
    return file.kind === 'read' ? this.#parse(path, file.bytes) : refused(path, file);
  }

  /** What cannot be used is to block its application: by the name of the file where nobody else can have given that. */
  #withApp(name: string, parsed: ParsedFile<T>): ParsedFile<T> {
    if (parsed.app !== undefined || this.#trusted().isShared(this.directory)) return parsed;
    const app = this.#appOf?.(name);
    return app === undefined ? parsed : { ...parsed, app };
  }

  /** For a file that cannot even be listed. */
  #restore(name: string): void {
    const path = join(this.directory, name);
    const value = this.#readCopy(name, path);
    if (value !== undefined) this.#put({ name, path, value, isLastGood: true, parsed: { diagnostics: [] } });
  }

  #readCopy(name: string, path: string): T | undefined {
    const bytes = this.#lastGood.read(name);
    return bytes === undefined ? undefined : this.#parse(path, bytes).value;
  }

  #problem(code: DiagnosticCode, message: string): Diagnostic {
    const file = this.#only === undefined ? this.directory : join(this.directory, this.#only);
    return diagnosticAt({ file, line: 1, column: 1 }, 'error', code, message);
  }
}

function withReplaced<T>(entries: readonly T[], before: T, after: T): readonly T[] | undefined {
  const place = entries.indexOf(before);
  return place === -1 ? undefined : entries.with(place, after);
}

/** Node puts U+FFFD where a name's bytes are no text; such a name leads to no file. */
function isReadableName(name: string): boolean {
  return !name.includes('\ufffd');
}

const hasAccessList = ({ path }: Permissions): boolean => aclWriters(path) !== undefined;

type ShownFile = Extract<SourceFile, { kind: 'read' | 'refused' | 'masked' }>;

function seenOf(file: ShownFile): Seen {
  if (file.kind === 'refused') return { content: `${file.code} ${file.because}` };
  if (file.kind === 'masked') return { content: 'masked' };
  const { bytes, stamp, permissions } = file;
  return {
    content: createHash('sha256').update(bytes).digest('base64'),
    stamp,
    ...(permissions !== undefined && { permissions }),
  };
}

function refused(path: string, { code, because, hint }: RefusedFile): ParsedFile<never> {
  const message =
    code === 'file-not-trusted' ? `the file is not read: ${because}` : `the file cannot be read: ${because}`;
  return { diagnostics: [diagnosticAt({ file: path, line: 1, column: 1 }, 'error', code, message, hint)] };
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
