/**
 * What a path is that a policy names as a program, and what runs where somebody starts it: often another file. Links lead out of
 * a root that is not the machine's: what is there is not known. Never throws.
 */
import { accessSync, constants } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileLooks } from '../kernel/file-looks.ts';
import { isDirectory, isRegularFile } from '../kernel/file-stat.ts';
import { parseShebang, SHEBANG_LIMIT_BYTES } from '../kernel/shebang.ts';
import { firstBytes } from './program-kinds.ts';
import { readText } from './read-text.ts';
import { RootDirectory } from './root-directory.ts';

export type StartedFile =
  | { readonly is: 'not there' | 'not known' | 'directory' | 'no regular file' }
  | Executable
  | StartedScript
  /** A format of others: binfmt_misc, or what a shell takes for a script of its own. */
  | { readonly is: 'other format'; readonly mayRun: boolean };

export interface Executable {
  readonly is: 'executable';
  /** At the end of all links, as seen from the root. */
  readonly real: string;
  /** Whether anybody has the right to run it. */
  readonly mayRun: boolean;
  /** One program under many names: its own. */
  readonly manyNames?: string;
  /** It runs this file in its own place. */
  readonly becomes?: string;
  /** It starts this file to connect. */
  readonly connectsBy?: string;
}

export interface StartedScript {
  readonly is: 'script';
  readonly real: string;
  readonly mayRun: boolean;
  /** What the kernel runs for it, at the end of all links; absent where that is not there. */
  readonly interpreter?: string;
  /** The last program that it names behind `exec`, if that is an executable. */
  readonly starts?: string;
}

/** Where programs are looked for that are named without a directory. */
export const PROGRAM_DIRECTORIES: readonly string[] = [
  '/usr/local/bin',
  '/usr/bin',
  '/bin',
  '/usr/local/sbin',
  '/usr/sbin',
  '/sbin',
  '/usr/games',
];
const ANY_EXECUTE_BIT = 0o111;
const ELF_MAGIC = '\x7fELF';
/** Of a launcher script; longer ones are no launchers. */
const MAX_SCRIPT_BYTES = 64 * 1024;
const EXEC_LINE = /^[^#\n]*\bexec\s+(?:-a\s+\S+\s+)?["']?(\/[^\s"'$`;&|]+)/gm;
const MULTI_CALL: ReadonlySet<string> = new Set(['snap', 'busybox', 'toybox', 'coreutils']);
/** By the names that programs have for what runs in their place: passt(1) by the processor, wrappers of NixOS and of packagers. */
const IN_ITS_PLACE: readonly ((real: string) => string)[] = [
  (real) => `${real}.avx2`,
  (real) => join(dirname(real), `.${basename(real)}-wrapped`),
  (real) => `${real}.real`,
];
/** Programs that leave connecting to others: git(1), apt(8), gpg(1), sshd(8) since OpenSSH 9.8. */
const CONNECTS_BY: ReadonlyMap<string, readonly string[]> = new Map([
  ['git', ['/usr/lib/git-core/git-remote-http', '/usr/libexec/git-core/git-remote-http']],
  ['apt', ['/usr/lib/apt/methods/http']],
  ['apt-get', ['/usr/lib/apt/methods/http']],
  ['gpg', ['/usr/bin/dirmngr']],
  ['sshd', ['/usr/lib/openssh/sshd-session', '/usr/libexec/openssh/sshd-session']],
]);

export function startedFile(path: string, root: RootDirectory = new RootDirectory()): StartedFile {
  try {
    return look(path, root);
  } catch {
    // Descriptors are short: nothing can be said of it now.
    return { is: 'not known' };
  }
}

function look(path: string, root: RootDirectory): StartedFile {
  const looks = fileLooks();
  const place = root.at(path);
  const stat = looks.stat(place);
  if (stat === undefined) return { is: looks.isTooLate(place) || !isSeen(place) ? 'not known' : 'not there' };
  if (isDirectory(stat)) return { is: 'directory' };
  if (!isRegularFile(stat)) return { is: 'no regular file' };
  const real = realIn(root, path);
  const start = startOfFile(place, SHEBANG_LIMIT_BYTES);
  if (real === undefined || start === undefined) return { is: 'not known' };
  const mayRun = (stat.mode & ANY_EXECUTE_BIT) !== 0;
  if (start.startsWith(ELF_MAGIC)) return { is: 'executable', real, mayRun, ...whatElseRuns(path, real, root) };
  if (!start.startsWith('#!')) return { is: 'other format', mayRun };
  const interpreter = interpreterOf(start, root);
  const starts = startedBy(place, root);
  return {
    is: 'script',
    real,
    mayRun,
    ...(interpreter !== undefined && { interpreter }),
    ...(starts !== undefined && { starts }),
  };
}

/** Whether its not being there can be told: everything above it that is there may be searched. */
function isSeen(place: string): boolean {
  let directory = dirname(place);
  while (directory !== '/' && fileLooks().stat(directory) === undefined) directory = dirname(directory);
  try {
    accessSync(directory, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** `undefined` where a link leads out of the root. */
function realIn(root: RootDirectory, path: string): string | undefined {
  const real = fileLooks().realPath(root.at(path))?.toString();
  if (root.path === '') return real;
  const top = fileLooks().realPath(root.path)?.toString();
  return real !== undefined && top !== undefined && real.startsWith(`${top}/`) ? real.slice(top.length) : undefined;
}

function whatElseRuns(path: string, real: string, root: RootDirectory): Omit<Executable, 'is' | 'real' | 'mayRun'> {
  const name = basename(real);
  if (MULTI_CALL.has(name) && basename(path) !== name) return { manyNames: real };
  const isThere = (file: string): boolean => isElf(root.at(file));
  const becomes = IN_ITS_PLACE.map((nameOf) => nameOf(real)).find(isThere);
  if (becomes !== undefined) return { becomes };
  const connectsBy = CONNECTS_BY.get(name)?.find(isThere);
  return connectsBy === undefined ? {} : { connectsBy };
}

const isElf = (place: string): boolean => startOfFile(place, ELF_MAGIC.length) === ELF_MAGIC;

function startOfFile(place: string, bytes: number): string | undefined {
  const stat = fileLooks().stat(place);
  const start = stat !== undefined && isRegularFile(stat) ? firstBytes(place, bytes) : undefined;
  return start && Buffer.from(start).toString('latin1');
}

function interpreterOf(start: string, root: RootDirectory): string | undefined {
  const shebang = parseShebang(start);
  if (shebang === undefined) return undefined;
  const { interpreter, isSearched } = shebang;
  const places = isSearched ? PROGRAM_DIRECTORIES.map((directory) => join(directory, interpreter)) : [interpreter];
  const found = places.find((place) => place.startsWith('/') && startOfFile(root.at(place), 1) !== undefined);
  return found === undefined ? undefined : realIn(root, found);
}

function startedBy(place: string, root: RootDirectory): string | undefined {
  const text = readText(place, MAX_SCRIPT_BYTES);
  const named = [...text.matchAll(EXEC_LINE)].map(([, program = '']) => program);
  return named.findLast((program) => isElf(root.at(program)));
}
