/**
 * `package` entries become entries for the programs of the package as it is installed now. What any policy names itself stays
 * with that policy: a file of its own says more than a package.
 */
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import type { Facts, PackagePrograms } from './facts.ts';
import type { Match } from './model.ts';

type Packages = Facts['packages'];

export interface ExpandedPolicies {
  /** The very object that was expanded where nothing was derived. Its `apps` have no entry twice. */
  readonly policySet: PolicySet;
  readonly memory: ExpansionMemory;
}

/** What it was made of; hand it back to keep the objects of unchanged applications. */
export interface ExpansionMemory {
  readonly source: PolicySet;
  readonly packages: Packages;
  /** By the policy as it was before. Only those that name a package. */
  readonly expanded: ReadonlyMap<EffectivePolicy, Expanded>;
}

interface Expanded {
  /** Of its packages, in the order of its entries. */
  readonly programs: readonly (PackagePrograms | undefined)[];
  /** Every program of its packages. */
  readonly candidates: readonly DerivedMatch[];
  /** With those of the candidates that nobody else has. */
  readonly policy: EffectivePolicy;
}

type DerivedMatch = Match & { readonly kind: 'exec' | 'script' };

const isPackage = ({ kind }: Match): boolean => kind === 'package';

/** Costs a pass over all entries where any policy names a package. Pure. */
export function expandPackages(source: PolicySet, packages: Packages, before?: ExpandedPolicies): ExpandedPolicies {
  if (before !== undefined && before.memory.source === source && before.memory.packages === packages) return before;
  const naming = source.apps.filter(({ match }) => match.some(isPackage));
  const found = naming.map((policy) => candidatesOf(policy, packages, before?.memory.expanded.get(policy)));
  const taken = namedAnyway(source, found);
  const expanded = new Map<EffectivePolicy, Expanded>();
  for (const [i, policy] of naming.entries()) {
    const of = found[i];
    if (of === undefined) continue;
    const derived = of.candidates.filter((match) => claim(match, taken));
    const { programs, candidates } = of;
    expanded.set(policy, { programs, candidates, policy: withDerived(policy, derived, of.before) });
  }
  return { policySet: replaced(source, expanded, before), memory: { source, packages, expanded } };
}

/** Programs by path. */
type Programs = Readonly<Record<'exec' | 'script', Set<string>>>;

function claim({ kind, value }: DerivedMatch, taken: Programs): boolean {
  const isFree = !taken[kind].has(value);
  taken[kind].add(value);
  return isFree;
}

interface Candidates extends Pick<Expanded, 'programs' | 'candidates'> {
  readonly before: EffectivePolicy | undefined;
}

function candidatesOf({ match }: EffectivePolicy, packages: Packages, before: Expanded | undefined): Candidates {
  const entries = match.filter(isPackage);
  const programs = entries.map(({ value }) => packages.get(value));
  const isSame = before !== undefined && programs.every((of, i) => of === before.programs[i]);
  const candidates = isSame ? before.candidates : entries.flatMap((entry, i) => programsOf(entry, programs[i]));
  return { programs, candidates, before: before?.policy };
}

function programsOf(
  { value: fromPackage, at, shipped }: Match,
  programs: PackagePrograms | undefined,
): readonly DerivedMatch[] {
  if (programs === undefined) return [];
  const from = { at, fromPackage, ...(shipped && { shipped }) };
  return [
    ...programs.executables.map((value): DerivedMatch => ({ kind: 'exec', value, ...from })),
    ...programs.scripts.map((value): DerivedMatch => ({ kind: 'script', value, ...from })),
  ];
}

/** Of the candidates those that a policy names as they are. */
function namedAnyway({ apps }: PolicySet, found: readonly Candidates[]): Programs {
  const candidates: Programs = { exec: new Set(), script: new Set() };
  for (const of of found) for (const { kind, value } of of.candidates) candidates[kind].add(value);
  const named: Programs = { exec: new Set(), script: new Set() };
  if (candidates.exec.size + candidates.script.size === 0) return named;
  for (const { match } of apps) {
    for (const { kind, value } of match) {
      if ((kind === 'exec' || kind === 'script') && candidates[kind].has(value)) named[kind].add(value);
    }
  }
  return named;
}

/** The policy that was made of it before, where it comes out the same. */
function withDerived(
  policy: EffectivePolicy,
  derived: readonly Match[],
  before: EffectivePolicy | undefined,
): EffectivePolicy {
  if (derived.length === 0) return policy;
  const match = [...policy.match, ...derived];
  const isSame =
    before?.match.length === match.length && match.every((entry, i) => isSameEntry(entry, before.match[i]));
  return isSame ? before : { ...policy, match };
}

/** Places are those of entries of the same policy. */
function isSameEntry(a: Match, b: Match | undefined): boolean {
  return a === b || (a.kind === b?.kind && a.value === b.value && a.fromPackage === b.fromPackage);
}

function replaced(
  source: PolicySet,
  expanded: ReadonlyMap<EffectivePolicy, Expanded>,
  before: ExpandedPolicies | undefined,
): PolicySet {
  if ([...expanded].every(([policy, of]) => of.policy === policy)) return source;
  const apps = source.apps.map((policy) => expanded.get(policy)?.policy ?? policy);
  const last = before?.policySet;
  const isSame =
    last !== undefined &&
    last.systemDefault === source.systemDefault &&
    last.uplinks === source.uplinks &&
    last.profiles === source.profiles &&
    last.apps.length === apps.length &&
    apps.every((policy, i) => policy === last.apps[i]);
  return isSame ? last : { ...source, apps };
}
