/**
 * The cgroups right below which one can stand that a policy names by something else than its path (`unit`, `container`,
 * `flatpak`, `snap`, `desktop`): `policy/cgroup-scope.ts` takes a name for what it says only there. These few are listed and
 * watched; the whole tree is not.
 */
import { type CgroupTree, childNames, childPath, MAX_CGROUP_DEPTH, MAX_CGROUPS_WALKED } from '../kernel/cgroup.ts';
import type { AppIndex } from '../policy/match-app.ts';
import { CGROUP_NAME_MAPS, type MapToldBy } from '../policy/told-by.ts';

/** Of the cgroups that one user's manager made, no more are looked at: no user shall use up what is there for all. */
export const MAX_CGROUPS_PER_USER = 2000;

/** What is looked for. Slices of the system are always looked at. */
export interface Sought {
  /** What stands in users' managers: flatpaks, snaps, desktop applications. */
  readonly inUserManagers: boolean;
  /** What runtimes put outside of slices: containers. */
  readonly inRuntimes: boolean;
}

export interface CgroupHome {
  /** Below the cgroup2 root. */
  readonly path: string;
  /** Names of its directories, sorted. */
  readonly children: readonly string[];
}

const USER_MANAGER = /^\/user\.slice\/user-(\d+)\.slice\/user@\1\.service(?=\/|$)/;
const RUNTIME_HOME = /^\/(?:docker|libpod_parent|kubepods(?:\/burstable|\/besteffort)?(?:\/pod[^/]+)?)$/;

/** `undefined`: nothing is named but by path. */
export function soughtBy(index: AppIndex): Sought | undefined {
  const named = CGROUP_NAME_MAPS.filter((map) => index[map].size > 0).map((map) => HOME_OF[map]);
  if (named.length === 0) return undefined;
  return { inUserManagers: named.includes('user managers'), inRuntimes: named.includes('runtimes') };
}

/** Where what these name stands. */
const HOME_OF = {
  byUnit: 'slices',
  byContainer: 'runtimes',
  byFlatpak: 'user managers',
  bySnap: 'user managers',
  byDesktop: 'user managers',
} as const satisfies Readonly<Record<MapToldBy<'cgroup name'>, string>>;

export function isCgroupHome(path: string, { inUserManagers, inRuntimes }: Sought): boolean {
  if (path === '/') return true;
  const manager = inUserManagers ? USER_MANAGER.exec(path)?.[0] : undefined;
  const parts = path.slice(manager?.length ?? 0).split('/');
  if (parts.slice(1).every((part) => part.endsWith('.slice'))) return true;
  return inRuntimes && RUNTIME_HOME.test(path);
}

/** The root first, and the system's before users'. A parent comes before its children. */
export function* cgroupHomes({ mountDir }: Pick<CgroupTree, 'mountDir'>, sought: Sought): Generator<CgroupHome> {
  const pending = ['/'];
  const pendingOfUsers: string[] = [];
  const leftOfUser = new Map<string, number>();
  let left = MAX_CGROUPS_WALKED;
  for (let path = pending.shift(); path !== undefined && left > 0; path = pending.shift() ?? pendingOfUsers.shift()) {
    const user = USER_MANAGER.exec(path)?.[1];
    const leftHere = user === undefined ? left : Math.min(left, leftOfUser.get(user) ?? MAX_CGROUPS_PER_USER);
    const children = childNames(path === '/' ? mountDir : `${mountDir}${path}`, leftHere);
    left -= children.length;
    if (user !== undefined) leftOfUser.set(user, leftHere - children.length);
    yield { path, children };
    for (const name of children) {
      const child = childPath(path, name);
      if (child.split('/').length > MAX_CGROUP_DEPTH || !isCgroupHome(child, sought)) continue;
      (USER_MANAGER.test(child) ? pendingOfUsers : pending).push(child);
    }
  }
}
