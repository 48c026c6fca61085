/** Names that a policy set uses for things outside of the files, and what they stand for on this machine. */
import { readFileSync } from 'node:fs';
import type { CgroupTree } from '../kernel/cgroup.ts';
import type { ResolvedCgroup } from '../plan/host.ts';
import type { EffectivePolicy, EffectiveRule, PolicySet } from '../policy/effective-policy.ts';
import { type AppIndex, unitOfCgroup } from '../policy/match-app.ts';
import { changedApps, findApp } from '../policy/sorted-apps.ts';

/** passwd(5) files are small; a line has name, password and uid first. */
const PASSWD_LINE = /^([^:]+):[^:]*:(\d+):/;

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
  const users = new Map<string, number>();
  if (![...index.byUser.keys()].some((user) => !/^\d+$/.test(user))) return users;
  for (const line of readText(passwdPath).split('\n')) {
    const [, name, uid] = PASSWD_LINE.exec(line) ?? [];
    if (name !== undefined && uid !== undefined && index.byUser.has(name) && !users.has(name))
      users.set(name, Number(uid));
  }
  return users;
}

/** Existing cgroups that the index names: by path, and by unit as last component wherever it is. */
export function namedCgroups(index: AppIndex, tree: CgroupTree | undefined): ResolvedCgroup[] {
  if (tree === undefined || (index.byCgroup.size === 0 && index.byUnit.size === 0)) return [];
  const found = new Map<string, ResolvedCgroup>();
  for (const path of index.byCgroup.keys()) {
    const id = tree.idOfPath(path);
    if (id !== undefined) found.set(path, { path, id, level: path.split('/').length - 1 });
  }
  // A unit may be anywhere in the tree, so only its names cost a walk.
  if (index.byUnit.size > 0) {
    for (const cgroup of tree.walk()) {
      const unit = unitOfCgroup(cgroup.path);
      if (unit !== undefined && index.byUnit.has(unit)) found.set(cgroup.path, cgroup);
    }
  }
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
