/** Who a process would be that somebody starts by a path, as policies name it: what runs is often another file. */
import { fileLooks } from '../kernel/file-looks.ts';
import type { ProcessOwner } from '../policy/identity.ts';
import type { AppIndex } from '../policy/match-app.ts';
import { type StartedScript, startedFile } from './started-file.ts';

export interface StartedOwner extends Pick<ProcessOwner, 'executable' | 'script'> {
  /** For people. */
  readonly called: string;
}

/** BINPRM nests no deeper (fs/exec.c: exec_binprm). */
const MAX_CHAIN = 5;
/** So many paths of policies are compared by what they lead to. */
const MAX_COMPARED = 1000;

export function startedOwner(
  path: string,
  { byExecutable, byScript }: Pick<AppIndex, 'byExecutable' | 'byScript'>,
): StartedOwner {
  const file = startedFile(path);
  switch (file.is) {
    case 'executable': {
      if (file.becomes === undefined) {
        const { real, connectsBy } = file;
        const notes = [
          ...(real === path ? [] : [real]),
          ...(connectsBy === undefined ? [] : [`connects by ${connectsBy}`]),
        ];
        return {
          executable: namedAs(path, real, byExecutable),
          called: notes.length === 0 ? path : `${path} (${notes.join(', ')})`,
        };
      }
      const executable = namedAs(file.becomes, file.becomes, byExecutable);
      return { executable, called: `${path} (which runs ${file.becomes} in its own place)` };
    }
    case 'script': {
      const scripts = [{ at: path, file }, ...interpretingScripts(file)];
      // The first that is named tells, as the kernel comes by all of them.
      const named = scripts
        .map(({ at, file: { real } }) => namedAs(at, real, byScript))
        .find((each) => byScript.has(each));
      const script = named ?? file.real;
      const interpreter = scripts.at(-1)?.file.interpreter;
      const called = calledBy(
        path,
        scripts.flatMap(({ file: { interpreter: next } }) => next ?? []),
      );
      if (interpreter === undefined) return { script, called };
      return { script, executable: namedAs(interpreter, interpreter, byExecutable), called };
    }
    case 'not there':
      return { executable: path, called: `${path} (which is not there)` };
    case 'not known':
    case 'directory':
    case 'no regular file':
    case 'other format':
      return { executable: path, called: path };
  }
}

interface ScriptAt {
  readonly at: string;
  readonly file: StartedScript;
}

/** The scripts that interpret a script, the nearest first. */
function interpretingScripts({ interpreter }: StartedScript): readonly ScriptAt[] {
  const found: ScriptAt[] = [];
  let next = interpreter;
  while (next !== undefined && found.length < MAX_CHAIN) {
    const file = startedFile(next);
    if (file.is !== 'script') break;
    found.push({ at: next, file });
    next = file.interpreter;
  }
  return found;
}

/** For people. */
function calledBy(path: string, interpreters: readonly string[]): string {
  const [first, ...others] = interpreters;
  if (first === undefined) return `${path} (a script)`;
  return `${path} (a script, which ${first} runs${others.map((each) => `, itself a script, which ${each} runs`).join('')})`;
}

/** By which path policies name the file; `real` where they do not. */
function namedAs(path: string, real: string, named: ReadonlyMap<string, unknown>): string {
  if (named.has(path)) return path;
  if (named.has(real)) return real;
  const name = [...named.keys()].slice(0, MAX_COMPARED).find((each) => realPathOf(each) === real);
  return name ?? real;
}

function realPathOf(path: string): string | undefined {
  try {
    return fileLooks().realPath(path)?.toString();
  } catch {
    // Descriptors are short.
    return undefined;
  }
}
