import { fileLooks } from '../kernel/file-looks.ts';
import type { Match } from '../policy/model.ts';

export function namesProgram({ kind }: Match): boolean {
  return kind === 'exec' || kind === 'script';
}

/**
 * `exec` and `script` entries with their symbolic links resolved, as `/proc/PID/exe` shows the path; the same array where
 * nothing changes. A path that is not there stays as it is written.
 */
export function resolvePrograms(match: readonly Match[]): readonly Match[] {
  const resolved = match.map((entry) => {
    if (!namesProgram(entry)) return entry;
    const value = resolveIfThere(entry.value) ?? entry.value;
    return value === entry.value ? entry : { ...entry, value, written: entry.value };
  });
  return resolved.every((entry, i) => entry === match[i]) ? match : resolved;
}

function resolveIfThere(path: string): string | undefined {
  const resolved = fileLooks().realPath(path);
  const text = resolved?.toString();
  // A name that is no UTF-8 cannot be written down: the file is found by the path that leads to it.
  return text !== undefined && resolved?.equals(Buffer.from(text)) ? text : undefined;
}
