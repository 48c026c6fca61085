/**
 * Merging: the policies of all layers become one effective policy for each application.
 * Upper layers' rules come first; `otherwise`, `via`, `accept`, `children`, `existing`, `needs` and `name`: the highest layer
 * that states one wins; `match` entries add up. The layer of answers only narrows: what it allows, its `via`, `match`,
 * `children`, `existing` and `needs` are not taken, and of its `accept` only that nobody may connect.
 */
import type { Diagnostic } from './diagnostic.ts';
import type { EffectivePolicy } from './effective-policy.ts';
import { layerStrength } from './layers.ts';
import { type Conflicts, resolveConflicts } from './match-conflicts.ts';
import { mergeApp } from './merge-app.ts';
import type { Layer, Match, Policy } from './model.ts';
import {
  type AppSource,
  type BrokenPolicy,
  compareDiagnostics,
  compareText,
  diagnosticAt,
  matchKey,
} from './policy-source.ts';
import { findApp, placeOfApp } from './sorted-apps.ts';

export interface LayerPolicies {
  readonly layer: Layer;
  readonly policies: readonly Policy[];
  readonly broken?: readonly BrokenPolicy[];
}

export interface MergedPolicies {
  /** Sorted by `app`. */
  readonly apps: readonly EffectivePolicy[];
  /** Sorted by place. */
  readonly diagnostics: readonly Diagnostic[];
  /** What it was made of; hand it back to keep the objects of unchanged applications. */
  readonly memory: MergeMemory;
}

export interface MergeMemory {
  /** Sorted by `app`. */
  readonly members: readonly MergedApp[];
  /** About files that are ignored, because their application has another one in the layer. */
  readonly duplicates: readonly Diagnostic[];
  readonly appsWithDuplicates: ReadonlySet<string>;
  readonly conflicts: Conflicts;
}

export interface MergedApp {
  readonly app: string;
  /** One a layer, strongest first. */
  readonly sources: readonly AppSource[];
  /** The `matchKey` of each entry of `complete`. */
  readonly keys: readonly string[];
  /** Before entries were lost to other applications. */
  readonly complete: EffectivePolicy;
  readonly lost: readonly Match[];
  readonly effective: EffectivePolicy;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Layers may come in any order. Applications whose policies are the same objects as in `previous` keep their effective
 * policy's identity; only the others are merged again.
 */
export function mergePolicies(layers: readonly LayerPolicies[], previous?: MergedPolicies): MergedPolicies {
  const duplicates: Diagnostic[] = [];
  const appsWithDuplicates = new Set<string>();
  const bySource = groupByApp(layers, (source, first) => {
    duplicates.push(duplicate(source, first));
    appsWithDuplicates.add(source.policy.app);
  });
  const before = previous?.memory.members ?? [];
  const members = [...bySource]
    .sort(([a], [b]) => compareText(a, b))
    .map(([app, sources]) => mergeUnlessSame(sources, findApp(before, app)));
  return merged({ members, duplicates, appsWithDuplicates, conflicts: resolveConflicts(members) });
}

/** A file's part in an application that has come, gone or become another one. */
export interface SourceChange {
  readonly before?: AppSource;
  readonly after?: AppSource;
}

/**
 * What `mergePolicies` would make of the layers after `changes`, at the price of a few passes over pointers. `undefined`
 * where only looking at all files can tell: one of several files of an application in one layer has changed.
 */
export function mergeChanges(previous: MergedPolicies, changes: readonly SourceChange[]): MergedPolicies | undefined {
  const { memory } = previous;
  const sources = changedSources(memory, changes);
  if (sources === undefined) return undefined;
  const members = [...memory.members];
  let claimsAreSame = true;
  for (const [app, of] of sources) {
    const place = placeOfApp(members, app);
    const before = members[place];
    const [after] = of.length === 0 ? [] : [mergeUnlessSame(of, before)];
    claimsAreSame &&= sameClaims(before?.keys, after?.keys, memory.conflicts);
    members.splice(
      place < 0 ? -1 - place : place,
      before === undefined ? 0 : 1,
      ...(after === undefined ? [] : [after]),
    );
  }
  const conflicts = claimsAreSame ? memory.conflicts : resolveConflicts(members);
  return merged({ ...memory, members, conflicts });
}

function changedSources(
  { members, appsWithDuplicates }: MergeMemory,
  changes: readonly SourceChange[],
): Map<string, readonly AppSource[]> | undefined {
  const sources = new Map<string, readonly AppSource[]>();
  const of = (app: string): readonly AppSource[] => sources.get(app) ?? findApp(members, app)?.sources ?? [];
  for (const { before } of changes) {
    if (before === undefined) continue;
    const { app } = before.policy;
    if (appsWithDuplicates.has(app)) return undefined;
    sources.set(
      app,
      of(app).filter(({ policy }) => policy !== before.policy),
    );
  }
  for (const { after } of changes) {
    if (after === undefined) continue;
    const { app } = after.policy;
    if (appsWithDuplicates.has(app) || of(app).some(({ layer }) => layer === after.layer)) return undefined;
    sources.set(app, [...of(app), after].sort(strongestFirst));
  }
  return sources;
}

/** Whether nobody else can gain or lose by it. */
function sameClaims(
  before: readonly string[] | undefined,
  after: readonly string[] | undefined,
  { contested }: Conflicts,
): boolean {
  if (before === undefined || after === undefined || before.length !== after.length) return false;
  return after.every((key, i) => key === before[i] && !contested.has(key));
}

function merged(memory: MergeMemory): MergedPolicies {
  const { duplicates, conflicts } = memory;
  const members = memory.members.map((member) => withoutLost(member, conflicts.lost.get(member.app) ?? NONE_LOST));
  const diagnostics = [...duplicates, ...conflicts.diagnostics];
  for (const member of members) if (member.diagnostics.length > 0) diagnostics.push(...member.diagnostics);
  return {
    apps: members.map(({ effective }) => effective),
    diagnostics: diagnostics.sort(compareDiagnostics),
    memory: { ...memory, members },
  };
}

const NONE_LOST: readonly Match[] = [];

/** Sources strongest first, one a layer. */
function groupByApp(
  layers: readonly LayerPolicies[],
  onDuplicate: (source: AppSource, first: AppSource) => void,
): Map<string, AppSource[]> {
  const byApp = new Map<string, AppSource[]>();
  for (const sources of layers.toSorted(strongestFirst).map(sourcesOf)) {
    for (const source of sources) {
      const { app } = source.policy;
      const others = byApp.get(app);
      const first = others?.findLast((other) => other.layer === source.layer);
      if (others === undefined) byApp.set(app, [source]);
      else if (first === undefined) others.push(source);
      else onDuplicate(source, first);
    }
  }
  return byApp;
}

function strongestFirst(a: { readonly layer: Layer }, b: { readonly layer: Layer }): number {
  return layerStrength(b.layer) - layerStrength(a.layer);
}

function duplicate({ policy: { app, at } }: AppSource, first: AppSource): Diagnostic {
  const message = `${app} already has a file in this layer, ${first.policy.file}; this one is ignored`;
  return diagnosticAt(at, 'error', 'duplicate-entry', message, 'one application, one file: join the two');
}

function sourcesOf({ layer, policies, broken = [] }: LayerPolicies): AppSource[] {
  const sources = [
    ...policies.map((policy): AppSource => ({ layer, kind: 'policy', policy })),
    ...broken.map((policy): AppSource => ({ layer, kind: 'broken', policy })),
  ];
  return sources.sort((a, b) => compareText(a.policy.file, b.policy.file));
}

function mergeUnlessSame(sources: readonly AppSource[], previous: MergedApp | undefined): MergedApp {
  if (previous !== undefined && sameSources(sources, previous.sources)) return previous;
  const { policy, diagnostics } = mergeApp(sources);
  const { app, match } = policy;
  return { app, sources, keys: match.map(matchKey), complete: policy, lost: NONE_LOST, effective: policy, diagnostics };
}

function sameSources(a: readonly AppSource[], b: readonly AppSource[]): boolean {
  return (
    a.length === b.length && a.every((source, i) => source.policy === b[i]?.policy && source.layer === b[i]?.layer)
  );
}

function withoutLost(merged: MergedApp, lost: readonly Match[]): MergedApp {
  if (lost.length === merged.lost.length && lost.every((match, i) => match === merged.lost[i])) return merged;
  const { complete } = merged;
  const effective =
    lost.length === 0 ? complete : { ...complete, match: complete.match.filter((match) => !lost.includes(match)) };
  return { ...merged, lost, effective };
}
