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

/** `none`: it runs something else. */
export type RunScript = { readonly kind: 'listed'; readonly path: string } | { readonly kind: 'none' | 'not known' };

/** One of `listed` (absolute paths). Only for known interpreters; no file is opened. */
export function scriptOfProcess(
  proc: Pick<Proc, 'executable' | 'exactArguments' | 'fileAt'>,
  pid: number,
  listed: ReadonlySet<string>,
): string | undefined {
  const run = scriptRunBy(proc, pid, listed);
  return run.kind === 'listed' ? run.path : undefined;
}

export function scriptRunBy(
  proc: Pick<Proc, 'executable' | 'exactArguments' | 'fileAt'>,
  pid: number,
  listed: ReadonlySet<string>,
): RunScript {
  if (listed.size === 0) return { kind: 'none' };
  const executable = proc.executable(pid);
  // One that is not known by its name is called in ways that are not known either.
  if (executable === undefined || !isInterpreter(executable)) return { kind: 'not known' };
  const args = proc.exactArguments(pid) ?? [];
  if (args.length === 0) return { kind: 'not known' };
  const paths = mainProgram(executable, args)?.paths ?? [];
  const files = paths.flatMap((path) => proc.fileAt(pid, path) ?? []);
  for (const file of files) {
    const path = filesOf(listed).pathOf(file);
    if (path !== undefined) return { kind: 'listed', path };
  }
  // It may have changed its directory since, or its file system does not answer.
  return { kind: paths.length > 0 && files.length === 0 ? 'not known' : 'none' };
}

function filesOf(listed: ReadonlySet<string>): ScriptFiles {
  const known = filesOfLists.get(listed);
  if (known !== undefined) return known;
  const files = new ScriptFiles(listed);
  filesOfLists.set(listed, files);
  return files;
}
