/** All policy, uplink and default files as one policy set, read again as cheaply as a change of them allows. */
import { basename, dirname, join } from 'node:path';
import type { Diagnostic } from '../policy/diagnostic.ts';
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import { type LayerPolicies, type MergedPolicies, mergePolicies } from '../policy/merge.ts';
import type { Layer, Policy, SystemDefault, Uplink } from '../policy/model.ts';
import { parsePolicyFile, parseSystemDefaultFile, parseUplinkFile } from '../policy/parse-file.ts';
import { type BrokenPolicy, compareDiagnostics, compareText, diagnosticAt } from '../policy/policy-source.ts';
import { unknownUplinks } from '../policy/unknown-uplinks.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { type FileEntry, FileSet, type ParsedFile } from './file-set.ts';
import { LastGood } from './last-good.ts';
import type { Paths } from './paths.ts';
import { type Contribution, contributionOf, type LayerEntries, resolveAgain, withoutMasked } from './policy-layer.ts';

export interface LoadedPolicies {
  /** The same object as long as nothing in it changes; unchanged applications keep their identity. */
  readonly policySet: PolicySet;
  /** All that is wrong now, not only what is new; sorted by place. */
  readonly diagnostics: readonly Diagnostic[];
  /** From 1; grows with every new policy set. */
  readonly revision: number;
  /** Applications that are new, different or gone since the last load. */
  readonly changedApps: readonly string[];
}

/** Paths of files that may have changed. All others are taken to be as they were. */
export interface LoadHint {
  readonly changed: Iterable<string>;
}

interface PolicyLayer {
  readonly layer: Layer;
  readonly files: FileSet<Policy>;
}

export class PolicyFiles {
  readonly #layersStrongestFirst: readonly PolicyLayer[];
  readonly #uplinks: FileSet<Uplink>;
  readonly #systemDefault: FileSet<SystemDefault>;
  /** By the policy in force, or by the file where there is none. */
  #contributions = new Map<object, Contribution>();
  #merged: MergedPolicies | undefined;
  #loaded: LoadedPolicies | undefined;

  constructor(paths: Paths) {
    const lastGood = (name: string): LastGood => new LastGood(join(paths.lastGoodDir, name));
    const policies = (layer: Layer, directory: string): PolicyLayer => {
      return { layer, files: new FileSet({ directory, parse: parsePolicy, lastGood: lastGood(layer) }) };
    };
    this.#layersStrongestFirst = [
      policies('locks', paths.locks),
      policies('answers', paths.answers),
      policies('administrator', paths.administratorPolicies),
      policies('package', paths.packagePolicies),
    ];
    this.#uplinks = new FileSet({ directory: paths.uplinks, parse: parseUplink, lastGood: lastGood('uplinks') });
    this.#systemDefault = new FileSet({
      ...splitPath(paths.systemDefault),
      parse: parseDefault,
      lastGood: lastGood('default'),
    });
  }

  /**
   * Never throws for what files hold or what the file system refuses. Without a hint every file is looked at, and `exec` paths
   * are resolved again: a program may be installed after its policy, so such a load should follow a while after a change.
   */
  load(hint?: LoadHint): LoadedPolicies {
    const changed = hint === undefined || this.#loaded === undefined ? undefined : this.#bySet(hint.changed);
    const sets = this.#sets();
    if (changed === undefined) for (const set of sets) set.scan();
    else for (const [set, names] of changed) set.reread(names);
    const layers = withoutMasked(
      this.#layersStrongestFirst.map(({ layer, files }) => ({ layer, entries: files.entries() })),
    );
    const merged = mergePolicies(this.#contribute(layers, changed === undefined), this.#merged);
    // An uplink is named as its file is: sorted, and each once.
    const uplinkFiles = this.#uplinks.entries();
    const uplinks = uplinkFiles.flatMap(({ value }) => (value === undefined ? [] : [value]));
    const [systemDefault] = this.#systemDefault.entries();
    const policySet = { apps: merged.apps, uplinks, systemDefault: systemDefault?.value ?? builtinSystemDefault };
    const diagnostics = [
      ...sets.flatMap((set) => set.diagnostics()),
      ...layers.flatMap(({ layer, entries }) => entries.flatMap((entry) => fileDiagnostics(layer, entry))),
      ...merged.diagnostics,
      ...[...uplinkFiles, ...this.#systemDefault.entries()].flatMap(({ parsed }) => parsed.diagnostics),
      ...unknownUplinks(policySet),
    ];
    this.#merged = merged;
    this.#loaded = succeed(this.#loaded, policySet, diagnostics.sort(compareDiagnostics));
    return this.#loaded;
  }

  #sets(): readonly FileSet<unknown>[] {
    return [...this.#layersStrongestFirst.map(({ files }) => files), this.#uplinks, this.#systemDefault];
  }

  /** `undefined` where one of the paths is a whole directory. Paths of no set do not matter. */
  #bySet(paths: Iterable<string>): Map<FileSet<unknown>, Set<string>> | undefined {
    const sets = this.#sets();
    const bySet = new Map<FileSet<unknown>, Set<string>>();
    for (const path of paths) {
      if (sets.some(({ directory }) => directory === path || directory.startsWith(`${path}/`))) return undefined;
      for (const set of sets) {
        const name = set.nameOf(path);
        if (name !== undefined) bySet.set(set, (bySet.get(set) ?? new Set()).add(name));
      }
    }
    return bySet;
  }

  #contribute(layers: readonly LayerEntries[], everything: boolean): readonly LayerPolicies[] {
    const before = this.#contributions;
    this.#contributions = new Map();
    return layers.map(({ layer, entries }) => {
      const policies: Policy[] = [];
      const broken: BrokenPolicy[] = [];
      for (const entry of entries) {
        const key = entry.value ?? entry;
        const known = before.get(key);
        const contribution = known === undefined ? contributionOf(entry) : everything ? resolveAgain(known) : known;
        this.#contributions.set(key, contribution);
        if (contribution.kind === 'policy') policies.push(contribution.policy);
        else if (contribution.kind === 'broken') broken.push(contribution.policy);
      }
      return { layer, policies, broken };
    });
  }
}

function parsePolicy(file: string, bytes: Uint8Array): ParsedFile<Policy> {
  const { policy, ...rest } = parsePolicyFile(file, bytes);
  return policy === undefined ? rest : { ...rest, value: policy };
}

function parseUplink(file: string, bytes: Uint8Array): ParsedFile<Uplink> {
  const { uplink, ...rest } = parseUplinkFile(file, bytes);
  return uplink === undefined ? rest : { ...rest, value: uplink };
}

function parseDefault(file: string, bytes: Uint8Array): ParsedFile<SystemDefault> {
  const { systemDefault, ...rest } = parseSystemDefaultFile(file, bytes);
  return systemDefault === undefined ? rest : { ...rest, value: systemDefault };
}

function fileDiagnostics(layer: Layer, { path, parsed }: FileEntry<Policy>): readonly Diagnostic[] {
  if (layer !== 'answers' || !parsed.masked) return parsed.diagnostics;
  const message = 'an empty answer hides nothing: answers only narrow';
  return [diagnosticAt({ file: path, line: 1, column: 1 }, 'warning', 'not-yet-enforced', message)];
}

function succeed(
  before: LoadedPolicies | undefined,
  policySet: PolicySet,
  diagnostics: readonly Diagnostic[],
): LoadedPolicies {
  const changedApps =
    before === undefined ? policySet.apps.map(({ app }) => app) : changedBetween(before.policySet.apps, policySet.apps);
  const isSame =
    before !== undefined &&
    changedApps.length === 0 &&
    before.policySet.systemDefault === policySet.systemDefault &&
    sameElements(before.policySet.uplinks, policySet.uplinks);
  if (isSame) return { ...before, diagnostics, changedApps };
  return { policySet, diagnostics, revision: (before?.revision ?? 0) + 1, changedApps };
}

function changedBetween(before: readonly EffectivePolicy[], after: readonly EffectivePolicy[]): readonly string[] {
  const old = new Map(before.map((policy) => [policy.app, policy]));
  const changed: string[] = [];
  for (const policy of after) {
    if (old.get(policy.app) !== policy) changed.push(policy.app);
    old.delete(policy.app);
  }
  return [...changed, ...old.keys()].sort(compareText);
}

function sameElements<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((element, i) => element === b[i]);
}

function splitPath(path: string): { readonly directory: string; readonly only: string } {
  return { directory: dirname(path), only: basename(path) };
}
