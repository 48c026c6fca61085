/**
 * The database of dpkg(1): which packages are installed (`status`, and the journal `updates` of a dpkg at work), which
 * files are theirs (`info/NAME.list`), and which of those lie elsewhere (`diversions`, dpkg-divert(1)).
 */
import { fileVersion, listNames, lookAt, NO_FILE, readText } from './read-text.ts';

/** Below the root. */
export const DPKG_DIRECTORY = '/var/lib/dpkg';

/** A machine with every package of Debian has a status file of about 80 MB; larger files are not read. */
const MAX_FILE_BYTES = 128 * 1024 * 1024;
/** dpkg merges its journal into the status file long before. */
const MAX_JOURNAL_FILES = 1000;
/** dpkg-divert(1): a diversion for all packages. */
const LOCAL_DIVERSION = ':';
/** States in which no program of a package is there (dpkg(1), "package states"). */
const WITHOUT_FILES: ReadonlySet<string> = new Set(['not-installed', 'config-files']);

export interface DpkgState {
  /** Of each package whose files are there: its architectures, and a text for its version and how far it has been installed. */
  readonly architectures: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** Of each package whose files are there: the source package that it was built from. */
  readonly sources: ReadonlyMap<string, string>;
  /** Where a listed file of a package lies. */
  placeOf(file: string, packageName: string): string;
  /** Two states with the same text put files at the same places. */
  readonly diversionsVersion: string;
}

interface Stanza {
  readonly name: string;
  readonly architecture: string;
  /** How far it is installed: `unpacked`, `installed`. */
  readonly state: string;
  readonly version: string;
  readonly source: string;
}

interface Diversion {
  readonly to: string;
  readonly by: string;
}

export class DpkgDatabase {
  readonly #directory: string;
  #status: { readonly version: string; readonly stanzas: readonly Stanza[] } = { version: '', stanzas: [] };

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Another text after every step of dpkg. Looks at three files and reads none. */
  version(): string {
    const { status, diversions, journal } = this.#paths();
    return [status, diversions, journal].map((path) => fileVersion(lookAt(path))).join(' ');
  }

  /** Whether this machine has one. */
  get isThere(): boolean {
    return lookAt(this.#paths().status) !== undefined;
  }

  /** Never throws: what cannot be read says nothing. */
  read(): DpkgState {
    const { status, diversions, journal } = this.#paths();
    const version = fileVersion(lookAt(status));
    if (version !== this.#status.version) {
      const text = readText(status, MAX_FILE_BYTES);
      // What did not come in time is read again the next time.
      this.#status = { version: text === '' ? '' : version, stanzas: parseStanzas(text) };
    }
    const diversionsVersion = fileVersion(lookAt(diversions));
    const diverted = parseDiversions(readText(diversions, MAX_FILE_BYTES));
    const stanzas = [...this.#status.stanzas, ...journalNames(journal).flatMap(stanzasOf(journal))];
    const architectures = installed(stanzas);
    return {
      architectures,
      sources: new Map(stanzas.flatMap(({ name, source }) => (architectures.has(name) ? [[name, source]] : []))),
      placeOf(file, packageName) {
        const diversion = diverted.get(file);
        return diversion === undefined || diversion.by === packageName ? file : diversion.to;
      },
      diversionsVersion,
    };
  }

  /** The list file of a package, `undefined` where there is none: `NAME:ARCH.list` if several architectures may be installed. */
  listOf(packageName: string, architecture: string): { readonly path: string; readonly version: string } | undefined {
    for (const name of [`${packageName}:${architecture}`, packageName]) {
      const path = `${this.#directory}/info/${name}.list`;
      const version = fileVersion(lookAt(path));
      if (version !== NO_FILE) return { path, version };
    }
    return undefined;
  }

  #paths(): { readonly status: string; readonly diversions: string; readonly journal: string } {
    const directory = this.#directory;
    return { status: `${directory}/status`, diversions: `${directory}/diversions`, journal: `${directory}/updates` };
  }
}

/** The later one holds of two stanzas for one package. */
function installed(stanzas: readonly Stanza[]): Map<string, Map<string, string>> {
  const architectures = new Map<string, Map<string, string>>();
  for (const { name, architecture, state, version } of stanzas) {
    const known = architectures.get(name) ?? new Map();
    if (WITHOUT_FILES.has(state)) known.delete(architecture);
    else known.set(architecture, `${state} ${version}`);
    if (known.size === 0) architectures.delete(name);
    else architectures.set(name, known);
  }
  return architectures;
}

/** deb822(5), as far as it is of interest here. */
export function parseStanzas(text: string): Stanza[] {
  const stanzas: Stanza[] = [];
  for (const stanza of text.split('\n\n')) {
    const name = field(stanza, 'Package');
    const state = field(stanza, 'Status')?.split(' ')[2];
    if (name === undefined || state === undefined) continue;
    const [architecture = '', version = ''] = [field(stanza, 'Architecture'), field(stanza, 'Version')];
    // Where the versions differ: `Source: NAME (VERSION)`. Absent: as the package is called (deb-control(5)).
    const [source = name] = field(stanza, 'Source')?.split(' ') ?? [];
    stanzas.push({ name, architecture, state, version, source });
  }
  return stanzas;
}

function field(stanza: string, name: string): string | undefined {
  const label = `\n${name}: `;
  const text = `\n${stanza}`;
  const at = text.indexOf(label);
  if (at === -1) return undefined;
  const end = text.indexOf('\n', at + label.length);
  return text.slice(at + label.length, end === -1 ? undefined : end).trim();
}

/** Three lines each: the file, where it lies instead, and the package whose own file stays where it is. */
function parseDiversions(text: string): Map<string, Diversion> {
  const diversions = new Map<string, Diversion>();
  const lines = text.split('\n');
  for (let i = 0; i + 2 < lines.length; i += 3) {
    const [from, to, by] = lines.slice(i, i + 3);
    if (from === undefined || to === undefined || by === undefined || !to.startsWith('/')) continue;
    diversions.set(from, { to, by: by === LOCAL_DIVERSION ? '' : by });
  }
  return diversions;
}

/** In the order in which they were written: their names are numbers. */
function journalNames(directory: string): string[] {
  const names = listNames(directory).filter((name) => /^\d+$/.test(name));
  return names.sort((a, b) => Number(a) - Number(b)).slice(0, MAX_JOURNAL_FILES);
}

const stanzasOf =
  (directory: string) =>
  (name: string): Stanza[] =>
    parseStanzas(readText(`${directory}/${name}`, MAX_FILE_BYTES));
