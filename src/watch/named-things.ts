/** Names that a policy set uses for things outside of the files, and what they stand for on this machine. */
import { readFileSync } from 'node:fs';
import type { CgroupTree } from '../kernel/cgroup.ts';
import type { ResolvedCgroup } from '../plan/host.ts';
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import type { AppIndex } from '../policy/match-app.ts';

/** passwd(5) files are small; a line has name, password and uid first. */
const PASSWD_LINE = /^([^:]+):[^:]*:(\d+):/;

function hostNamesOf({ rules }: EffectivePolicy): string[] {
  return rules.flatMap(({ to }) => to.flatMap(({ target }) => (target.kind === 'name' ? [target.name] : [])));
}

/** The host names in rules, each once. */
export function hostNames(policySet: PolicySet): string[] {
  return [...new Set(policySet.apps.flatMap(hostNamesOf))];
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
      if (index.byUnit.has(cgroup.path.slice(cgroup.path.lastIndexOf('/') + 1))) found.set(cgroup.path, cgroup);
    }
  }
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
