/**
 * The listed script that a process runs, from its arguments: for processes that were started while nobody watched. Weaker
 * than `script-start.ts`, which looks while the interpreter opens the file: since then the process may have changed its
 * directory (then the script is not found), or its arguments (then it says what it likes).
 */
import type { Proc } from '../kernel/proc.ts';
import { isInterpreter, mainProgram } from './interpreter.ts';
import { ScriptFiles } from './script-files.ts';

/** What the files of a list are is remembered as long as somebody has the list. */
const filesOfLists = new WeakMap<ReadonlySet<string>, ScriptFiles>();

/** One of `listed` (absolute paths). Only for known interpreters; no file is opened. */
export function scriptOfProcess(
  proc: Pick<Proc, 'executable' | 'exactArguments' | 'fileAt'>,
  pid: number,
  listed: ReadonlySet<string>,
): string | undefined {
  if (listed.size === 0) return undefined;
  const executable = proc.executable(pid);
  if (executable === undefined || !isInterpreter(executable)) return undefined;
  const program = mainProgram(executable, proc.exactArguments(pid) ?? []);
  if (program === undefined) return undefined;
  for (const path of program.paths) {
    const file = proc.fileAt(pid, path);
    const script = file === undefined ? undefined : filesOf(listed).pathOf(file);
    if (script !== undefined) return script;
  }
  return undefined;
}

function filesOf(listed: ReadonlySet<string>): ScriptFiles {
  const known = filesOfLists.get(listed);
  if (known !== undefined) return known;
  const files = new ScriptFiles(listed);
  filesOfLists.set(listed, files);
  return files;
}
