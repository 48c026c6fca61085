/** From the files of a layer to what merging takes. */
import type { Layer, Match, Policy } from '../policy/model.ts';
import type { AppSource, BrokenPolicy } from '../policy/policy-source.ts';
import type { FileEntry } from './file-set.ts';
import { namesProgram, resolvePrograms } from './program-path.ts';

export type Contribution =
  | {
      readonly kind: 'policy';
      readonly written: readonly Match[];
      readonly policy: Policy;
    }
  | {
      readonly kind: 'broken';
      readonly written: readonly Match[];
      readonly policy: BrokenPolicy;
    }
  | { readonly kind: 'none' };

export interface LayerEntries {
  readonly layer: Layer;
  readonly entries: readonly FileEntry<Policy>[];
  /** Of them those that have diagnostics or are masked. */
  readonly notable: readonly FileEntry<Policy>[];
}

/** What a file gives to its application. A file that cannot be used and has no last good version blocks it. */
export function contributionOf({ value, parsed, path }: FileEntry<Policy>): Contribution {
  if (value !== undefined) {
    const match = resolvePrograms(value.match);
    const policy = match === value.match ? value : { ...value, match };
    return { kind: 'policy', written: value.match, policy };
  }
  const { app, match: written = [], children } = parsed;
  if (parsed.masked || app === undefined) return { kind: 'none' };
  const error = parsed.diagnostics.find(({ severity }) => severity === 'error');
  const { line = 1, column = 1 } = error ?? {};
  // Without the message, which may quote the file: more people see this than may read that.
  const because = `${path}:${line}:${column}: the file cannot be used [${error?.code ?? 'unreadable-file'}]`;
  const policy: BrokenPolicy = {
    app,
    match: resolvePrograms(written),
    ...(children !== undefined && { children }),
    because,
    file: path,
    at: { file: path, line, column },
  };
  return { kind: 'broken', written, policy };
}

/** What a contribution stays the same for: the policy in force, or the file where there is none. */
export function contributionKey(entry: FileEntry<Policy>): object {
  return entry.value ?? entry;
}

export function sourceOf(layer: Layer, contribution: Contribution | undefined): AppSource | undefined {
  switch (contribution?.kind) {
    case 'policy':
      return { layer, kind: 'policy', policy: contribution.policy };
    case 'broken':
      return { layer, kind: 'broken', policy: contribution.policy };
    case 'none':
    case undefined:
      return undefined;
  }
}

export const goesByLink = (contribution: Contribution): boolean =>
  contribution.kind !== 'none' && contribution.policy.match !== contribution.written;

/** The same object where symbolic links lead where they led before. */
export function resolveAgain(contribution: Contribution): Contribution {
  if (contribution.kind === 'none') return contribution;
  const { written, policy: before } = contribution;
  const match = resolvePrograms(written);
  if (match.every((entry, i) => samePath(entry, before.match[i]))) return contribution;
  return contribution.kind === 'policy'
    ? { ...contribution, policy: { ...contribution.policy, match } }
    : { ...contribution, policy: { ...contribution.policy, match } };
}

function samePath(a: Match, b: Match | undefined): boolean {
  return !namesProgram(a) || a.value === b?.value;
}

/**
 * The files that count, given all layers, and the names of which weaker layers' files do not: a file that says nothing hides
 * those of its name below. An answer hides nothing: it could only widen.
 */
export function withoutMasked(layersStrongestFirst: readonly LayerEntries[]): {
  readonly counting: readonly LayerEntries[];
  readonly masked: ReadonlySet<string>;
} {
  const masked = new Set<string>();
  const counting = layersStrongestFirst.map((all) => {
    const isVisible = ({ name }: FileEntry<Policy>): boolean => !masked.has(name);
    const visible =
      masked.size === 0
        ? all
        : { layer: all.layer, entries: all.entries.filter(isVisible), notable: all.notable.filter(isVisible) };
    if (all.layer !== 'answers') for (const { name, parsed } of visible.notable) if (parsed.masked) masked.add(name);
    return visible;
  });
  return { counting, masked };
}
