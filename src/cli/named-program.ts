/** Who is meant by a word on the command line: a program by its path or by its name, a process, or an application. */
import { accessSync, constants, readdirSync, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import type { ExplainWho } from '../api/explanation.ts';
import { APP_PATTERN } from '../policy/schema.ts';
import { suggest } from '../policy/suggestion.ts';
import { CliError } from './cli-error.ts';
import { EXIT } from './exit-code.ts';

/** Where daemons' programs stand and a person's PATH often does not look. */
const FURTHER_DIRECTORIES: readonly string[] = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** The path of a program that is named as in a shell. Throws CliError where there is none of this name. */
export function programPath(word: string, searchPath: string = process.env.PATH ?? ''): string {
  if (word.includes('/')) return resolve(word);
  const found = search(word, searchPath);
  if (found !== undefined) return found;
  const near = suggest(word, namesIn(searchPath));
  const hint = near === undefined ? 'give its whole path' : `did you mean ${near}?`;
  throw new CliError(EXIT.failed, `there is no program "${word}" in PATH`, { hint });
}

/** A path, a process number, a program in PATH, or else an application. */
export function whoIs(word: string, searchPath: string = process.env.PATH ?? ''): ExplainWho {
  if (/^[1-9]\d{0,9}$/.test(word)) return { pid: Number(word) };
  if (word.includes('/')) return { exe: resolve(word) };
  const program = search(word, searchPath);
  if (program !== undefined) return { exe: program };
  // With a dot in it, it is called as applications are.
  return APP_PATTERN.test(word) && word.includes('.') ? { app: word } : { exe: programPath(word, searchPath) };
}

const directoriesOf = (searchPath: string): readonly string[] => [
  ...searchPath.split(delimiter).filter((directory) => directory.startsWith('/')),
  ...FURTHER_DIRECTORIES,
];

function search(word: string, searchPath: string): string | undefined {
  return directoriesOf(searchPath)
    .map((directory) => join(directory, word))
    .find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function namesIn(searchPath: string): readonly string[] {
  return directoriesOf(searchPath).flatMap((directory) => {
    try {
      return readdirSync(directory);
    } catch {
      return [];
    }
  });
}
