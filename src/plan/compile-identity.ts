/**
 * From socket to application in one lookup a kind: maps keyed by the program that a socket's mark names, by cgroup id (one
 * map a level), by uid and by gid. The kernel may not answer a question that the slow path would answer otherwise: what no
 * map is sure of is asked.
 */
import type { PolicySet } from '../policy/effective-policy.ts';
import type { Facts } from '../policy/facts.ts';
import { type AppIndex, type AppMatch, matchExactCgroup, unitOfCgroup } from '../policy/match-app.ts';
import { weighsUserModeNetworks } from '../policy/policies-behind.ts';
import { CGROUP_NAME_MAPS, type MapToldBy, speaksOfCgroups } from '../policy/told-by.ts';
import { type AppPart, CHAIN } from './compile-app.ts';
import type { Host, ResolvedCgroup } from './host.ts';
import { goto, rule, vmap } from './nft/expressions.ts';
import type { Chain, Field, MapElement, NftMap, Rule } from './nft/ruleset.ts';
import { namedPrograms, programName } from './program.ts';
import { APP_DAEMON, MARK_PROGRAM, PROGRAM_DAEMON, programMark } from './reserved.ts';

export interface IdentityInput {
  readonly policySet: PolicySet;
  readonly index: AppIndex;
  readonly facts: Facts;
  readonly host: Host;
  readonly parts: ReadonlyMap<AppMatch['policy'], AppPart>;
  readonly appIds: ReadonlyMap<string, number>;
}

/** An application that a key leads to. */
interface Keyed {
  readonly key: bigint;
  readonly policy: AppMatch['policy'];
}

/** All keys of one kind. `shape`: of the maps; `suffix`: of their names. */
export interface KeyKind {
  readonly field: Field;
  readonly suffix: string;
  readonly shape: Pick<NftMap, 'key' | 'level'>;
  readonly found: readonly Keyed[];
}

/** Cgroups that policies name and that do not exist now: they may come into being at any moment. */
function unresolved({ host, index }: IdentityInput): {
  readonly paths: readonly string[];
  readonly anyByName: boolean;
} {
  const paths = new Set(host.cgroups.map(({ path }) => path));
  const units = new Set(host.cgroups.map(({ path }) => unitOfCgroup(path)));
  const anyScope = CGROUP_NAME_MAPS.some((map) => map !== 'byUnit' && index[map].size > 0);
  return {
    paths: [...index.byCgroup.keys()].filter((path) => !paths.has(path)),
    anyByName: anyScope || [...index.byUnit.keys()].some((unit) => !units.has(unit)),
  };
}

/** The daemon resolves names like any program without a policy. Where the default would refuse it, it must be told apart. */
function mustTellDaemon({ policySet, parts }: IdentityInput): boolean {
  if (policySet.systemDefault.otherwise.do === 'allow') return false;
  return [...new Set(parts.values())].some(({ names }) => names.size > 0);
}

/** Whether what matters of a program is seen neither in its cgroup nor in its user. */
const tellsPrograms = ({ index, policySet, facts }: IdentityInput): boolean =>
  !namedPrograms(index).next().done || (facts.userModeNetworks === true && weighsUserModeNetworks(policySet));

/**
 * `directly`: cgroup and user tell every application. `by program`: sockets are marked, and one that is not is asked about.
 * `asked`: what comes before cgroups is hidden, so that every new flow is asked about, or all but those in certain cgroups.
 * `by user`: all but those of users, whatever else they may be.
 */
export type Telling = 'directly' | 'by program' | 'asked' | 'by user';

export function howTold(input: IdentityInput): Exclude<Telling, 'by user'> {
  const { paths, anyByName } = unresolved(input);
  const isAllThere = paths.length === 0 && !anyByName;
  // Any cgroup may be gone and made anew at any moment: the id that a map has for its path is then another one's.
  if (input.host.programs !== undefined)
    return tellsPrograms(input) || speaksOfCgroups(input.index) || mustTellDaemon(input) ? 'by program' : 'directly';
  return tellsPrograms(input) || !isAllThere || mustTellDaemon(input) ? 'asked' : 'directly';
}

/** `told`: found out once, since it looks at every cgroup and every application. */
export interface ToldInput extends IdentityInput {
  readonly told: Telling;
}

/** Whether the rules of applications are reached from the kernel's maps at all. */
export const reachesApps = (input: ToldInput): boolean => input.told !== 'asked' || !tellsPrograms(input);

/** Units hold no other units, slices and plain cgroups may. */
const isLeafUnit = (path: string): boolean => /\.(service|scope|socket|mount)$/.test(path);

/** A cgroup of which it is not certain that it holds nothing with a policy of its own is left out. */
function isCertain(input: ToldInput): (cgroup: ResolvedCgroup) => boolean {
  // A socket's mark says that its cgroup is known, whatever is above it.
  if (input.told === 'by program') return () => true;
  const { paths, anyByName } = unresolved(input);
  return ({ path }) => !paths.some((other) => other.startsWith(`${path}/`)) && (!anyByName || isLeafUnit(path));
}

export function cgroupKeys(input: ToldInput): KeyKind[] {
  const { host, index, facts } = input;
  const certain = isCertain(input);
  const levels = new Map<number, Keyed[]>();
  for (const cgroup of host.cgroups) {
    const policy = matchExactCgroup(index, cgroup.path, facts.containers)?.policy;
    if (policy === undefined || !certain(cgroup)) continue;
    const keys = levels.get(cgroup.level) ?? [];
    keys.push({ key: cgroup.id, policy });
    levels.set(cgroup.level, keys);
  }
  // The deepest first: of nested cgroups the inner one says more.
  return [...levels]
    .sort(([a], [b]) => b - a)
    .map(([level, found]) => ({
      field: { kind: 'cgroup', level },
      suffix: `cgroup${level}`,
      shape: { key: 'cgroupsv2', level },
      found,
    }));
}

/** A number as it stands comes before a name for it. */
function numbered(
  entries: ReadonlyMap<string, AppMatch>,
  numbers: ReadonlyMap<string, number>,
): ReadonlyMap<bigint, AppMatch['policy']> {
  const found = new Map<bigint, AppMatch['policy']>();
  const named: Keyed[] = [];
  for (const [name, { policy }] of entries) {
    const number = numbers.get(name);
    if (number !== undefined) named.push({ key: BigInt(number), policy });
    else if (/^\d+$/.test(name)) found.set(BigInt(name), policy);
  }
  for (const { key, policy } of named) if (!found.has(key)) found.set(key, policy);
  return found;
}

function idKeys({ index, facts }: IdentityInput): KeyKind[] {
  const keyed = (map: ReadonlyMap<bigint, AppMatch['policy']>): Keyed[] =>
    [...map].map(([key, policy]) => ({ key, policy }));
  const kinds = {
    byUser: {
      field: { kind: 'meta skuid' },
      suffix: 'user',
      shape: { key: 'uid' },
      found: keyed(numbered(index.byUser, facts.users)),
    },
    byGroup: {
      field: { kind: 'meta skgid' },
      suffix: 'group',
      shape: { key: 'gid' },
      found: keyed(numbered(index.byGroup, facts.groups)),
    },
  } satisfies Readonly<Record<MapToldBy<'user' | 'group'>, KeyKind>>;
  return Object.values<KeyKind>(kinds).filter(({ found }) => found.length > 0);
}

/** Programs by the number in a mark: `field` is the packet's, or its socket's. */
function programKeys({ index, host }: IdentityInput, field: 'meta mark' | 'socket mark'): KeyKind {
  const found = [...namedPrograms(index)].flatMap(({ program, policy }): Keyed[] => {
    const number = host.programs?.numbers.get(programName(program));
    return number === undefined ? [] : [{ key: BigInt(programMark(number)), policy }];
  });
  return { field: { kind: field, mask: MARK_PROGRAM }, suffix: 'program', shape: { key: 'mark' }, found };
}

/** A map from key to the application's number, and one to the chain of its rules. */
function appMaps(
  { suffix, shape, found }: KeyKind,
  { parts, appIds }: IdentityInput,
  { prefix, chainOf }: MapTarget,
): { readonly ids: NftMap; readonly rules: NftMap } {
  const ids: MapElement[] = [];
  const rules: MapElement[] = [];
  for (const { key, policy } of found) {
    const part = parts.get(policy);
    if (part === undefined) continue;
    ids.push({ key, data: { kind: 'mark', mark: appIds.get(policy.app) ?? 0 } });
    rules.push({ key, data: { kind: 'verdict', verdict: { kind: 'goto', chain: chainOf(part) } } });
  }
  return {
    ids: { name: `${prefix}app_of_${suffix}`, ...shape, data: 'mark', elements: ids },
    rules: { name: `${prefix}rules_of_${suffix}`, ...shape, data: 'verdict', elements: rules },
  };
}

/** Where flows of one direction go. */
export interface IdentityTarget {
  /** The chain in which a flow is told. */
  readonly chain: string;
  /** Tells its maps and its second chain from those of others. */
  readonly prefix: string;
  readonly chainOf: (part: AppPart) => string;
  /** For flows of which it is certain that no policy is about them. */
  readonly nobody: readonly Rule[];
  /** For the daemon's own, where it is told apart. */
  readonly daemon: string;
  /** Before the maps, where what has no mark is not asked about anyway. Absent: none. */
  readonly first?: readonly Rule[];
}

export interface CompiledIdentity {
  readonly maps: readonly NftMap[];
  readonly chains: readonly Chain[];
}

/** What one kind of key needs after another: their maps, and the rules that look the flow up in them. */
interface LookUp {
  readonly maps: readonly NftMap[];
  readonly rules: readonly Rule[];
}

type MapTarget = Pick<IdentityTarget, 'prefix' | 'chainOf'>;

const looksUp = (field: Field, ids: NftMap, rules: NftMap): LookUp => ({
  maps: [ids, rules],
  rules: [rule({ kind: 'map mark', to: 'ct mark', field, map: ids.name }), rule(vmap(field, rules.name))],
});

export function lookUp(kinds: readonly KeyKind[], input: IdentityInput, target: MapTarget): LookUp {
  const each = kinds.map((kind) => {
    const { ids, rules } = appMaps(kind, input, target);
    return looksUp(kind.field, ids, rules);
  });
  return { maps: each.flatMap(({ maps }) => maps), rules: each.flatMap(({ rules }) => rules) };
}

/** `unnamed`: the chain for programs that no policy names. */
export function lookUpProgram(
  input: IdentityInput,
  field: 'meta mark' | 'socket mark',
  target: MapTarget & { readonly daemon: string; readonly unnamed: string },
): LookUp {
  const kind = programKeys(input, field);
  const { ids, rules } = appMaps(kind, input, target);
  const daemon = BigInt(programMark(PROGRAM_DAEMON));
  const leadingTo = (key: bigint, chain: string): MapElement => ({
    key,
    data: { kind: 'verdict', verdict: { kind: 'goto', chain } },
  });
  const { programs } = input.host;
  const none = programs === undefined ? [] : [leadingTo(BigInt(programMark(programs.none)), target.unnamed)];
  return looksUp(
    kind.field,
    { ...ids, elements: [...ids.elements, { key: daemon, data: { kind: 'mark', mark: APP_DAEMON } }] },
    { ...rules, elements: [...rules.elements, leadingTo(daemon, target.daemon), ...none] },
  );
}

function compileByProgram(input: ToldInput, target: IdentityTarget): CompiledIdentity {
  const unnamed = `${target.prefix}unnamed`;
  const programs = lookUpProgram(input, 'meta mark', { ...target, unnamed });
  const groups = lookUp([...cgroupKeys(input), ...idKeys(input)], input, target);
  return {
    maps: [...programs.maps, ...groups.maps],
    chains: [
      { name: target.chain, rules: [...programs.rules, rule(goto(CHAIN.ask))] },
      {
        name: unnamed,
        comment: 'programs that no policy names by executable or script',
        rules: [...groups.rules, ...target.nobody],
      },
    ],
  };
}

/** Where the kernel tells an application, to a chain of its own; what it does not tell goes on. No conntrack entry is needed. */
export function lookUpChain(
  input: ToldInput,
  prefix: string,
  chainOf: (part: AppPart) => string | undefined,
): { readonly maps: readonly NftMap[]; readonly rules: readonly Rule[] } {
  const programs = input.told === 'by program' ? [programKeys(input, 'meta mark')] : [];
  const others = reachesApps(input) ? [...cgroupKeys(input), ...(input.told === 'asked' ? [] : idKeys(input))] : [];
  const found = [...programs, ...others].flatMap(({ field, suffix, shape, found: keyed }) => {
    const elements = keyed.flatMap(({ key, policy }): MapElement[] => {
      const part = input.parts.get(policy);
      const chain = part && chainOf(part);
      return chain === undefined ? [] : [{ key, data: { kind: 'verdict', verdict: { kind: 'goto', chain } } }];
    });
    const map: NftMap = { name: `${prefix}of_${suffix}`, ...shape, data: 'verdict', elements };
    return elements.length === 0 ? [] : [{ map, field }];
  });
  return { maps: found.map(({ map }) => map), rules: found.map(({ map, field }) => rule(vmap(field, map.name))) };
}

/** Each chain ends in a verdict. */
export function compileIdentity(input: ToldInput, target: IdentityTarget): CompiledIdentity {
  const { told } = input;
  if (told === 'by program') return compileByProgram(input, target);
  const ask = rule(goto(CHAIN.ask));
  if (!reachesApps(input)) return { maps: [], chains: [{ name: target.chain, rules: [ask] }] };
  // A cgroup comes before a user: as long as one may be missing, the user alone does not tell.
  const kinds = [...(told === 'by user' ? [] : cgroupKeys(input)), ...(told === 'asked' ? [] : idKeys(input))];
  const { maps, rules } = lookUp(kinds, input, target);
  return {
    maps,
    chains: [
      {
        name: target.chain,
        rules: [...(target.first ?? []), ...rules, ...(told === 'directly' ? target.nobody : [ask])],
      },
    ],
  };
}
