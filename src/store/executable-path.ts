import { lstatSync, realpathSync } from 'node:fs';
import type { Match } from '../policy/model.ts';

/**
 * `exec` entries with their symbolic links resolved, as `/proc/PID/exe` shows the path; the same array where nothing changes.
 * A path that is not there stays as it is written.
 */
export function resolveExecutables(match: readonly Match[]): readonly Match[] {
  const resolved = match.map((entry) => {
    if (entry.kind !== 'exec') return entry;
    const path = resolveIfThere(entry.path) ?? entry.path;
    return path === entry.path ? entry : { ...entry, path };
  });
  return resolved.every((entry, i) => entry === match[i]) ? match : resolved;
}

function resolveIfThere(path: string): string | undefined {
  try {
    // Most paths of a large policy set are of programs that are not installed, and an exception costs far more than a look.
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
    return realpathSync.native(path);
  } catch {
    return undefined;
  }
}
