/** `check`: every mistake of every file, those between files included. Needs no privileges and no daemon. */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { alikeUplinks } from '../policy/alike-uplinks.ts';
import type { Diagnostic } from '../policy/diagnostic.ts';
import { misfitMatch } from '../policy/match-fit.ts';
import { mergePolicies } from '../policy/merge.ts';
import type { Match, Policy, Profile, SystemDefault, Uplink } from '../policy/model.ts';
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
import { type Paths, watchedPaths } from '../store/paths.ts';
import { PolicyFiles } from '../store/policy-files.ts';
import { readSourceFile } from '../store/source-file.ts';
import { MatchLooks } from '../watch/match-looks.ts';
import { packageShippers } from '../watch/package-shippers.ts';
import { findPolicyFiles, kindOfFile } from './find-policy-files.ts';
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
 * Files that a person names, whoever can change them: those in one directory (and the uplinks and profiles beside it) belong together.
 * Of those that the daemon does not read, as in a package's sources, what they name may be on another machine.
 */
export function checkPaths(paths: readonly string[], { root }: Paths): CheckReport {
  const isRead = (file: string): boolean => isMachine(root) && READ_BY_DAEMON.test(resolve(file));
  const [here, elsewhere] = [true, false].map((isComplete) => new MatchLooks({ root, isComplete }));
  return check(paths, (file) => (isRead(file) ? here : elsewhere));
}

/** The daemon reads what is below other roots for the programs of this machine, and a build root may be one of another. */
const isMachine = (root: string): boolean => root === '/';
const READ_BY_DAEMON = /^\/(?:etc|usr\/share|var\/lib)\/pointsman\//;

/** All files that the daemon reads below a root, as it reads them: what it would say of them in `status`, and what no longer fits the machine. */
export function checkInstalled(paths: Paths): CheckReport {
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
  return reportOf(countOfInstalled(paths), [...loaded.diagnostics, ...misfitting]);
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
  const present = directories.filter((path) => existsSync(path));
  const inDirectories = findPolicyFiles(present).files.filter((file) => directories.includes(dirname(file)));
  return inDirectories.length + files.filter((path) => existsSync(path)).length;
}

function groupOf(file: string): string {
  const directory = dirname(file);
  return /(?:^|\/)(?:policies|uplinks|profiles)$/.test(directory) ? dirname(directory) : directory;
}

function check(paths: readonly string[], looksOf: (file: string) => MatchLooks | undefined): CheckReport {
  const { files, problems } = findPolicyFiles(paths);
  const groups = new Map<string, Together>();
  const diagnostics = [...problems];
  for (const file of files) {
    const group = groupOf(file);
    const together = groups.get(group) ?? emptyGroup();
    groups.set(group, together);
    diagnostics.push(...checkFile(file, together, looksOf(file)));
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

function checkFile(file: string, together: Together, looks: MatchLooks | undefined): readonly Diagnostic[] {
  const source = readSourceFile(file);
  if (source.kind === 'masked') return [];
  if (source.kind !== 'read') {
    const because = source.kind === 'refused' ? source.because : 'no such file';
    const at = { file, line: 1, column: 1 };
    return [diagnosticAt(at, 'error', 'unreadable-file', `the file cannot be read: ${because}`)];
  }
  switch (kindOfFile(file, source.bytes)) {
    case 'policy': {
      const { policy, diagnostics } = parsePolicyFile(file, source.bytes);
      if (policy === undefined) return diagnostics;
      together.policies.push(policy);
      return [...diagnostics, ...misfits(policy, { entries: policy.match, bytes: source.bytes, looks })];
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
    case 'packages':
      return parsePackagesFile(file, source.bytes).diagnostics;
  }
}

/** What the text alone does not tell, at the place of the value. */
function misfits(
  policy: Pick<Policy, 'match' | 'children'>,
  {
    entries,
    bytes,
    looks,
  }: { readonly entries: readonly Match[]; readonly bytes: Uint8Array; readonly looks: MatchLooks | undefined },
): readonly Diagnostic[] {
  const lines = new TextDecoder().decode(bytes).split('\n');
  return entries.flatMap((entry) => {
    const misfit = misfitMatch(entry.kind, entry.value) === undefined ? looks?.misfit(entry, policy) : undefined;
    if (misfit === undefined) return [];
    const { message, hint } = misfit;
    const source = lines[entry.at.line - 1]?.replace(/\r$/, '') ?? '';
    const column = source.indexOf(entry.value, entry.at.column - 1) + 1;
    const place = column > 0 ? { source, column, length: entry.value.length } : {};
    return [{ ...diagnosticAt(entry.at, 'warning', 'misfit-match', message, hint), ...place }];
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
