/** What is wrong with files, told once: a line of the log for each mistake, and one warning for as long as there is one. */
import { printable } from '../net/printable.ts';
import type { Diagnostic } from '../policy/diagnostic.ts';
import { mayRead, type Reader } from '../store/may-read.ts';
import type { PolicyFiles } from '../store/policy-files.ts';
import type { Warning } from './health.ts';

/** Lines of the log for what is new in one round; the rest is counted, and `status` has them all. */
export const MAX_LOGGED_MISTAKES = 100;
/** Mistakes that the warning names. */
const MAX_NAMED = 3;
/** Who reads the journal is not known: any user. */
const ANYBODY: Reader = { uid: -1, gids: [] };

export class FileMistakes {
  readonly #permissionsOf: PolicyFiles['permissionsOf'];
  readonly #log: (line: string) => void;
  #told: ReadonlySet<string> = new Set();

  constructor(permissionsOf: PolicyFiles['permissionsOf'], log: (line: string) => void) {
    this.#permissionsOf = permissionsOf;
    this.#log = log;
  }

  /** Logs what is new among all that is wrong now. */
  note(diagnostics: readonly Diagnostic[]): void {
    const lines = new Set(diagnostics.filter(isError).map((mistake) => this.#lineOf(mistake)));
    const fresh = [...lines].filter((line) => !this.#told.has(line));
    this.#told = lines;
    for (const line of fresh.slice(0, MAX_LOGGED_MISTAKES)) this.#log(line);
    const more = fresh.length - MAX_LOGGED_MISTAKES;
    if (more > 0) this.#log(`pointsman: ${more} more mistakes in files: pointsman status`);
  }

  #lineOf({ file, line, column, code, message }: Diagnostic): string {
    const permissions = this.#permissionsOf(file);
    const isWithoutContent = code === 'unreadable-file' || code === 'file-not-trusted' || code === 'empty-file';
    const isPublic = isWithoutContent || (permissions !== undefined && mayRead(ANYBODY, permissions));
    return printable(`pointsman: ${file}:${line}:${column}: error: ${isPublic ? `${message} ` : ''}[${code}]`);
  }
}

/** `undefined` where every file can be used. */
export function filesBroken(diagnostics: readonly Diagnostic[]): Warning | undefined {
  const mistakes = diagnostics.filter(isError);
  if (mistakes.length === 0) return undefined;
  const files = new Set(mistakes.map(({ file }) => file)).size;
  const places = mistakes
    .slice(0, MAX_NAMED)
    .map(({ file, line, column, code }) => `${file}:${line}:${column} [${code}]`);
  const more = mistakes.length > MAX_NAMED ? `, and ${mistakes.length - MAX_NAMED} more mistakes` : '';
  return {
    message: `${files} ${files === 1 ? 'file' : 'files'} cannot be used: ${places.join(', ')}${more}`,
    hint: 'the last good versions are in force, and where there is none their applications are refused everything; pointsman status shows every mistake',
  };
}

/** `undefined` where nothing stands unread among the files of people and packages. */
export function filesNotRead(strays: readonly Diagnostic[]): Warning | undefined {
  const [first] = strays;
  if (first === undefined) return undefined;
  const named = strays.slice(0, MAX_NAMED).map(({ file }) => file);
  const more = strays.length > MAX_NAMED ? `, and ${strays.length - MAX_NAMED} more: see pointsman check` : '';
  const message = `nobody reads ${strays.length === 1 ? 'a file' : `${strays.length} files`} written for pointsman, and nothing in them holds: ${named.join(', ')}${more}`;
  return { message: printable(message), ...(first.hint !== undefined && { hint: first.hint }) };
}

const isError = ({ severity }: Diagnostic): boolean => severity === 'error';
