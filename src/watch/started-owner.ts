/** Who a process would be that somebody starts by a path, as policies name it: what runs is often another file. */
import { fileLooks } from '../kernel/file-looks.ts';
import type { ProcessOwner } from '../policy/identity.ts';
import type { AppIndex } from '../policy/match-app.ts';
import { startedFile } from './started-file.ts';

export interface StartedOwner extends Pick<ProcessOwner, 'executable' | 'script'> {
  /** For people. */
  readonly called: string;
}

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
      const { real, interpreter } = file;
      const script = namedAs(path, real, byScript);
      if (interpreter === undefined) return { script, called: `${path} (a script)` };
      const called = `${path} (a script, which ${interpreter} runs)`;
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
