/**
 * Whether whoever opens a listed script is an interpreter that starts it as its main program. Asked while the opener stands
 * still in open(2), so what /proc says of it is true of this moment.
 *
 * execve(2) of a script opens it in the old program, which is judged like any other opener and mostly is none; then the
 * interpreter opens it by itself, and by then the process is the interpreter, with the arguments that the kernel or its user
 * gave it. Editors, `cat` and `grep` have the file among their arguments as well: so the executable has to be an interpreter,
 * by its name, or because the script's own first line names that very file.
 *
 * This tells programs apart that do not hide. Whoever may run the interpreter can have it do other things under the script's
 * name (PYTHONSTARTUP, LD_PRELOAD, an executable called python3): a script's identity is as strong as its user.
 */
import { type FileIdentity, isSameFile } from '../kernel/file-identity.ts';
import type { Proc } from '../kernel/proc.ts';
import { parseShebang, type Shebang } from '../kernel/shebang.ts';
import { isInterpreter, mainProgram } from './interpreter.ts';

/** Where `env` is taken to find programs: its own PATH is the opener's affair. */
export const SEARCHED_DIRECTORIES: readonly string[] = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
];
/** Behind these nobody looks for the script where it cannot be read. */
const MAX_ARGUMENTS = 16;
/** Of these a name without a slash may be found by PATH, when it is not in the directory. */
const SEARCHES_PATH = /^(?:sh|ash|dash|bash|zsh[\d.-]*|[mp]?ksh\d*|busybox)$/;

export interface OpenedScript {
  readonly file: FileIdentity;
  /** The listed path. */
  readonly path: string;
  /** Its first SHEBANG_LIMIT_BYTES, one character for each byte. `undefined`: nobody says in time. */
  readonly start: string | undefined;
}

export type OpenerProc = Pick<Proc, 'stat' | 'executable' | 'executableFile' | 'exactArguments' | 'fileAt'>;

/** The start time of the process that starts the script; `undefined` where it does anything else with it. */
export function scriptStart(proc: OpenerProc, pid: number, script: OpenedScript): number | undefined {
  const startTimeTicks = proc.stat(pid)?.startTimeTicks;
  const executable = proc.executable(pid);
  if (startTimeTicks === undefined || executable === undefined) return undefined;
  const isStart = isInterpreter(executable)
    ? isMainProgram(proc, pid, executable, script)
    : isRunByShebang(proc, pid, script);
  // One that was killed meanwhile has left its number to another.
  return isStart && proc.stat(pid)?.startTimeTicks === startTimeTicks ? startTimeTicks : undefined;
}

function isMainProgram(proc: OpenerProc, pid: number, executable: string, script: OpenedScript): boolean {
  const paths = mainProgram(executable, proc.exactArguments(pid) ?? [])?.paths ?? [];
  const files = paths.flatMap((path) => proc.fileAt(pid, path) ?? []);
  if (files.length > 0) return files.some((file) => isSameFile(file, script.file));
  const [name = ''] = paths;
  return SEARCHES_PATH.test(baseName(executable)) && !name.includes('/') && name === bytesOf(baseName(script.path));
}

/**
 * Interpreters that are not known by name are called as the kernel calls them. Where the script does not say in time who interprets it, whoever
 * opens what it was given as an argument may be its interpreter, and counts as that.
 */
function isRunByShebang(proc: OpenerProc, pid: number, script: OpenedScript): boolean {
  const { start } = script;
  if (start === undefined) return isAmongArguments(proc, pid, script);
  const executable = proc.executableFile(pid);
  const shebang = parseShebang(start);
  if (executable === undefined || shebang === undefined) return false;
  const isNamed = placesOfInterpreter(shebang).some((path) => {
    const file = proc.fileAt(pid, path);
    return file !== undefined && isSameFile(file, executable);
  });
  if (!isNamed) return false;
  const args = proc.exactArguments(pid) ?? [];
  const path = args[1 + shebang.before.length];
  const file = path === undefined ? undefined : proc.fileAt(pid, path);
  return file !== undefined && isSameFile(file, script.file) && shebang.before.every((arg, i) => args[1 + i] === arg);
}

function isAmongArguments(proc: OpenerProc, pid: number, { file }: OpenedScript): boolean {
  return (proc.exactArguments(pid) ?? []).slice(1, 1 + MAX_ARGUMENTS).some((path) => {
    const named = path === '' || path.startsWith('-') ? undefined : proc.fileAt(pid, path);
    return named !== undefined && isSameFile(named, file);
  });
}

/**
 * Paths under which it may be, one character for each byte; those that do not begin with `/` are relative to the directory of whoever starts
 * the script.
 */
export function placesOfInterpreter({ interpreter, isSearched }: Shebang): readonly string[] {
  return isSearched ? SEARCHED_DIRECTORIES.map((directory) => `${directory}/${interpreter}`) : [interpreter];
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Listed paths are text, arguments bytes. */
function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1');
}
