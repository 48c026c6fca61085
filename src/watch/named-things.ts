/** Names that a policy set uses for things outside of the files, and what they stand for on this machine. */
import { type CgroupTree, childPath } from '../kernel/cgroup.ts';
import type { ResolvedCgroup } from '../plan/host.ts';
import type { EffectivePolicy, EffectiveRule, PolicySet } from '../policy/effective-policy.ts';
import type { Facts } from '../policy/facts.ts';
import { type AppIndex, matchExactCgroup } from '../policy/match-app.ts';
import { changedApps, findApp } from '../policy/sorted-apps.ts';
import { cgroupHomes, soughtBy } from './cgroup-homes.ts';
import { readText } from './read-text.ts';
import { sameTexts } from './same-texts.ts';

/** Lines of passwd(5) and group(5) begin with name, password and number. */
const NAME_AND_ID = /^([^:]+):[^:]*:(\d+):/;
/** Of passwd(5) and group(5): of a million users one has 100 MB. */
const MAX_FILE_BYTES = 128 * 1024 * 1024;

type Choice = (rule: EffectiveRule) => boolean;

const isRefusal: Choice = ({ do: verb }) => verb !== 'allow';

function hostNamesOf(policy: EffectivePolicy | undefined, isMeant: Choice): readonly string[] {
  const names = new Set<string>();
  for (const rule of policy?.rules ?? []) {
    if (!isMeant(rule)) continue;
    const { to } = rule;
    for (const { target } of to) if (target.kind === 'name') names.add(target.name);
  }
  return [...names];
}

/** The packages that `match` entries name, each once. */
export function packageNames({ apps }: PolicySet): string[] {
  const names = new Set<string>();
  for (const { match } of apps) for (const { kind, value } of match) if (kind === 'package') names.add(value);
  return [...names];
}

/** The host names in rules, each once. */
export function hostNames(policySet: PolicySet): string[] {
  const { byApp } = namedHosts(policySet);
  return [...new Set([...byApp.values()].flat())];
}

/** The host names in rules, and who names them. */
export interface NamedHosts {
  readonly policySet: PolicySet;
  /** Only applications that name any. */
  readonly byApp: ReadonlyMap<string, readonly string[]>;
}

/** The names of those that changed since `before` are looked for, those of all others taken over; the same map where none changed. */
export function namedHosts(policySet: PolicySet, before?: NamedHosts): NamedHosts {
  return namedBy(policySet, () => true, before);
}

/** The same for the names in rules that deny or drop. */
export function refusedHosts(policySet: PolicySet, before?: NamedHosts): NamedHosts {
  return namedBy(policySet, isRefusal, before);
}

/** The same for the names in rules that allow. */
export function allowedHosts(policySet: PolicySet, before?: NamedHosts): NamedHosts {
  return namedBy(policySet, (rule) => !isRefusal(rule), before);
}

function namedBy(policySet: PolicySet, isMeant: Choice, before?: NamedHosts): NamedHosts {
  const byApp = new Map(before?.byApp);
  let hasChanged = before === undefined;
  for (const app of changedApps(before?.policySet.apps ?? [], policySet.apps)) {
    const names = hostNamesOf(findApp(policySet.apps, app), isMeant);
    if (sameTexts(names, byApp.get(app) ?? [])) continue;
    hasChanged = true;
    if (names.length === 0) byApp.delete(app);
    else byApp.set(app, names);
  }
  return { policySet, byApp: hasChanged ? byApp : (before?.byApp ?? byApp) };
}

/** uid of each user that the index names and that exists. Numbers stand for themselves. */
export function namedUsers(index: AppIndex, passwdPath = '/etc/passwd'): ReadonlyMap<string, number> {
  return idsByName(index.byUser, passwdPath);
}

/** gid of each group that the index names and that exists. Numbers stand for themselves. */
export function namedGroups(index: AppIndex, groupPath = '/etc/group'): ReadonlyMap<string, number> {
  return idsByName(index.byGroup, groupPath);
}

function idsByName(named: ReadonlyMap<string, unknown>, path: string): ReadonlyMap<string, number> {
  const ids = new Map<string, number>();
  if (![...named.keys()].some((name) => !/^\d+$/.test(name))) return ids;
  for (const line of readText(path, MAX_FILE_BYTES).split('\n')) {
    const [, name, id] = NAME_AND_ID.exec(line) ?? [];
    if (name !== undefined && id !== undefined && named.has(name) && !ids.has(name)) ids.set(name, Number(id));
  }
  return ids;
}

/**
 * Existing cgroups that the index names, by path and by what their names say, sorted by path. Reads the few directories in
 * which names say something, and looks at no cgroup that is not named: 2,000 others cost about 10 ms.
 */
export function namedCgroups(
  index: AppIndex,
  tree: CgroupTree | undefined,
  containers: Facts['containers'],
): ResolvedCgroup[] {
  if (tree === undefined) return [];
  const found: ResolvedCgroup[] = [];
  const add = (path: string): void => {
    const id = tree.idOfPath(path);
    if (id !== undefined) found.push({ path, id, level: path.split('/').length - 1 });
  };
  for (const path of index.byCgroup.keys()) add(path);
  const sought = soughtBy(index);
  for (const { path, children } of sought === undefined ? [] : cgroupHomes(tree, sought)) {
    for (const child of children.map((name) => childPath(path, name))) {
      if (!index.byCgroup.has(child) && matchExactCgroup(index, child, containers) !== undefined) add(child);
    }
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}
