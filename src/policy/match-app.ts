/**
 * Which application a process is: script > executable > cgroup or unit > user, the most exact kind first. Of several
 * cgroups that contain the process the deepest one wins. One index, built once for a policy set.
 */
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import type { ProcessOwner } from './identity.ts';
import type { Match } from './model.ts';

export interface AppMatch {
  readonly policy: EffectivePolicy;
  readonly match: Match;
}

export interface AppIndex {
  readonly byExecutable: ReadonlyMap<string, AppMatch>;
  readonly byCgroup: ReadonlyMap<string, AppMatch>;
  readonly byUnit: ReadonlyMap<string, AppMatch>;
  readonly byUser: ReadonlyMap<string, AppMatch>;
}

/** The first policy that names a thing keeps it: merging has reported the others. */
function add(index: Map<string, AppMatch>, key: string, policy: EffectivePolicy, match: Match): void {
  if (!index.has(key)) index.set(key, { policy, match });
}

export function indexApps(policySet: PolicySet): AppIndex {
  const byExecutable = new Map<string, AppMatch>();
  const byCgroup = new Map<string, AppMatch>();
  const byUnit = new Map<string, AppMatch>();
  const byUser = new Map<string, AppMatch>();
  for (const policy of policySet.apps) {
    for (const match of policy.match) {
      switch (match.kind) {
        case 'exec':
          add(byExecutable, match.path, policy, match);
          break;
        case 'cgroup':
          add(byCgroup, match.path, policy, match);
          break;
        case 'unit':
          add(byUnit, match.unit, policy, match);
          break;
        case 'user':
          add(byUser, match.user, policy, match);
          break;
      }
    }
  }
  return { byExecutable, byCgroup, byUnit, byUser };
}

/** `/a/b/c` -> `/a/b/c`, `/a/b`, `/a`: a process is in all of them. */
export function cgroupAncestry(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '');
  return parts.map((_, i) => `/${parts.slice(0, parts.length - i).join('/')}`);
}

/** A path wins over a unit's name on the same cgroup: it says more. */
export function matchCgroup(index: AppIndex, path: string): AppMatch | undefined {
  for (const ancestor of cgroupAncestry(path)) {
    const found = index.byCgroup.get(ancestor) ?? index.byUnit.get(ancestor.slice(ancestor.lastIndexOf('/') + 1));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** `users` maps user names to uids. A numeric `user` is a uid as it stands. */
export function matchUser(index: AppIndex, uid: number, users: ReadonlyMap<string, number>): AppMatch | undefined {
  const direct = index.byUser.get(String(uid));
  if (direct !== undefined) return direct;
  for (const [user, found] of index.byUser) if (users.get(user) === uid) return found;
  return undefined;
}

export function matchApp(
  index: AppIndex,
  owner: ProcessOwner,
  users: ReadonlyMap<string, number>,
): AppMatch | undefined {
  return (
    (owner.executable === undefined ? undefined : index.byExecutable.get(owner.executable)) ??
    (owner.cgroup === undefined ? undefined : matchCgroup(index, owner.cgroup)) ??
    matchUser(index, owner.uid, users)
  );
}
