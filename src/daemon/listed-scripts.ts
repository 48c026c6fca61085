/** The scripts that policies name, and what their processes are marked with. Pure. */
import type { Programs } from '../plan/host.ts';
import { programName } from '../plan/program.ts';
import type { AppIndex } from '../policy/match-app.ts';
import type { ScriptProgram } from './script-gate.ts';

/** By absolute path. Those without a number are left to the slow path. */
export function listedScripts(
  { byScript, byParent }: AppIndex,
  { numbers }: Programs,
): ReadonlyMap<string, ScriptProgram> {
  const listed = new Map<string, ScriptProgram>();
  for (const [path, { policy }] of byScript) {
    const number = numbers.get(programName({ kind: 'script', path }));
    if (number === undefined) continue;
    const children = byParent.has(policy.app)
      ? numbers.get(programName({ kind: 'children', app: policy.app }))
      : undefined;
    listed.set(path, { number, ...(children !== undefined && { childrenNumber: children }) });
  }
  return listed;
}
