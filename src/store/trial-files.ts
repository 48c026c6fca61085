/**
 * Files that somebody tries: below the directory of what runs, so that nothing of them is left when the daemon is not there to take
 * them back; where they are kept, each becomes the administrator's.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isPolicyFileName } from '../policy/layers.ts';
import { writeAtomically } from './atomic-write.ts';
import { ownTrust } from './file-trust.ts';
import { TrustedPaths } from './path-trust.ts';
import type { Paths } from './paths.ts';
import { notTrusted } from './source-file.ts';

/** Without bytes it is a mask. */
export interface TrialFile {
  /** Below `etc/pointsman`: `policies/mail.yaml`, `default.yaml`. */
  readonly path: string;
  readonly bytes?: Uint8Array;
}

const DIRECTORIES = ['policies', 'locks', 'uplinks', 'profiles'] as const;
const SINGLE_FILES = ['default.yaml', 'packages.yaml'];
const NULL_DEVICE = '/dev/null';
const READABLE = 0o644;

/** Whether a path is that of a file which can be tried. */
export function isTrialPath(path: string): boolean {
  const [directory = '', name = '', ...rest] = path.split('/');
  if (rest.length > 0 || path.includes('\0')) return false;
  if (name === '') return SINGLE_FILES.includes(path);
  return DIRECTORIES.some((known) => known === directory) && isPolicyFileName(name);
}

export const trialDirectory = ({ runDir }: Pick<Paths, 'runDir'>): string => join(runDir, 'trial');

/** Where the files stand while they are tried, in the places of the administrator's. */
export function trialPaths(paths: Paths): Paths {
  const below = (name: string): string => join(trialDirectory(paths), name);
  return {
    ...paths,
    administratorPolicies: below('policies'),
    locks: below('locks'),
    uplinks: below('uplinks'),
    profiles: below('profiles'),
    systemDefault: below('default.yaml'),
    trustedPackages: below('packages.yaml'),
  };
}

/** Throws the file system's error. */
export function writeTrial(paths: Paths, files: readonly TrialFile[]): void {
  removeTrial(paths);
  mkdirSync(trialDirectory(paths), { recursive: true, mode: 0o700 });
  for (const file of files) put(join(trialDirectory(paths), file.path), file);
}

export function removeTrial(paths: Paths): void {
  rmSync(trialDirectory(paths), { recursive: true, force: true });
}

/** Why a file cannot be kept; nothing has been by then. */
export class NotKept extends Error {
  override readonly name = 'NotKept';
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

/** Each becomes the administrator's file of that name, one after the other, each whole. Throws NotKept, or the file system's error. */
export function keepTrial(paths: Paths, files: readonly TrialFile[]): void {
  const etc = dirname(paths.administratorPolicies);
  const trusted = new TrustedPaths(ownTrust(paths));
  for (const { path } of files) {
    // Whoever can change the directory would be believed what he puts there.
    const directory = dirname(join(etc, path));
    const look = existsSync(directory) ? trusted.look(directory) : undefined;
    if (look?.kind === 'not trusted') {
      const { because, hint } = notTrusted(look);
      throw new NotKept(`${path} is not written: ${because}`, hint);
    }
  }
  for (const file of files) put(join(etc, file.path), file);
}

function put(path: string, { bytes }: TrialFile): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  if (bytes !== undefined) {
    writeAtomically(path, bytes, { mode: READABLE, until: 'disk' });
    return;
  }
  const temporary = join(dirname(path), `.mask.${randomBytes(6).toString('hex')}`);
  symlinkSync(NULL_DEVICE, temporary);
  renameSync(temporary, path);
}
