/** Which files `check` looks at, and what each of them is. Reads directories, not files. */
import { type Dirent, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Diagnostic } from '../policy/diagnostic.ts';
import { isPolicyFileName } from '../policy/layers.ts';
import { diagnosticAt } from '../policy/policy-source.ts';
import { errorCode, errorText } from '../store/source-file.ts';
import { CliError } from './cli-error.ts';
import { EXIT } from './exit-code.ts';

/** Files of one run, and how deep directories may lie in each other. */
export const MAX_CHECKED_FILES = 100_000;
const MAX_DEPTH = 16;

export type CheckedKind = 'policy' | 'uplink' | 'profile' | 'default' | 'packages';

export interface FoundFiles {
  /** Sorted within a directory; each file once. */
  readonly files: readonly string[];
  /** Paths that are not there or cannot be listed. */
  readonly problems: readonly Diagnostic[];
}

/** Files as they are named; directories with all policy files in them. Throws CliError where these are too many. */
export function findPolicyFiles(paths: readonly string[]): FoundFiles {
  const files = new Set<string>();
  const problems: Diagnostic[] = [];
  const refuse = (file: string, message: string): void => {
    problems.push(diagnosticAt({ file, line: 1, column: 1 }, 'error', 'unreadable-file', message));
  };
  const list = (directory: string, depth: number): void => {
    for (const entry of entriesOf(directory, refuse)) {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) {
        if (depth < MAX_DEPTH) list(path, depth + 1);
        else refuse(path, `directories deeper than ${MAX_DEPTH} are not looked at`);
      } else if (isPolicyFileName(entry.name)) {
        if (files.size === MAX_CHECKED_FILES) throw new CliError(EXIT.failed, `more than ${MAX_CHECKED_FILES} files`);
        files.add(path);
      }
    }
  };
  for (const path of paths) {
    try {
      if (statSync(path).isDirectory()) list(path, 0);
      else files.add(path);
    } catch (error) {
      if (error instanceof CliError) throw error;
      refuse(path, errorCode(error) === 'ENOENT' ? 'no such file or directory' : errorText(error));
    }
  }
  return { files: [...files], problems };
}

function entriesOf(directory: string, refuse: (file: string, message: string) => void): readonly Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    refuse(directory, `the directory cannot be read: ${errorText(error)}`);
    return [];
  }
}

const UPLINK_KEY = /^["']?uplink["']?\s*:/m;
const PROFILE_KEY = /^["']?profile["']?\s*:/m;
const APP_KEY = /^["']?app["']?\s*:/m;
const KINDS_BY_KEY: readonly (readonly [key: RegExp, kind: CheckedKind])[] = [
  [APP_KEY, 'policy'],
  [UPLINK_KEY, 'uplink'],
  [PROFILE_KEY, 'profile'],
];
const DEFAULT_KEY = /^["']?(?:otherwise|unknown|whenAway)["']?\s*:/m;

/** By its keys, for a person may check a file anywhere; where they do not tell, by its name and its directory's. */
export function kindOfFile(path: string, bytes: Uint8Array): CheckedKind {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const isApp = APP_KEY.test(text);
  const told = KINDS_BY_KEY.filter(([key]) => key.test(text));
  if (told.length === 1 && told[0] !== undefined) return told[0][1];
  if (/^default\.ya?ml$/.test(basename(path))) return 'default';
  if (/^packages\.ya?ml$/.test(basename(path)) && !isInPolicyDirectory(path)) return 'packages';
  if (basename(dirname(path)) === 'uplinks') return 'uplink';
  if (basename(dirname(path)) === 'profiles') return 'profile';
  return !isApp && DEFAULT_KEY.test(text) && !isInPolicyDirectory(path) ? 'default' : 'policy';
}

function isInPolicyDirectory(path: string): boolean {
  return ['policies', 'locks'].includes(basename(dirname(path)));
}
