/**
 * The listed script that a process runs, from its arguments: for processes that were started while nobody watched. Weaker
 * than `script-start.ts`, which looks while the interpreter opens the file: since then the process may have changed its
 * directory (then the script is not found), or its arguments (then it says what it likes).
 */
import { type FileIdentity, fileIdentity, isSameFile } from '../kernel/file-identity.ts';
import type { Proc } from '../kernel/proc.ts';
import { isInterpreter, mainProgram } from './interpreter.ts';
import { interpretingScripts, outermostScript } from './script-chain.ts';
import { ScriptFiles } from './script-files.ts';

/** What the files of a list are is remembered as long as somebody has the list. */
const filesOfLists = new WeakMap<ReadonlySet<string>, ScriptFiles>();

/** Arguments that are looked at for a script that another script interprets. */
const MAX_ARGUMENTS = 16;

/** `none`: it runs something else. */
export type RunScript = { readonly kind: 'listed'; readonly path: string } | { readonly kind: 'none' | 'not known' };

/**
 * One of `listed` (absolute paths). Only for known interpreters; no file is opened. `interprets`: of its main program, and of what stands behind that
 * among its arguments, whether it is a script that may interpret another one.
 */
export function scriptOfProcess(
  proc: Pick<Proc, 'executable' | 'exactArguments' | 'fileAt'>,
  pid: number,
  listed: ReadonlySet<string>,
  interprets?: (file: FileIdentity) => boolean,
): string | undefined {
  const run = scriptRunBy(proc, pid, listed, interprets);
  return run.kind === 'listed' ? run.path : undefined;
}

export function scriptRunBy(
  proc: Pick<Proc, 'executable' | 'exactArguments' | 'fileAt'>,
  pid: number,
  listed: ReadonlySet<string>,
  interprets: (file: FileIdentity) => boolean = () => false,
): RunScript {
  if (listed.size === 0) return { kind: 'none' };
  const executable = proc.executable(pid);
  // One that is not known by its name is called in ways that are not known either.
  if (executable === undefined || !isInterpreter(executable)) return { kind: 'not known' };
  const args = proc.exactArguments(pid) ?? [];
  if (args.length === 0) return { kind: 'not known' };
  const paths = mainProgram(executable, args)?.paths ?? [];
  const listedPathOf = (file: FileIdentity): string | undefined => filesOf(listed).pathOf(file);
  const fileAt = (path: string): FileIdentity | undefined => proc.fileAt(pid, path);
  const files = paths.flatMap((path) => fileAt(path) ?? []);
  for (const file of files) {
    const outermost = interprets(file) ? outermostScript(file, args, { fileAt, listedPathOf, interprets }) : undefined;
    const path = outermost ?? listedPathOf(file);
    if (path !== undefined) return { kind: 'listed', path };
  }
  // The main program of a script whose interpreter is a script is that one; the script itself stands behind it.
  const mayInterpret = args.slice(1, 1 + MAX_ARGUMENTS).some((path) => {
    const file = path.startsWith('-') ? undefined : proc.fileAt(pid, path);
    return file !== undefined && filesOf(listed).pathOf(file) !== undefined;
  });
  if (mayInterpret) return { kind: 'not known' };
  // It may have changed its directory since, or its file system does not answer.
  return { kind: paths.length > 0 && files.length === 0 ? 'not known' : 'none' };
}

/** The same with scripts that interpret scripts, for whoever may wait for files to be opened. `startOf`: as for `interpretingScripts`. */
export function scriptOfProcessByChain(
  proc: Pick<Proc, 'executable' | 'exactArguments' | 'fileAt'>,
  pid: number,
  listed: ReadonlySet<string>,
  startOf: (path: string) => string | undefined,
): string | undefined {
  const outermost = scriptOfProcess(proc, pid, listed, () => true);
  if (outermost === undefined) return undefined;
  const chain = interpretingScripts(outermost, startOf).flatMap((path) => fileIdentity(path) ?? []);
  return scriptOfProcess(proc, pid, listed, (file) => chain.some((each) => isSameFile(each, file)));
}

function filesOf(listed: ReadonlySet<string>): ScriptFiles {
  const known = filesOfLists.get(listed);
  if (known !== undefined) return known;
  const files = new ScriptFiles(listed);
  filesOfLists.set(listed, files);
  return files;
}
