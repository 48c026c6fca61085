/**
 * What may be said of a process once the kernel has lost a child of some application (`SocketMarkCounts.tasksLost`), or where it began in
 * a family that had no number (`CreatorRecord.mayBeChild`): one that nobody is seen to have started may be anybody's.
 */
import type { ProcessOwner, SingleOwner } from '../policy/identity.ts';
import type { PolicyNames } from './policy-names.ts';

/** Each is decided about for every flow that is asked about. */
export const MAX_FAMILIES_WEIGHED = 64;

/** Each possibility, so that the strictest decision holds; where they are too many, nobody knows who it is. */
export function ofAnyFamily(owner: SingleOwner, names: Pick<PolicyNames, 'families'>): SingleOwner[] {
  if (owner.kind !== 'process' || owner.childOf !== undefined) return [owner];
  const families = [...names.families()];
  if (families.length > MAX_FAMILIES_WEIGHED) return [unknownParent(owner)];
  return [owner, ...families.map((app) => ({ ...owner, childOf: app }))];
}

function unknownParent({ uid, gid, cgroup }: ProcessOwner): SingleOwner {
  const because = 'the kernel had no room to keep who started it';
  return { kind: 'unknown', because, uid, ...(gid !== undefined && { gid }), ...(cgroup !== undefined && { cgroup }) };
}
