/**
 * Which application a process is, the most exact kind first: script > executable > who started it > cgroup > user > group. Where the
 * administrator follows what an application starts, that comes before a script or executable that only a package's file names.
 * Of several cgroups that contain the process the deepest one wins. One index, built once for a policy set.
 */
import { type CgroupScopes, scopesOfCgroup } from './cgroup-scope.ts';
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import type { Facts } from './facts.ts';
import type { KernelSender } from './kernel-senders.ts';
import { isAdministrators } from './layers.ts';
import type { Match, SourceLocation } from './model.ts';
import { matchKey } from './policy-source.ts';
import { changedApps, findApp } from './sorted-apps.ts';
import { speaksOfCgroupNames } from './told-by.ts';
import { alsoExecutes, isUserModeNetwork } from './user-mode-networks.ts';

export { unitOfCgroup } from './cgroup-scope.ts';

/** Fewer digits of a container's id name nobody (`docker ps` shows as many). */
export const MIN_CONTAINER_ID = 12;

/** What holds for the programs that an application with `children: same` started. */
export interface ChildMatch {
  readonly kind: 'children';
  /** The application. */
  readonly value: string;
  readonly at: SourceLocation;
}

export interface AppMatch {
  readonly policy: EffectivePolicy;
  readonly match: Match | ChildMatch;
}

/** `package` has no map of its own: its programs are `exec` and `script` entries (`expand-packages.ts`). */
export interface AppIndex {
  readonly byScript: ReadonlyMap<string, AppMatch>;
  readonly byExecutable: ReadonlyMap<string, AppMatch>;
  /** Applications with `children: same`, by their own name. */
  readonly byParent: ReadonlyMap<string, AppMatch>;
  readonly byCgroup: ReadonlyMap<string, AppMatch>;
  readonly byUnit: ReadonlyMap<string, AppMatch>;
  readonly byContainer: ReadonlyMap<string, AppMatch>;
  readonly byFlatpak: ReadonlyMap<string, AppMatch>;
  readonly bySnap: ReadonlyMap<string, AppMatch>;
  readonly byDesktop: ReadonlyMap<string, AppMatch>;
  readonly byUser: ReadonlyMap<string, AppMatch>;
  readonly byGroup: ReadonlyMap<string, AppMatch>;
  readonly byKernel: ReadonlyMap<string, AppMatch>;
}

type MutableIndex = { -readonly [K in keyof AppIndex]: AppIndex[K] };

type Entry = AppMatch['match'];

const MAP_OF = {
  script: 'byScript',
  exec: 'byExecutable',
  children: 'byParent',
  cgroup: 'byCgroup',
  unit: 'byUnit',
  container: 'byContainer',
  flatpak: 'byFlatpak',
  snap: 'bySnap',
  desktop: 'byDesktop',
  user: 'byUser',
  group: 'byGroup',
  kernel: 'byKernel',
} as const;

function mapOf({ kind }: Entry): keyof AppIndex | undefined {
  return kind === 'package' ? undefined : MAP_OF[kind];
}

function entriesOf({ app, match, children }: EffectivePolicy): readonly Entry[] {
  return children?.value.are === 'same' ? [...match, { kind: 'children', value: app, at: children.value.at }] : match;
}

/** An index of no application at all. */
export function emptyIndex(): { readonly [K in keyof AppIndex]: Map<string, AppMatch> } {
  return {
    byScript: new Map(),
    byExecutable: new Map(),
    byParent: new Map(),
    byCgroup: new Map(),
    byUnit: new Map(),
    byContainer: new Map(),
    byFlatpak: new Map(),
    bySnap: new Map(),
    byDesktop: new Map(),
    byUser: new Map(),
    byGroup: new Map(),
    byKernel: new Map(),
  };
}

/** The first policy that names a thing keeps it: merging has reported the others. What a file itself says comes before what follows from it. */
export function indexApps(policySet: PolicySet): AppIndex {
  const index = emptyIndex();
  const add = (policy: EffectivePolicy, match: Entry): void => {
    const map = mapOf(match);
    if (map !== undefined && !index[map].has(match.value)) index[map].set(match.value, { policy, match });
  };
  for (const policy of policySet.apps) for (const match of entriesOf(policy)) add(policy, match);
  for (const policy of policySet.apps) for (const match of executedBy(policy)) add(policy, match);
  return index;
}

/** Entries for what the named programs execute in their own place. */
function executedBy({ match }: EffectivePolicy): readonly Match[] {
  return match.flatMap((entry) => {
    const value = entry.kind === 'exec' ? alsoExecutes(entry.value) : undefined;
    // A program of its own: whoever wrote the entry did not write this path.
    const { written: _, ...own } = entry;
    return value === undefined ? [] : [{ ...own, value }];
  });
}

/** Whose entries follow from others', or take their place. */
const namesUserModeNetwork = ({ match }: EffectivePolicy): boolean =>
  match.some(({ kind, value }) => kind === 'exec' && isUserModeNetwork(value));

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
  const own = (match: Entry): Map<string, AppMatch> | undefined => {
    const map = mapOf(match);
    if (map === undefined) return undefined;
    if (index[map] === before.index[map]) index[map] = new Map(before.index[map]);
    return index[map] as Map<string, AppMatch>;
  };
  const come = changed.flatMap((app) => findApp(policySet.apps, app) ?? []);
  const went = changed.flatMap((app) => findApp(before.policySet.apps, app) ?? []);
  if ([...come, ...went].some(namesUserModeNetwork)) return indexApps(policySet);
  const kept = new Set(come.flatMap((policy) => entriesOf(policy).map(matchKey)));
  for (const gone of went)
    for (const match of entriesOf(gone)) if (!kept.has(matchKey(match))) own(match)?.delete(match.value);
  for (const policy of come) for (const match of entriesOf(policy)) own(match)?.set(match.value, { policy, match });
  return index;
}

/** `/a/b/c` -> `/a/b/c`, `/a/b`, `/a`: a process is in all of them. */
export function cgroupAncestry(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '');
  return parts.map((_, i) => `/${parts.slice(0, parts.length - i).join('/')}`);
}

/** What a name in a policy stands for on this machine. */
export type Names = Pick<Facts, 'users' | 'groups' | 'containers'>;

/** An id comes before a name: only root chooses names, but it may choose another container's id. The longest id wins. */
function matchContainer(index: AppIndex, id: string, names: readonly string[]): AppMatch | undefined {
  if (index.byContainer.size === 0) return undefined;
  for (let length = id.length; length >= MIN_CONTAINER_ID; length -= 1) {
    const found = index.byContainer.get(id.slice(0, length));
    if (found !== undefined) return found;
  }
  for (const name of names) {
    const found = index.byContainer.get(name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** `SNAP.APP` comes before `SNAP`. */
function matchSnap({ bySnap }: AppIndex, snap: string): AppMatch | undefined {
  return bySnap.get(snap) ?? bySnap.get(snap.slice(0, snap.indexOf('.')));
}

/** By `container` alone: the container, or machine of systemd-machined(8), whose cgroup this is. */
export function matchContainerCgroup(
  index: AppIndex,
  path: string,
  containers: Names['containers'],
): AppMatch | undefined {
  if (index.byContainer.size === 0) return undefined;
  return matchContainerScope(index, scopesOfCgroup(path), containers);
}

function matchContainerScope(
  index: AppIndex,
  { containerId, machine }: CgroupScopes,
  containers: Names['containers'],
): AppMatch | undefined {
  return (
    (containerId === undefined ? undefined : matchContainer(index, containerId, containers.get(containerId) ?? [])) ??
    (machine === undefined ? undefined : index.byContainer.get(machine))
  );
}

/** What holds for one cgroup, whatever is above it. A path wins over names: it says more. */
export function matchExactCgroup(index: AppIndex, path: string, containers: Names['containers']): AppMatch | undefined {
  const found = index.byCgroup.get(path);
  if (found !== undefined || !speaksOfCgroupNames(index)) return found;
  const scopes = scopesOfCgroup(path);
  const { unit, flatpak, snap, desktop } = scopes;
  return (
    (unit === undefined ? undefined : index.byUnit.get(unit)) ??
    matchContainerScope(index, scopes, containers) ??
    (flatpak === undefined ? undefined : index.byFlatpak.get(flatpak)) ??
    (snap === undefined ? undefined : matchSnap(index, snap)) ??
    (desktop === undefined ? undefined : index.byDesktop.get(desktop))
  );
}

export function matchCgroup(index: AppIndex, path: string, containers: Names['containers']): AppMatch | undefined {
  for (const ancestor of cgroupAncestry(path)) {
    const found = matchExactCgroup(index, ancestor, containers);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A number is an id as it stands, and comes before a name for it. */
function matchNumber(
  entries: ReadonlyMap<string, AppMatch>,
  id: number,
  ids: ReadonlyMap<string, number>,
): AppMatch | undefined {
  const direct = entries.get(String(id));
  if (direct !== undefined) return direct;
  for (const [name, found] of entries) if (ids.get(name) === id) return found;
  return undefined;
}

/** `users` maps user names to uids. */
export function matchUser(index: AppIndex, uid: number, users: Names['users']): AppMatch | undefined {
  return matchNumber(index.byUser, uid, users);
}

/** `groups` maps group names to gids. */
export function matchGroup(index: AppIndex, gid: number, groups: Names['groups']): AppMatch | undefined {
  return matchNumber(index.byGroup, gid, groups);
}

/** Whether what it starts stays its own, although a package's file names it: who says so is stronger than packages. */
export const keepsChildren = ({ children }: EffectivePolicy): boolean =>
  children?.value.are === 'same' && isAdministrators(children.layer);

/** Whether a program gives way that only a package's file names: packages take nothing out of what the administrator follows. */
export const yieldsToFamilies = ({ match }: AppMatch): boolean => match.kind !== 'children' && match.shipped === true;

const yieldsTo = (named: AppMatch, family: AppMatch): boolean =>
  yieldsToFamilies(named) && keepsChildren(family.policy);

export function matchKernel(index: AppIndex, sender: KernelSender | undefined): AppMatch | undefined {
  return sender === undefined ? undefined : index.byKernel.get(sender);
}

/** What is known of an owner: absent parts match nothing. */
export interface Traits {
  readonly script?: string;
  readonly executable?: string;
  readonly executableUnproven?: true;
  /** The application with `children: same` that started it. */
  readonly childOf?: string;
  readonly cgroup?: string;
  readonly uid?: number;
  readonly gid?: number;
}

/** By what it runs and who started it: that comes before where and as whom it runs. */
export function matchProgram(index: AppIndex, owner: Traits): AppMatch | undefined {
  const { script, executable, executableUnproven, childOf } = owner;
  const named =
    (script === undefined ? undefined : index.byScript.get(script)) ??
    (executable === undefined || executableUnproven ? undefined : index.byExecutable.get(executable));
  const family = childOf === undefined ? undefined : index.byParent.get(childOf);
  return named !== undefined && family !== undefined && yieldsTo(named, family) ? family : (named ?? family);
}

export function matchApp(index: AppIndex, owner: Traits, names: Names): AppMatch | undefined {
  const { cgroup, uid, gid } = owner;
  return (
    matchProgram(index, owner) ??
    (cgroup === undefined ? undefined : matchCgroup(index, cgroup, names.containers)) ??
    (uid === undefined ? undefined : matchUser(index, uid, names.users)) ??
    (gid === undefined ? undefined : matchGroup(index, gid, names.groups))
  );
}

/** Whether it claims an executable that a policy names, and could not prove it. */
export function claimsExecutable(index: AppIndex, { executable, executableUnproven }: Traits): boolean {
  return executableUnproven === true && executable !== undefined && index.byExecutable.has(executable);
}
