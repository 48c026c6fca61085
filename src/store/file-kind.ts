/** What a file is about, whoever wrote it and wherever it stands. Looks at text and names alone. */
import { basename, dirname } from 'node:path';

export type FileKind = 'policy' | 'uplink' | 'profile' | 'default' | 'packages';

const APP_KEY = /^["']?app["']?\s*:/m;
const KINDS_BY_KEY: readonly (readonly [key: RegExp, kind: FileKind])[] = [
  [APP_KEY, 'policy'],
  [/^["']?uplink["']?\s*:/m, 'uplink'],
  [/^["']?profile["']?\s*:/m, 'profile'],
];
const DEFAULT_KEY = /^["']?(?:otherwise|unknown|whenAway)["']?\s*:/m;
const VERSION_KEY = /^["']?pointsman["']?\s*:/m;

/** By the key that only files of one kind have; undefined where none or several stand there. */
export function toldKind(bytes: Uint8Array): FileKind | undefined {
  const text = latin1(bytes);
  const told = KINDS_BY_KEY.filter(([key]) => key.test(text));
  return told.length === 1 ? told[0]?.[1] : undefined;
}

/** Whether a text was written for us, whatever it is called. */
export const isOurs = (bytes: Uint8Array): boolean => toldKind(bytes) !== undefined || VERSION_KEY.test(latin1(bytes));

/** By its keys, for a person may check a file anywhere; where they do not tell, by its name and its directory's. */
export function kindOfFile(path: string, bytes: Uint8Array): FileKind {
  const told = toldKind(bytes);
  if (told !== undefined) return told;
  if (/^default\.ya?ml$/.test(basename(path))) return 'default';
  if (/^packages\.ya?ml$/.test(basename(path)) && !isInPolicyDirectory(path)) return 'packages';
  if (basename(dirname(path)) === 'uplinks') return 'uplink';
  if (basename(dirname(path)) === 'profiles') return 'profile';
  const text = latin1(bytes);
  return !APP_KEY.test(text) && DEFAULT_KEY.test(text) && !isInPolicyDirectory(path) ? 'default' : 'policy';
}

const KIND_IN_DIRECTORY: ReadonlyMap<string, FileKind> = new Map([
  ['policies', 'policy'],
  ['locks', 'policy'],
  ['uplinks', 'uplink'],
  ['profiles', 'profile'],
]);

/** As which a file is read in a tree laid out as `/etc/pointsman`; undefined where its directory has another name. */
export const placedKind = (path: string): FileKind | undefined => KIND_IN_DIRECTORY.get(basename(dirname(path)));

function isInPolicyDirectory(path: string): boolean {
  return ['policies', 'locks'].includes(basename(dirname(path)));
}

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');

/** With an article, for people. */
export const KIND_IN_WORDS: Readonly<Record<FileKind, string>> = {
  policy: 'a policy',
  uplink: 'an uplink',
  profile: 'a profile',
  default: 'the default for all',
  packages: 'a list of packages',
};
