/**
 * From socket to application in one lookup a kind: maps keyed by cgroup id (one map a level) and by uid. An executable
 * cannot be seen by nft, so as soon as a policy names one, every flow's owner is asked of the slow path: executables come
 * before cgroups and users, and the kernel may not answer a question that the slow path would answer otherwise.
 */
import type { PolicySet } from '../policy/effective-policy.ts';
import type { Facts } from '../policy/facts.ts';
import { type AppIndex, type AppMatch, matchExactCgroup, unitOfCgroup } from '../policy/match-app.ts';
import type { AppPart } from './compile-app.ts';
import type { Host } from './host.ts';
import { rule, vmap } from './nft/expressions.ts';
import type { Field, MapElement, NftMap, Rule } from './nft/ruleset.ts';

export interface IdentityInput {
  readonly policySet: PolicySet;
  readonly index: AppIndex;
  readonly facts: Facts;
  readonly host: Host;
  readonly parts: ReadonlyMap<AppMatch['policy'], AppPart>;
  readonly appIds: ReadonlyMap<string, number>;
}

/** Elements for one kind of key: the application's id, and where its rules are. */
interface Keyed {
  readonly field: Field;
  /** Suffix of the maps' names. */
  readonly suffix: string;
  readonly found: ReadonlyMap<bigint, AppMatch>;
}

/** Cgroups and units that policies name and that do not exist now: they may come into being at any moment. */
function unresolved({ host, index }: IdentityInput): { readonly paths: readonly string[]; readonly anyUnit: boolean } {
  const paths = new Set(host.cgroups.map(({ path }) => path));
  const units = new Set(host.cgroups.map(({ path }) => unitOfCgroup(path)));
  return {
    paths: [...index.byCgroup.keys()].filter((path) => !paths.has(path)),
    anyUnit: [...index.byUnit.keys()].some((unit) => !units.has(unit)),
  };
}

/** Units hold no other units, slices and plain cgroups may. */
const isLeafUnit = (path: string): boolean => /\.(service|scope|socket|mount)$/.test(path);

function cgroupKeys(input: IdentityInput): Keyed[] {
  const { host, index } = input;
  const { paths, anyUnit } = unresolved(input);
  const levels = new Map<number, Map<bigint, AppMatch>>();
  for (const { path, id, level } of host.cgroups) {
    const found = matchExactCgroup(index, path);
    const mayHideDeeper = paths.some((other) => other.startsWith(`${path}/`)) || (anyUnit && !isLeafUnit(path));
    if (found === undefined || mayHideDeeper) continue;
    const keys = levels.get(level) ?? new Map<bigint, AppMatch>();
    levels.set(level, keys.set(id, found));
  }
  // The deepest first: of nested cgroups the inner one says more.
  return [...levels]
    .sort(([a], [b]) => b - a)
    .map(([level, found]) => ({ field: { kind: 'cgroup', level }, suffix: `cgroup${level}`, found }));
}

/** A uid as it stands comes before a user's name for it. */
function userKeys({ index, facts }: IdentityInput): Keyed[] {
  const found = new Map<bigint, AppMatch>();
  const named: [uid: bigint, match: AppMatch][] = [];
  for (const [user, match] of index.byUser) {
    const uid = facts.users.get(user);
    if (uid !== undefined) named.push([BigInt(uid), match]);
    else if (/^\d+$/.test(user)) found.set(BigInt(user), match);
  }
  for (const [uid, match] of named) if (!found.has(uid)) found.set(uid, match);
  return found.size === 0 ? [] : [{ field: { kind: 'meta skuid' }, suffix: 'user', found }];
}

/** Whether every process of every application could be told by the maps alone. */
export function kernelTells(input: IdentityInput): boolean {
  const { paths, anyUnit } = unresolved(input);
  return input.index.byExecutable.size === 0 && paths.length === 0 && !anyUnit && !mustTellDaemon(input);
}

/** The daemon resolves names like any program without a policy. Where the default would refuse it, it must be told apart. */
function mustTellDaemon({ policySet, parts }: IdentityInput): boolean {
  if (policySet.systemDefault.otherwise.do === 'allow') return false;
  return [...new Set(parts.values())].some(({ names }) => names.size > 0);
}

function maps(keyed: Keyed, input: IdentityInput, prefix: string, chainOf: (part: AppPart) => string): NftMap[] {
  const ids: MapElement[] = [];
  const rules: MapElement[] = [];
  for (const [key, { policy }] of keyed.found) {
    const part = input.parts.get(policy);
    if (part === undefined) continue;
    ids.push({ key, data: { kind: 'mark', mark: input.appIds.get(policy.app) ?? 0 } });
    rules.push({ key, data: { kind: 'verdict', verdict: { kind: 'goto', chain: chainOf(part) } } });
  }
  const shape =
    keyed.field.kind === 'cgroup' ? { key: 'cgroupsv2' as const, level: keyed.field.level } : { key: 'uid' as const };
  return [
    { name: `${prefix}app_of_${keyed.suffix}`, ...shape, data: 'mark', elements: ids },
    { name: `${prefix}rules_of_${keyed.suffix}`, ...shape, data: 'verdict', elements: rules },
  ];
}

export interface CompiledIdentity {
  readonly maps: readonly NftMap[];
  /** Ends in a verdict for every application found; falls through where none is. */
  readonly rules: readonly Rule[];
}

/** `prefix` tells the maps for loopback from the others. */
export function compileIdentity(
  input: IdentityInput,
  prefix: string,
  chainOf: (part: AppPart) => string,
): CompiledIdentity {
  // A cgroup comes before a user: as long as one may be missing, the user alone does not tell.
  const keys = kernelTells(input) ? [...cgroupKeys(input), ...userKeys(input)] : cgroupKeys(input);
  const compiled = keys.map((keyed) => {
    const [ids, rules] = maps(keyed, input, prefix, chainOf);
    return { field: keyed.field, ids, rules };
  });
  return {
    maps: compiled.flatMap(({ ids, rules }) => [ids, rules].filter((map) => map !== undefined)),
    rules: compiled.flatMap(({ field, ids, rules }) =>
      ids === undefined || rules === undefined
        ? []
        : [rule({ kind: 'map mark', to: 'ct mark', field, map: ids.name }), rule(vmap(field, rules.name))],
    ),
  };
}
