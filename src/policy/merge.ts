/**
 * Merging: the policies of all layers become one effective policy for each application.
 * Upper layers' rules come first; `otherwise`, `via` and `name`: the highest layer that states one wins; `match` entries add up.
 * The layer of answers only narrows: what it allows, its `via` and its `match` are not taken.
 */
import type { Diagnostic } from './diagnostic.ts';
import type { EffectivePolicy } from './effective-policy.ts';
import { layerStrength } from './layers.ts';
import { resolveConflicts } from './match-conflicts.ts';
import { mergeApp } from './merge-app.ts';
import type { Layer, Match, Policy } from './model.ts';
import { type AppSource, type BrokenPolicy, compareDiagnostics, compareText, diagnosticAt } from './policy-source.ts';

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
  /** What each application was made of; hand it back to keep the objects of unchanged applications. */
  readonly memory: ReadonlyMap<string, MergedApp>;
}

export interface MergedApp {
  readonly sources: readonly AppSource[];
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
  const diagnostics: Diagnostic[] = [];
  const bySource = [...groupByApp(layers, diagnostics)].sort(([a], [b]) => compareText(a, b));
  const own = bySource.map(([app, sources]) => mergeUnlessSame(sources, previous?.memory.get(app)));
  const lost = resolveConflicts(
    own.map((merged) => merged.complete),
    diagnostics,
  );
  const memory = new Map<string, MergedApp>();
  for (const merged of own) {
    memory.set(merged.complete.app, withoutLost(merged, lost.get(merged.complete) ?? NONE_LOST));
    diagnostics.push(...merged.diagnostics);
  }
  return {
    apps: Array.from(memory.values(), (merged) => merged.effective),
    diagnostics: diagnostics.sort(compareDiagnostics),
    memory,
  };
}

const NONE_LOST: readonly Match[] = [];

/** Sources strongest first, one a layer. */
function groupByApp(layers: readonly LayerPolicies[], diagnostics: Diagnostic[]): Map<string, AppSource[]> {
  const byApp = new Map<string, AppSource[]>();
  for (const sources of layers.toSorted((a, b) => layerStrength(b.layer) - layerStrength(a.layer)).map(sourcesOf)) {
    for (const source of sources) {
      const { app, at } = source.policy;
      const others = byApp.get(app);
      const first = others?.findLast((other) => other.layer === source.layer);
      if (others === undefined) byApp.set(app, [source]);
      else if (first === undefined) others.push(source);
      else {
        const message = `${app} already has a file in this layer, ${first.policy.file}; this one is ignored`;
        diagnostics.push(
          diagnosticAt(at, 'error', 'duplicate-entry', message, 'one application, one file: join the two'),
        );
      }
    }
  }
  return byApp;
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
  return { sources, complete: policy, lost: NONE_LOST, effective: policy, diagnostics };
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
