/** All policy, uplink, profile and default files as one policy set, read again as cheaply as a change of them allows. */
import { basename, dirname, join } from 'node:path';
import { alikeUplinks } from '../policy/alike-uplinks.ts';
import type { Diagnostic } from '../policy/diagnostic.ts';
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import {
  type LayerPolicies,
  type MergedPolicies,
  mergeChanges,
  mergePolicies,
  type SourceChange,
} from '../policy/merge.ts';
import type { Layer, Policy, Profile, SystemDefault, Uplink } from '../policy/model.ts';
import { type AppSource, type BrokenPolicy, compareDiagnostics, diagnosticAt } from '../policy/policy-source.ts';
import { APP_PATTERN } from '../policy/schema.ts';
import { changedApps, findApp } from '../policy/sorted-apps.ts';
import { namesProfiles, unknownProfiles } from '../policy/unknown-profiles.ts';
import { namesUplinks, unknownUplinks } from '../policy/unknown-uplinks.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { type EntryChange, type FileEntry, FileSet } from './file-set.ts';
import { ownTrust, sameTrust, withGroups } from './file-trust.ts';
import { LastGood } from './last-good.ts';
import { PackageClaims, type PolicyShippers } from './package-claims.ts';
import { parseDefault, parsePackages, parsePolicy, parseProfile, parseUplink } from './parsed-file.ts';
import { type Permissions, type Trust, TrustedPaths } from './path-trust.ts';
import type { Paths } from './paths.ts';
import {
  type Contribution,
  contributionKey,
  contributionOf,
  goesByLink,
  type LayerEntries,
  resolveAgain,
  sourceOf,
  withoutMasked,
} from './policy-layer.ts';
import { StagedFiles } from './staged-files.ts';

export interface LoadedPolicies {
  /** The same object as long as nothing in it changes; unchanged applications keep their identity. */
  readonly policySet: PolicySet;
  /** All that is wrong now, not only what is new; sorted by place. */
  readonly diagnostics: readonly Diagnostic[];
  /** From 1; grows with every new policy set. */
  readonly revision: number;
  /** Applications that are new, different or gone since the last load. */
  readonly changedApps: readonly string[];
  /** Files whose last good version is in force, as they can no longer be used. */
  readonly lastGood: readonly string[];
}

/** Paths of files that may have changed. All others are taken to be as they were. */
export interface LoadHint {
  readonly changed: Iterable<string>;
}

export interface PolicyFilesOptions {
  /** Whether copies are made of files that can be used, for the time when they no longer can. True unless stated. */
  readonly writesLastGood?: boolean;
  /** Absent: packages may say what they like. */
  readonly shippers?: PolicyShippers;
}

interface LayerChange extends EntryChange<Policy> {
  readonly layer: Layer;
}

interface PolicyLayer {
  readonly layer: Layer;
  readonly files: FileSet<Policy>;
}

/** What people's files said at a moment; for `goBackTo` alone. */
export type SettledFiles = ReadonlyMap<StagedFiles<unknown>, readonly FileEntry<unknown>[]>;

/** `firefox` of `firefox.yaml`: files are called as their application. */
function appOfFile(name: string): string | undefined {
  const app = name.replace(/\.ya?ml$/, '');
  return APP_PATTERN.test(app) ? app : undefined;
}

export class PolicyFiles {
  readonly #paths: Paths;
  /** Of the last load. */
  #trust: Trust;
  /** As this load sees them. */
  #trusted: TrustedPaths;
  readonly #layersStrongestFirst: readonly PolicyLayer[];
  readonly #uplinks: StagedFiles<Uplink>;
  readonly #profiles: StagedFiles<Profile>;
  readonly #systemDefault: StagedFiles<SystemDefault>;
  readonly #trustedPackages: StagedFiles<ReadonlySet<string>>;
  /** The last load was of files that are held or tried. */
  #wasStaged = false;
  readonly #claims: PackageClaims;
  /** By the policy in force, or by the file where there is none. */
  #contributions = new Map<object, Contribution>();
  #merged: MergedPolicies | undefined;
  #loaded: LoadedPolicies | undefined;
  #copyDiagnostics: readonly Diagnostic[] = [];
  /** The only ones that may name an uplink which is not there. */
  #appsThatNameUplinks: ReadonlyMap<string, EffectivePolicy> = new Map();
  /** The same for profiles. */
  #appsThatNameProfiles: ReadonlyMap<string, EffectivePolicy> = new Map();

  constructor(paths: Paths, { writesLastGood = true, shippers }: PolicyFilesOptions = {}) {
    this.#claims = new PackageClaims(shippers);
    this.#paths = paths;
    this.#trust = ownTrust(paths);
    this.#trusted = new TrustedPaths(this.#trust);
    const common = (name: string): { readonly lastGood: LastGood; readonly trusted: () => TrustedPaths } => ({
      lastGood: new LastGood(join(paths.lastGoodDir, name), { isWritten: writesLastGood }),
      trusted: () => this.#trusted,
    });
    const policies = (layer: Layer, directory: string): PolicyLayer => {
      const options = { directory, parse: parsePolicy, appOf: appOfFile, ...common(layer) };
      return { layer, files: layer === 'package' ? new FileSet(options) : new StagedFiles(options) };
    };
    this.#layersStrongestFirst = [
      policies('locks', paths.locks),
      policies('answers', paths.answers),
      policies('administrator', paths.administratorPolicies),
      policies('package', paths.packagePolicies),
    ];
    this.#uplinks = new StagedFiles({ directory: paths.uplinks, parse: parseUplink, ...common('uplinks') });
    this.#profiles = new StagedFiles({ directory: paths.profiles, parse: parseProfile, ...common('profiles') });
    this.#systemDefault = new StagedFiles({
      ...splitPath(paths.systemDefault),
      parse: parseDefault,
      ...common('default'),
    });
    this.#trustedPackages = new StagedFiles({
      ...splitPath(paths.trustedPackages),
      parse: parsePackages,
      ...common('packages'),
    });
  }

  /**
   * Never throws for what files hold or what the file system refuses. Without a hint every file is looked at, and `exec` paths
   * are resolved again: a program may be installed after its policy, so such a load should follow a while after a change.
   * `copies` of what can be used are made at once, or when `keepCopies` is called: nothing but a restart needs them.
   */
  load(hint?: LoadHint, { copies = 'at once' }: { readonly copies?: 'at once' | 'later' } = {}): LoadedPolicies {
    const named = hint === undefined || this.#loaded === undefined ? undefined : this.#bySet(hint.changed);
    const isSameTrust = this.#readDefault(named);
    const reread = named === undefined || !isSameTrust ? undefined : this.#reread(named);
    if (reread === undefined) for (const set of this.#sets()) if (set !== this.#systemDefault) set.scan();
    // Whoever saves a file after a change was taken back says what is to hold from now on.
    if (this.#people().some(({ isOvertaken }) => isOvertaken)) for (const set of this.#people()) set.release();
    const isStaged = this.#people().some((set) => set.isStaged);
    const changes = isStaged || this.#wasStaged ? undefined : reread;
    this.#wasStaged = isStaged;
    if (copies === 'at once') this.keepCopies();
    const { counting, masked } = withoutMasked(
      this.#layersStrongestFirst.map(({ layer, files }) => ({
        layer,
        entries: files.entries(),
        notable: files.notable(),
      })),
    );
    const isJudgedAnew = this.#claims.refresh(this.#packageFiles(), this.#trustedPackages.entries()[0]?.value ?? NONE);
    const merged =
      (changes === undefined || isJudgedAnew ? undefined : this.#mergeChanges(changes, masked)) ??
      mergePolicies(this.#contribute(counting, changes === undefined), this.#merged);
    this.#merged = merged;
    this.#loaded = this.#succeed(merged, counting);
    return this.#loaded;
  }

  /** What people's files say now, without what is tried; those of packages are not people's. */
  settled(): SettledFiles {
    return new Map(this.#people().map((set) => [set, set.settled]));
  }

  /** What people's files say from the next load on, until one of them changes; nothing is tried any more. */
  goBackTo(settled: SettledFiles): void {
    for (const set of this.#people()) {
      set.try(undefined);
      set.hold(settled.get(set) ?? set.settled);
    }
    if (!this.isTakenBack) this.release();
  }

  /** Whether others count than those that are there. */
  get isTakenBack(): boolean {
    return this.#people().some(({ isHeld }) => isHeld);
  }

  /** From the next load on. */
  endTrial(): void {
    for (const set of this.#people()) set.try(undefined);
  }

  /** What is there counts again, from the next load on. */
  release(): void {
    for (const set of this.#people()) {
      set.try(undefined);
      set.release();
    }
  }

  /** From the next load on files here count before the administrator's of the same name; see `trialPaths`. */
  try(from: Paths): void {
    const common = {
      lastGood: new LastGood(join(from.runDir, 'no-copies'), { isWritten: false }),
      trusted: () => this.#trusted,
    };
    const policies = (directory: string): FileSet<Policy> =>
      new FileSet({ directory, parse: parsePolicy, appOf: appOfFile, ...common });
    for (const { layer, files } of this.#layersStrongestFirst) {
      if (!(files instanceof StagedFiles)) continue;
      if (layer === 'administrator') files.try(policies(from.administratorPolicies));
      if (layer === 'locks') files.try(policies(from.locks));
    }
    this.#uplinks.try(new FileSet({ directory: from.uplinks, parse: parseUplink, ...common }));
    this.#profiles.try(new FileSet({ directory: from.profiles, parse: parseProfile, ...common }));
    this.#systemDefault.try(new FileSet({ ...splitPath(from.systemDefault), parse: parseDefault, ...common }));
    this.#trustedPackages.try(new FileSet({ ...splitPath(from.trustedPackages), parse: parsePackages, ...common }));
  }

  /** As of the last load, with what has become of the copies since. */
  get loaded(): LoadedPolicies | undefined {
    return this.#loaded;
  }

  /** Who may read one of the files as it was read; `undefined` where it was not, or where that cannot be told. */
  permissionsOf(path: string): readonly Permissions[] | undefined {
    for (const set of this.#sets()) {
      const name = set.nameOf(path);
      if (name !== undefined) return set.permissionsOf(name);
    }
    return undefined;
  }

  /** Whether a link that a policy's path goes by leads elsewhere by now: the next whole load will follow it. */
  linksHaveMoved(): boolean {
    for (const contribution of this.#contributions.values())
      if (goesByLink(contribution) && resolveAgain(contribution) !== contribution) return true;
    return false;
  }

  /** Makes about so many of the copies that are due; false where no more can be made now. */
  keepCopies(most: number = Number.POSITIVE_INFINITY): boolean {
    const sets = this.#sets();
    const isBehind = sets.filter((set) => set.keepCopies(most)).length > 0;
    const before = this.#copyDiagnostics;
    this.#copyDiagnostics = sets.flatMap((set) => set.copyDiagnostics());
    if (this.#loaded !== undefined && !sameElements(before, this.#copyDiagnostics)) {
      const others = this.#loaded.diagnostics.filter((diagnostic) => !before.includes(diagnostic));
      const diagnostics = [...others, ...this.#copyDiagnostics].sort(compareDiagnostics);
      this.#loaded = { ...this.#loaded, diagnostics };
    }
    return isBehind;
  }

  #succeed(merged: MergedPolicies, layers: readonly LayerEntries[]): LoadedPolicies {
    const before = this.#loaded;
    // An uplink is named as its file is: sorted, and each once.
    const uplinks = valuesOf(this.#uplinks);
    const profiles = valuesOf(this.#profiles);
    const [systemDefault] = this.#systemDefault.entries();
    const isSameUplinks = before !== undefined && sameElements(before.policySet.uplinks, uplinks);
    const isSameProfiles = sameElements(before?.policySet.profiles ?? [], profiles);
    const policySet: PolicySet = {
      apps: merged.apps,
      uplinks: isSameUplinks ? before.policySet.uplinks : uplinks,
      ...withProfiles(isSameProfiles ? before?.policySet.profiles : profiles),
      systemDefault: systemDefault?.value ?? builtinSystemDefault,
    };
    const changed = changedApps(before?.policySet.apps ?? [], policySet.apps);
    const diagnostics = this.#diagnose(policySet, changed, merged, layers);
    const lastGood = this.#sets()
      .flatMap((set) => set.entries())
      .flatMap(({ isLastGood, path }) => (isLastGood ? [path] : []));
    const isSame =
      isSameUplinks &&
      isSameProfiles &&
      changed.length === 0 &&
      before.policySet.systemDefault === policySet.systemDefault;
    if (isSame) return { ...before, diagnostics, lastGood, changedApps: changed };
    return { policySet, diagnostics, lastGood, revision: (before?.revision ?? 0) + 1, changedApps: changed };
  }

  #diagnose(
    policySet: PolicySet,
    changed: readonly string[],
    merged: MergedPolicies,
    layers: readonly LayerEntries[],
  ): readonly Diagnostic[] {
    const naming = notChanged(this.#appsThatNameUplinks, changed);
    const during = notChanged(this.#appsThatNameProfiles, changed);
    for (const app of changed) {
      const policy = findApp(policySet.apps, app);
      if (policy !== undefined && namesUplinks(policy)) naming.set(app, policy);
      if (policy !== undefined && namesProfiles(policy)) during.set(app, policy);
    }
    this.#appsThatNameUplinks = naming;
    this.#appsThatNameProfiles = during;
    const diagnostics = [...this.#sets().flatMap((set) => set.diagnostics()), ...this.#copyDiagnostics];
    for (const { layer, notable } of layers) {
      for (const entry of notable) diagnostics.push(...fileDiagnostics(layer, entry));
    }
    diagnostics.push(
      ...merged.diagnostics,
      ...this.#claims.diagnostics(this.#paths.packagePolicies, this.#packageFiles()),
      ...[this.#uplinks, this.#profiles, this.#systemDefault, this.#trustedPackages].flatMap((set: FileSet<unknown>) =>
        set.entries().flatMap(({ parsed }) => parsed.diagnostics),
      ),
      ...alikeUplinks(policySet.uplinks),
      ...unknownUplinks({ ...policySet, apps: [...naming.values()] }),
      ...unknownProfiles({ ...policySet, apps: [...during.values()] }),
    );
    return diagnostics.sort(compareDiagnostics);
  }

  #packageFiles(): readonly string[] {
    const ofPackages = this.#layersStrongestFirst.find(({ layer }) => layer === 'package');
    return ofPackages?.files.entries().map(({ name }) => name) ?? [];
  }

  /** As merging takes it: of what a package says, only what it may say. */
  #sourceOf(layer: Layer, contribution: Contribution | undefined): AppSource | undefined {
    const source = sourceOf(layer, contribution);
    if (source === undefined || layer !== 'package') return source;
    return source.kind === 'policy'
      ? { ...source, policy: this.#claims.judge(source.policy) }
      : { ...source, policy: this.#claims.judge(source.policy) };
  }

  /** All but those of packages. */
  #people(): readonly StagedFiles<unknown>[] {
    return this.#sets().filter((set) => set instanceof StagedFiles);
  }

  #sets(): readonly FileSet<unknown>[] {
    return [
      ...this.#layersStrongestFirst.map(({ files }) => files),
      this.#uplinks,
      this.#profiles,
      this.#systemDefault,
      this.#trustedPackages,
    ];
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

  /** It says whom to believe, and cannot say so of itself. True where that stays as it was. */
  #readDefault(named: ReadonlyMap<FileSet<unknown>, ReadonlySet<string>> | undefined): boolean {
    const own = ownTrust(this.#paths);
    this.#trusted = new TrustedPaths(own);
    if (named === undefined) this.#systemDefault.scan();
    else this.#systemDefault.reread(named.get(this.#systemDefault) ?? []);
    const before = this.#trust;
    this.#trust = withGroups(own, this.#systemDefault.entries()[0]?.value?.trustedGroups);
    this.#trusted = new TrustedPaths(this.#trust);
    return sameTrust(before, this.#trust);
  }

  #reread(named: ReadonlyMap<FileSet<unknown>, ReadonlySet<string>>): readonly LayerChange[] {
    for (const set of [this.#uplinks, this.#profiles, this.#trustedPackages]) set.reread(named.get(set) ?? []);
    return this.#layersStrongestFirst.flatMap(({ layer, files }) =>
      files.reread(named.get(files) ?? []).map((change) => ({ layer, ...change })),
    );
  }

  /** `undefined` where more than the named files has to be looked at. */
  #mergeChanges(changes: readonly LayerChange[], masked: ReadonlySet<string>): MergedPolicies | undefined {
    const concernsMask = ({ before, after }: LayerChange): boolean =>
      [before, after].some((entry) => entry !== undefined && (entry.parsed.masked || masked.has(entry.name)));
    if (this.#merged === undefined || changes.some(concernsMask)) return undefined;
    return mergeChanges(
      this.#merged,
      changes.map((change) => this.#contributeChange(change)),
    );
  }

  #contributeChange({ layer, before, after }: LayerChange): SourceChange {
    const old = before && this.#contributions.get(contributionKey(before));
    const now = after && (this.#contributions.get(contributionKey(after)) ?? contributionOf(after));
    if (before !== undefined) this.#contributions.delete(contributionKey(before));
    if (after !== undefined && now !== undefined) this.#contributions.set(contributionKey(after), now);
    const [was, is] = [this.#sourceOf(layer, old), this.#sourceOf(layer, now)];
    return { ...(was !== undefined && { before: was }), ...(is !== undefined && { after: is }) };
  }

  #contribute(layers: readonly LayerEntries[], everything: boolean): readonly LayerPolicies[] {
    const before = this.#contributions;
    this.#contributions = new Map();
    return layers.map(({ layer, entries }) => {
      const policies: Policy[] = [];
      const broken: BrokenPolicy[] = [];
      for (const entry of entries) {
        const key = contributionKey(entry);
        const known = before.get(key);
        const contribution = known === undefined ? contributionOf(entry) : everything ? resolveAgain(known) : known;
        this.#contributions.set(key, contribution);
        const source = this.#sourceOf(layer, contribution);
        if (source?.kind === 'policy') policies.push(source.policy);
        else if (source?.kind === 'broken') broken.push(source.policy);
      }
      return { layer, policies, broken };
    });
  }
}

function fileDiagnostics(layer: Layer, { path, parsed }: FileEntry<Policy>): readonly Diagnostic[] {
  if (layer !== 'answers' || !parsed.masked) return parsed.diagnostics;
  const message = 'an empty answer hides nothing: answers only narrow';
  return [diagnosticAt({ file: path, line: 1, column: 1 }, 'warning', 'not-yet-enforced', message)];
}

const NONE: ReadonlySet<string> = new Set();

const valuesOf = <T>(set: FileSet<T>): readonly T[] =>
  set.entries().flatMap(({ value }) => (value === undefined ? [] : [value]));

const withProfiles = (profiles: readonly Profile[] | undefined): Pick<PolicySet, 'profiles'> =>
  profiles === undefined || profiles.length === 0 ? {} : { profiles };

function notChanged(
  naming: ReadonlyMap<string, EffectivePolicy>,
  changed: readonly string[],
): Map<string, EffectivePolicy> {
  const others = new Map(naming);
  for (const app of changed) others.delete(app);
  return others;
}

function sameElements<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((element, i) => element === b[i]);
}

function splitPath(path: string): { readonly directory: string; readonly only: string } {
  return { directory: dirname(path), only: basename(path) };
}
