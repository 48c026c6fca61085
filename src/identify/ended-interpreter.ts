/** What may be said of an interpreter that has ended, and that the kernel asked about since it may have been about to run a script. */
import type { SingleOwner } from '../policy/identity.ts';
import type { PolicyNames } from './policy-names.ts';

/** Each is decided about for every flow that is asked about. */
export const MAX_SCRIPTS_WEIGHED = 64;

/** Each possibility, so that the strictest decision holds; where they are too many, nobody knows who it is. */
export function ofAnyScript(owner: SingleOwner, { scripts }: Pick<PolicyNames, 'scripts'>): SingleOwner[] {
  if (owner.kind !== 'process' || owner.mayHaveRunScript !== true || owner.script !== undefined) return [owner];
  const { mayHaveRunScript: _, ...bare } = owner;
  if (scripts.size <= MAX_SCRIPTS_WEIGHED) return [bare, ...[...scripts].map((script) => ({ ...bare, script }))];
  const { uid, gid, cgroup } = owner;
  const because = 'its interpreter has ended, and may have run more scripts than are weighed';
  return [
    { kind: 'unknown', because, uid, ...(gid !== undefined && { gid }), ...(cgroup !== undefined && { cgroup }) },
  ];
}
