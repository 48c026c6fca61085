/**
 * Files that somebody wrote for us and that nobody reads: below the directories of people and packages, but in none that is read, or under
 * a name that is none of a policy file's. Unread, a policy that denies lets everything out.
 */
import { basename, dirname, join } from 'node:path';
import { fileLooks } from '../kernel/file-looks.ts';
import { isDirectory } from '../kernel/file-stat.ts';
import type { Diagnostic } from '../policy/diagnostic.ts';
import { isPolicyFileName } from '../policy/layers.ts';
import { compareDiagnostics, diagnosticAt } from '../policy/policy-source.ts';
import { type FileKind, isOurs, KIND_IN_WORDS, kindOfFile } from './file-kind.ts';
import { type Paths, watchedPaths } from './paths.ts';
import { listNames, readSourceFile } from './source-file.ts';

/** Files and directories that are looked at, those that are read left out; what is told of them. */
export const MAX_STRAY_LOOKS = 1000;
export const MAX_STRAY_FILES = 100;
const MAX_DEPTH = 4;

/** What editors, package managers and people put aside on purpose, and what only tells people something. */
const PUT_ASIDE =
  /^[.#]|~$|\.(?:dpkg-\w+|ucf-\w+|rpm\w+|bak|old|orig|rej|save[.\d]*|sw[a-p]|te?mp|disabled|off|example|sample|md)$/i;
/** Endings that somebody gives to a policy by mistake. Other dots belong to names: `org.example.Mail`. */
const WRONG_ENDING = /(?:\.ya?ml)?\.(?:conf|cfg|config|json|txt|policy|ya?ml)$|\.ya?ml$/i;

/** Of every such file, with where it belongs. Never throws but for a shortage, and waits for no file system that does not answer. */
export function strayFiles(paths: Paths): readonly Diagnostic[] {
  const found: Diagnostic[] = [];
  const { directories, files } = watchedPaths(paths);
  const read = new Set(directories);
  let looks = 0;
  const isRead = (path: string): boolean =>
    files.includes(path) || (read.has(dirname(path)) && isPolicyFileName(basename(path)));
  const walked = new Set<string>();
  const walk = (directory: string, depth: number): void => {
    const own = fileLooks().stat(directory);
    if (own === undefined || walked.has(`${own.device}:${own.inode}`)) return;
    walked.add(`${own.device}:${own.inode}`);
    const names = listNames(directory).filter((name) => !PUT_ASIDE.test(name) && !isRead(join(directory, name)));
    for (const name of names.sort()) {
      const path = join(directory, name);
      if (looks >= MAX_STRAY_LOOKS || found.length >= MAX_STRAY_FILES) return;
      looks += 1;
      const stat = fileLooks().stat(path);
      if (stat === undefined) continue;
      if (isDirectory(stat)) {
        if (depth < MAX_DEPTH) walk(path, depth + 1);
      } else {
        const stray = strayFile(path, paths, read);
        if (stray !== undefined) found.push(stray);
      }
    }
  };
  // Those that are read come first, so that a link to one of them leads nowhere new.
  for (const top of [...directories, dirname(paths.administratorPolicies)]) walk(top, 0);
  return found.sort(compareDiagnostics);
}

function strayFile(path: string, paths: Paths, read: ReadonlySet<string>): Diagnostic | undefined {
  const file = readSourceFile(path);
  if (file.kind !== 'read' || !(isPolicyFileName(basename(path)) || isOurs(file.bytes))) return undefined;
  const kind = kindOf(path, file.bytes);
  const place = placeFor(path, kind, paths);
  const isHere = read.has(dirname(path)) && dirname(place) === dirname(path);
  const what = isHere
    ? 'nobody reads this file: only names that end in .yaml or .yml are read'
    : `nobody reads this file: it is ${KIND_IN_WORDS[kind]}, and belongs in ${isSingle(kind) ? place : dirname(place)}`;
  const hint =
    fileLooks().stat(place) !== undefined
      ? `${place} is there already: what is to hold belongs in it`
      : `mv ${quoted(path)} ${quoted(place)}`;
  return diagnosticAt({ file: path, line: 1, column: 1 }, 'warning', 'not-read', what, hint);
}

/** By its keys, and then by a name that is nearly that of a single file. */
function kindOf(path: string, bytes: Uint8Array): FileKind {
  const kind = kindOfFile(path, bytes);
  if (kind !== 'policy' || /^["']?app["']?\s*:/m.test(new TextDecoder().decode(bytes))) return kind;
  const [, stem = ''] = /^(default|package)s?(?:\.|$)/i.exec(basename(path)) ?? [];
  if (stem === '') return kind;
  return stem.toLowerCase() === 'default' ? 'default' : 'packages';
}

const isSingle = (kind: FileKind): boolean => kind === 'default' || kind === 'packages';

function placeFor(path: string, kind: FileKind, paths: Paths): string {
  const name = `${basename(path).replace(WRONG_ENDING, '')}.yaml`;
  switch (kind) {
    case 'policy': {
      const own = [paths.packagePolicies, paths.answers, paths.locks].find((each) => path.startsWith(`${each}/`));
      return join(own ?? paths.administratorPolicies, name);
    }
    case 'uplink':
      return join(paths.uplinks, name);
    case 'profile':
      return join(paths.profiles, name);
    case 'default':
      return paths.systemDefault;
    case 'packages':
      return paths.trustedPackages;
  }
}

/** As a shell takes it for one word. */
const quoted = (path: string): string => (/^[\w./+:@-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`);
