/** `check`: every mistake of every file, those between files included. Needs no privileges and no daemon. */
import { existsSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { alikeUplinks } from '../policy/alike-uplinks.ts';
import type { Diagnostic } from '../policy/diagnostic.ts';
import { mergePolicies } from '../policy/merge.ts';
import type { Match, Policy, Profile, SystemDefault, Uplink } from '../policy/model.ts';
import { compareDiagnostics, diagnosticAt } from '../policy/policy-source.ts';
import { unknownProfiles } from '../policy/unknown-profiles.ts';
import { unknownUplinks } from '../policy/unknown-uplinks.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { kindOfFile, placedKind } from '../store/file-kind.ts';
import { parseDefault, parsePackages, parsePolicy, parseProfile, parseUplink } from '../store/parsed-file.ts';
import { type Paths, watchedPaths } from '../store/paths.ts';
import { PolicyFiles } from '../store/policy-files.ts';
import { readSourceFile } from '../store/source-file.ts';
import { strayFiles } from '../store/stray-files.ts';
import { MatchLooks } from '../watch/match-looks.ts';
import { misfitDiagnostic, misfitOf } from '../watch/misfit-diagnostics.ts';
import { packageShippers } from '../watch/package-shippers.ts';
import { type FoundFiles, findPolicyFiles } from './find-policy-files.ts';
import { labOfRoot } from './lab-place.ts';

export interface CheckReport {
  readonly files: number;
  readonly errors: number;
  readonly warnings: number;
  readonly diagnostics: readonly Diagnostic[];
}

/** Files that hold at the same time: what they say about the same thing must agree. */
interface Together {
  readonly policies: Policy[];
  readonly uplinks: Uplink[];
  readonly profiles: Profile[];
  hasUplinkFiles: boolean;
  systemDefault: SystemDefault;
}

/**
 * Files that a person names, whoever can change them. Of those that the daemon reads, and of what stands unread among them, it says what it says of
 * them without a path. Others belong together where they are in one directory (and the uplinks and profiles beside it), and what they name may be on
 * another machine, as in a package's sources.
 */
export function checkPaths(named: readonly string[], paths: Paths): CheckReport {
  const found = findPolicyFiles(named);
  const strays = strayFiles(paths);
  const isRead = readBy(paths);
  const readHere = found.files.filter((file) => isRead(resolve(file)));
  const unread = new Set(strays.map(({ file }) => file));
  // What is named by itself is looked into, whoever reads it.
  const others = found.files.filter(
    (file) => !readHere.includes(file) && (!unread.has(resolve(file)) || named.includes(file)),
  );
  const alone = check({ ...found, files: others }, new MatchLooks({ root: paths.root, isComplete: false }));
  if (readHere.length === 0 && strays.length === 0) return alone;
  const nameOf = (file: string): string | undefined => {
    const by = named.find((path) => isBelow(file, resolve(path)));
    return by === undefined ? undefined : join(by, relative(resolve(by), file));
  };
  const installed = (readHere.length === 0 ? strays : installedDiagnostics(paths, strays)).flatMap((diagnostic) => {
    const file = nameOf(diagnostic.file);
    return file === undefined ? [] : [{ ...diagnostic, file }];
  });
  return reportOf(alone.files + readHere.length, [...alone.diagnostics, ...installed]);
}

const isBelow = (file: string, path: string): boolean =>
  file === path || file.startsWith(path === '/' ? path : `${path}/`);

/** Whether a path is that of a file which the daemon reads. */
function readBy(paths: Paths): (file: string) => boolean {
  const { directories, files } = watchedPaths(paths);
  return (file) => directories.includes(dirname(file)) || files.includes(file);
}

const isMachine = (root: string): boolean => root === '/';

/** All files that the daemon reads below a root, as it reads them: what it would say of them in `status`, and what no longer fits the machine. */
export function checkInstalled(paths: Paths): CheckReport {
  return reportOf(countOfInstalled(paths), installedDiagnostics(paths, strayFiles(paths)));
}

function installedDiagnostics(paths: Paths, strays: readonly Diagnostic[]): readonly Diagnostic[] {
  const loaded = new PolicyFiles(paths, { writesLastGood: false, shippers: packageShippers(paths) }).load();
  const looks = looksFor(paths);
  const misfitting = loaded.policySet.apps.flatMap(({ match, children }) => {
    const policy = { match, ...(children && { children: children.value }) };
    const own = match.filter(({ fromPackage }) => fromPackage === undefined);
    return [...new Set(own.map(({ at }) => at.file))].flatMap((file) => {
      const source = readSourceFile(file);
      const bytes = source.kind === 'read' ? source.bytes : new Uint8Array();
      return misfits(policy, { entries: own.filter(({ at }) => at.file === file), bytes, looks });
    });
  });
  return [...loaded.diagnostics, ...strays, ...misfitting];
}

/**
 * A daemon with another root governs this machine's programs; a build root may be one of another machine. Where a daemon has been, or a lab is, it is
 * the former.
 */
function looksFor({ root, ids }: Paths): MatchLooks {
  const isGoverned = isMachine(root) || existsSync(ids) || labOfRoot(root) !== undefined;
  return new MatchLooks(isGoverned ? { isComplete: true } : { root, isComplete: false });
}

function countOfInstalled(paths: Paths): number {
  const { directories, files } = watchedPaths(paths);
  const present = [...directories, ...files].filter((path) => existsSync(path));
  return findPolicyFiles(present).files.filter(readBy(paths)).length;
}

function groupOf(file: string): string {
  const directory = dirname(file);
  return /(?:^|\/)(?:policies|uplinks|profiles)$/.test(directory) ? dirname(directory) : directory;
}

function check({ files, problems }: FoundFiles, looks: MatchLooks): CheckReport {
  const groups = new Map<string, Together>();
  const diagnostics = [...problems];
  for (const file of files) {
    const group = groupOf(file);
    const together = groups.get(group) ?? emptyGroup();
    groups.set(group, together);
    diagnostics.push(...checkFile(file, together, looks));
  }
  for (const together of groups.values()) diagnostics.push(...checkTogether(together));
  return reportOf(files.length, diagnostics);
}

function reportOf(files: number, diagnostics: readonly Diagnostic[]): CheckReport {
  const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
  const sorted = [...diagnostics].sort(compareDiagnostics);
  return { files, errors, warnings: sorted.length - errors, diagnostics: sorted };
}

function emptyGroup(): Together {
  return {
    policies: [],
    uplinks: [],
    profiles: [],
    hasUplinkFiles: false,
    systemDefault: builtinSystemDefault,
  };
}

function checkFile(file: string, together: Together, looks: MatchLooks): readonly Diagnostic[] {
  const source = readSourceFile(file);
  if (source.kind === 'masked') return [];
  if (source.kind !== 'read') {
    const because = source.kind === 'refused' ? source.because : 'no such file';
    const at = { file, line: 1, column: 1 };
    return [diagnosticAt(at, 'error', 'unreadable-file', `the file cannot be read: ${because}`)];
  }
  const { bytes } = source;
  switch (placedKind(file) ?? kindOfFile(file, bytes)) {
    case 'policy': {
      const { value: policy, diagnostics } = parsePolicy(file, bytes);
      if (policy === undefined) return diagnostics;
      together.policies.push(policy);
      return [...diagnostics, ...misfits(policy, { entries: policy.match, bytes, looks })];
    }
    case 'uplink': {
      const { value, diagnostics } = parseUplink(file, bytes);
      together.hasUplinkFiles = true;
      if (value !== undefined) together.uplinks.push(value);
      return diagnostics;
    }
    case 'profile': {
      const { value, diagnostics } = parseProfile(file, bytes);
      if (value !== undefined) together.profiles.push(value);
      return diagnostics;
    }
    case 'default': {
      const { value, diagnostics } = parseDefault(file, bytes);
      if (value !== undefined) together.systemDefault = value;
      return diagnostics;
    }
    case 'packages':
      return parsePackages(file, bytes).diagnostics;
  }
}

/** What the text alone does not tell, at the place of the value. */
function misfits(
  policy: Pick<Policy, 'match' | 'children'>,
  {
    entries,
    bytes,
    looks,
  }: { readonly entries: readonly Match[]; readonly bytes: Uint8Array; readonly looks: MatchLooks },
): readonly Diagnostic[] {
  return entries.flatMap((entry) => {
    const misfit = misfitOf(looks, entry, policy);
    return misfit === undefined ? [] : [misfitDiagnostic(entry, misfit, bytes)];
  });
}

function checkTogether({
  policies,
  uplinks,
  profiles,
  hasUplinkFiles,
  systemDefault,
}: Together): readonly Diagnostic[] {
  const merged = mergePolicies([{ layer: 'administrator', policies }]);
  const policySet = { apps: merged.apps, uplinks, profiles, systemDefault };
  // Without any file of the kind, nobody said that these are all there are.
  const unknown = [
    ...(hasUplinkFiles ? unknownUplinks(policySet) : []),
    ...(profiles.length > 0 ? unknownProfiles(policySet) : []),
  ];
  return [...merged.diagnostics, ...alikeUplinks(uplinks), ...unknown];
}
