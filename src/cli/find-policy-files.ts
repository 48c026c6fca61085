/** Which files `check` looks at. Reads directories, not files. */
import { type Dirent, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Diagnostic } from '../policy/diagnostic.ts';
import { isPolicyFileName } from '../policy/layers.ts';
import { diagnosticAt } from '../policy/policy-source.ts';
import { errorCode, errorText } from '../store/source-file.ts';
import { CliError } from './cli-error.ts';
import { EXIT } from './exit-code.ts';

/** Files of one run, and how deep directories may lie in each other. */
export const MAX_CHECKED_FILES = 100_000;
const MAX_DEPTH = 16;

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
