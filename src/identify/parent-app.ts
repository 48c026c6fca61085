/** Which application with `children: same` started a process, as far as its living ancestors tell. */
import type { Proc } from '../kernel/proc.ts';
import type { ExecutableFiles } from './executable-files.ts';
import { type Family, familyAmong } from './family.ts';
import type { PolicyNames } from './policy-names.ts';
import { scriptOfProcess } from './script-of-process.ts';

/** More generations are not looked at. */
export const MAX_GENERATIONS = 32;

export interface FamilySources {
  readonly proc: Proc;
  readonly executables: ExecutableFiles;
}

/**
 * The nearest such application, but for those that begin nothing in another's family. An ancestor that has ended hides those above it:
 * its child was given to another parent.
 */
export function parentApp(sources: FamilySources, pid: number, names: PolicyNames): string | undefined {
  return familyAmong(begunAbove(sources, pid, names))?.app;
}

function begunAbove({ proc, executables }: FamilySources, pid: number, names: PolicyNames): Family[] {
  const begun: Family[] = [];
  let child = pid;
  for (let generation = 0; generation < MAX_GENERATIONS; generation++) {
    const parent = proc.stat(child)?.parentPid;
    if (parent === undefined || parent <= 1) return begun;
    const link = proc.executable(parent);
    const executable = link === undefined ? undefined : executables.namedPathOf(parent, link, names);
    const script = names.scripts.size === 0 ? undefined : scriptOfProcess(proc, parent, names.scripts);
    const family = names.familyOf({
      ...(executable !== undefined && { executable }),
      ...(script !== undefined && { script }),
    });
    if (family !== undefined) begun.push(family);
    if (family?.yields === false) return begun;
    child = parent;
  }
  return begun;
}
