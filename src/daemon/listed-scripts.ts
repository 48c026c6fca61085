/** The scripts that policies name, and what their processes are marked with. Pure. */
import type { Programs } from '../plan/host.ts';
import { programName, programOfEntry } from '../plan/program.ts';
import { type AppIndex, keepsChildren, yieldsToFamilies } from '../policy/match-app.ts';
import type { ScriptProgram } from './script-gate.ts';

/** By absolute path. Those without a number are left to the slow path. */
export function listedScripts(
  { byScript, byParent }: AppIndex,
  { numbers }: Programs,
): ReadonlyMap<string, ScriptProgram> {
  const listed = new Map<string, ScriptProgram>();
  const anyKeeps = [...byParent.values()].some(({ policy }) => keepsChildren(policy));
  for (const [path, match] of byScript) {
    const { policy } = match;
    const number = numbers.get(programName(programOfEntry('script', path, match)));
    if (number === undefined) continue;
    const children = byParent.has(policy.app)
      ? numbers.get(programName({ kind: 'children', app: policy.app }))
      : undefined;
    listed.set(path, {
      number,
      ...(children !== undefined && { childrenNumber: children, ...(keepsChildren(policy) && { keeps: true }) }),
      ...(anyKeeps && yieldsToFamilies(match) && { yields: true }),
    });
  }
  return listed;
}
