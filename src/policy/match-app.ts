/**
 * Which application a process is: script > executable > cgroup or unit > user, the most exact kind first. Of several
 * cgroups that contain the process the deepest one wins. One index, built once for a policy set.
 */
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import type { Match } from './model.ts';
import { matchKey } from './policy-source.ts';
import { changedApps, findApp } from './sorted-apps.ts';

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

type MutableIndex = { -readonly [K in keyof AppIndex]: AppIndex[K] };

export function indexApps(policySet: PolicySet): AppIndex {
  const index = {
    byExecutable: new Map<string, AppMatch>(),
    byCgroup: new Map<string, AppMatch>(),
    byUnit: new Map<string, AppMatch>(),
    byUser: new Map<string, AppMatch>(),
  };
  for (const policy of policySet.apps) {
    for (const match of policy.match) add(index[MAP_OF[match.kind]], keyOf(match), policy, match);
  }
  return index;
}

export interface IndexedApps {
  readonly policySet: PolicySet;
  readonly index: AppIndex;
}

/** More changed applications than this cost as much as all of them. */
const MAX_CHANGES = 256;

/**
 * `indexApps(policySet)` from the index of another policy set: maps in which nothing changed are the same objects, and an
 * entry that stays keeps its place. For sets as merging makes them: no two applications have the same entry.
 */
export function indexAppsAgain(policySet: PolicySet, before: IndexedApps): AppIndex {
  const changed = changedApps(before.policySet.apps, policySet.apps);
  if (changed.length > MAX_CHANGES) return indexApps(policySet);
  const index: MutableIndex = { ...before.index };
  const own = (match: Match): Map<string, AppMatch> => {
    const map = MAP_OF[match.kind];
    if (index[map] === before.index[map]) index[map] = new Map(before.index[map]);
    return index[map] as Map<string, AppMatch>;
  };
  const come = changed.flatMap((app) => findApp(policySet.apps, app) ?? []);
  const kept = new Set(come.flatMap(({ match }) => match.map(matchKey)));
  for (const app of changed) {
    for (const match of findApp(before.policySet.apps, app)?.match ?? []) {
      if (!kept.has(matchKey(match))) own(match).delete(keyOf(match));
    }
  }
  for (const policy of come) for (const match of policy.match) own(match).set(keyOf(match), { policy, match });
  return index;
}

const MAP_OF = { exec: 'byExecutable', cgroup: 'byCgroup', unit: 'byUnit', user: 'byUser' } as const;

function keyOf(match: Match): string {
  switch (match.kind) {
    case 'exec':
    case 'cgroup':
      return match.path;
    case 'unit':
      return match.unit;
    case 'user':
      return match.user;
  }
}

/** `/a/b/c` -> `/a/b/c`, `/a/b`, `/a`: a process is in all of them. */
export function cgroupAncestry(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '');
  return parts.map((_, i) => `/${parts.slice(0, parts.length - i).join('/')}`);
}

/**
 * The unit of the system manager that this cgroup is; `undefined` where it is none. The manager puts units into slices
 * only: below a service or scope (`user@1000.service`, a container) names are whatever its user chose.
 */
export function unitOfCgroup(path: string): string | undefined {
  const parts = path.split('/').filter((part) => part !== '');
  const unit = parts.pop();
  return parts.every((part) => part.endsWith('.slice')) ? unit : undefined;
}

/** What holds for one cgroup, whatever is above it. A path wins over a unit's name: it says more. */
export function matchExactCgroup(index: AppIndex, path: string): AppMatch | undefined {
  const found = index.byCgroup.get(path);
  if (found !== undefined || index.byUnit.size === 0) return found;
  const unit = unitOfCgroup(path);
  return unit === undefined ? undefined : index.byUnit.get(unit);
}

export function matchCgroup(index: AppIndex, path: string): AppMatch | undefined {
  for (const ancestor of cgroupAncestry(path)) {
    const found = matchExactCgroup(index, ancestor);
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

/** What is known of an owner: absent parts match nothing. */
export interface Traits {
  readonly executable?: string;
  readonly executableUnproven?: true;
  readonly cgroup?: string;
  readonly uid?: number;
}

export function matchApp(index: AppIndex, owner: Traits, users: ReadonlyMap<string, number>): AppMatch | undefined {
  const { executable, executableUnproven, cgroup, uid } = owner;
  return (
    (executable === undefined || executableUnproven ? undefined : index.byExecutable.get(executable)) ??
    (cgroup === undefined ? undefined : matchCgroup(index, cgroup)) ??
    (uid === undefined ? undefined : matchUser(index, uid, users))
  );
}

/** Whether it claims an executable that a policy names, and could not prove it. */
export function claimsExecutable(index: AppIndex, { executable, executableUnproven }: Traits): boolean {
  return executableUnproven === true && executable !== undefined && index.byExecutable.has(executable);
}
