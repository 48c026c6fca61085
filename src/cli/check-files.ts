/** `check`: every mistake of every file, those between files included. Needs no privileges and no daemon. */
import { basename, dirname, resolve } from 'node:path';
import type { Diagnostic } from '../policy/diagnostic.ts';
import { misfitMatch } from '../policy/match-fit.ts';
import { type LayerPolicies, mergePolicies } from '../policy/merge.ts';
import type { Layer, Policy, Profile, SystemDefault, Uplink } from '../policy/model.ts';
import {
  parsePackagesFile,
  parsePolicyFile,
  parseProfileFile,
  parseSystemDefaultFile,
  parseUplinkFile,
} from '../policy/parse-file.ts';
import { compareDiagnostics, diagnosticAt } from '../policy/policy-source.ts';
import { unknownProfiles } from '../policy/unknown-profiles.ts';
import { unknownUplinks } from '../policy/unknown-uplinks.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { PackageClaims } from '../store/package-claims.ts';
import { TrustedPaths } from '../store/path-trust.ts';
import type { Paths } from '../store/paths.ts';
import { trustOf } from '../store/policy-files.ts';
import { readSourceFile } from '../store/source-file.ts';
import { MatchLooks } from '../watch/match-looks.ts';
import { packageShippers } from '../watch/package-shippers.ts';
import { findPolicyFiles, kindOfFile } from './find-policy-files.ts';

export interface CheckReport {
  readonly files: number;
  readonly errors: number;
  readonly warnings: number;
  readonly diagnostics: readonly Diagnostic[];
}

/** Files that hold at the same time: what they say about the same thing must agree. */
interface Together {
  readonly layers: Map<Layer, Policy[]>;
  readonly uplinks: Uplink[];
  readonly profiles: Profile[];
  hasUplinkFiles: boolean;
  systemDefault: SystemDefault;
  trustedPackages: ReadonlySet<string>;
}

export interface CheckPlace {
  /** Equal for files that hold at the same time. */
  readonly group: string;
  readonly layer: Layer;
}

/**
 * Files that a person names, whoever can change them: those in one directory (and the uplinks and profiles beside it) belong together.
 * Of those that the daemon does not read, as in a package's sources, what they name may be on another machine.
 */
export function checkPaths(paths: readonly string[], { root }: Paths): CheckReport {
  const isRead = (file: string): boolean => isMachine(root) && READ_BY_DAEMON.test(resolve(file));
  const [here, elsewhere] = [true, false].map((isComplete) => new MatchLooks({ root, isComplete }));
  return check(paths, {
    placeOf: (file) => ({ group: groupOf(file), layer: 'administrator' }),
    looksOf: (file) => (isRead(file) ? here : elsewhere),
  });
}

/** The daemon reads what is below other roots for the programs of this machine, and a build root may be one of another. */
const isMachine = (root: string): boolean => root === '/';
const READ_BY_DAEMON = /^\/(?:etc|usr\/share|var\/lib)\/pointsman\//;

/** All files that the daemon reads below a root. */
export function checkInstalled(paths: Paths): CheckReport {
  const layers: readonly (readonly [directory: string, layer: Layer])[] = [
    [paths.locks, 'locks'],
    [paths.answers, 'answers'],
    [paths.administratorPolicies, 'administrator'],
    [paths.packagePolicies, 'package'],
  ];
  const places = [
    ...layers.map(([directory]) => directory),
    paths.uplinks,
    paths.profiles,
    paths.systemDefault,
    paths.trustedPackages,
  ];
  const present = places.filter((path) => findPolicyFiles([path]).problems.length === 0);
  const placeOf = (file: string): CheckPlace => ({
    group: '',
    layer: layers.find(([directory]) => file.startsWith(`${directory}/`))?.[1] ?? 'administrator',
  });
  const looks = new MatchLooks({ root: paths.root, isComplete: isMachine(paths.root) });
  const trusted = new TrustedPaths(trustOf(paths));
  return check(present, { placeOf, looksOf: () => looks, trusted }, new PackageClaims(packageShippers(paths)));
}

function groupOf(file: string): string {
  const directory = dirname(file);
  return /(?:^|\/)(?:policies|uplinks|profiles)$/.test(directory) ? dirname(directory) : directory;
}

interface Checking {
  readonly placeOf: (file: string) => CheckPlace;
  readonly looksOf: (file: string) => MatchLooks | undefined;
  readonly trusted?: TrustedPaths;
}

function check(
  paths: readonly string[],
  { placeOf, looksOf, trusted }: Checking,
  claims = new PackageClaims(undefined),
): CheckReport {
  const { files, problems } = findPolicyFiles(paths);
  const groups = new Map<string, Together>();
  const diagnostics = [...problems];
  for (const file of files) {
    const { group, layer } = placeOf(file);
    const together = groups.get(group) ?? emptyGroup();
    groups.set(group, together);
    diagnostics.push(...checkFile(file, layer, together, { trusted, looks: looksOf(file) }));
  }
  for (const together of groups.values()) diagnostics.push(...checkTogether(together, claims));
  const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
  const sorted = diagnostics.sort(compareDiagnostics);
  return { files: files.length, errors, warnings: sorted.length - errors, diagnostics: sorted };
}

function emptyGroup(): Together {
  return {
    layers: new Map(),
    uplinks: [],
    profiles: [],
    hasUplinkFiles: false,
    systemDefault: builtinSystemDefault,
    trustedPackages: new Set(),
  };
}

function checkFile(
  file: string,
  layer: Layer,
  together: Together,
  { trusted, looks }: { readonly trusted: TrustedPaths | undefined; readonly looks: MatchLooks | undefined },
): readonly Diagnostic[] {
  const source = readSourceFile(file, { trusted });
  if (source.kind === 'masked') return [];
  if (source.kind !== 'read') {
    if (source.kind === 'refused' && source.code === 'file-not-trusted') {
      const message = `the daemon does not read the file: ${source.because}`;
      return [diagnosticAt({ file, line: 1, column: 1 }, 'error', source.code, message, source.hint)];
    }
    const because = source.kind === 'refused' ? source.because : 'no such file';
    const at = { file, line: 1, column: 1 };
    return [diagnosticAt(at, 'error', 'unreadable-file', `the file cannot be read: ${because}`)];
  }
  switch (kindOfFile(file, source.bytes)) {
    case 'policy': {
      const { policy, diagnostics } = parsePolicyFile(file, source.bytes);
      const policies = together.layers.get(layer) ?? [];
      together.layers.set(layer, policies);
      if (policy === undefined) return diagnostics;
      policies.push(policy);
      return [...diagnostics, ...misfits(policy, source.bytes, looks)];
    }
    case 'uplink': {
      const { uplink, diagnostics } = parseUplinkFile(file, source.bytes);
      together.hasUplinkFiles = true;
      if (uplink !== undefined) together.uplinks.push(uplink);
      return diagnostics;
    }
    case 'profile': {
      const { profile, diagnostics } = parseProfileFile(file, source.bytes);
      if (profile !== undefined) together.profiles.push(profile);
      return diagnostics;
    }
    case 'default': {
      const { systemDefault, diagnostics } = parseSystemDefaultFile(file, source.bytes);
      if (systemDefault !== undefined) together.systemDefault = systemDefault;
      return diagnostics;
    }
    case 'packages': {
      const { trusted, diagnostics } = parsePackagesFile(file, source.bytes);
      if (trusted !== undefined) together.trustedPackages = trusted;
      return diagnostics;
    }
  }
}

/** What the text alone does not tell, at the place of the value. */
function misfits(policy: Policy, bytes: Uint8Array, looks: MatchLooks | undefined): readonly Diagnostic[] {
  const lines = new TextDecoder().decode(bytes).split('\n');
  return policy.match.flatMap((entry) => {
    const misfit = misfitMatch(entry.kind, entry.value) === undefined ? looks?.misfit(entry, policy) : undefined;
    if (misfit === undefined) return [];
    const { message, hint } = misfit;
    const source = lines[entry.at.line - 1]?.replace(/\r$/, '') ?? '';
    const column = source.indexOf(entry.value, entry.at.column - 1) + 1;
    const place = column > 0 ? { source, column, length: entry.value.length } : {};
    return [{ ...diagnosticAt(entry.at, 'warning', 'misfit-match', message, hint), ...place }];
  });
}

function checkTogether(
  { layers, uplinks, profiles, hasUplinkFiles, systemDefault, trustedPackages }: Together,
  claims: PackageClaims,
): readonly Diagnostic[] {
  const shipped = (layers.get('package') ?? []).map(({ file }) => file);
  const directoryOfPackages = dirname(shipped[0] ?? '');
  const ofPackages = shipped.map((file) => basename(file));
  claims.refresh(ofPackages, trustedPackages);
  const merged = mergePolicies(
    [...layers].map(
      ([layer, policies]): LayerPolicies => ({
        layer,
        policies: layer === 'package' ? policies.map((policy) => claims.judge(policy)) : policies,
      }),
    ),
  );
  const policySet = { apps: merged.apps, uplinks, profiles, systemDefault };
  // Without any file of the kind, nobody said that these are all there are.
  const unknown = [
    ...(hasUplinkFiles ? unknownUplinks(policySet) : []),
    ...(profiles.length > 0 ? unknownProfiles(policySet) : []),
  ];
  return [...merged.diagnostics, ...claims.diagnostics(directoryOfPackages, ofPackages), ...unknown];
}
