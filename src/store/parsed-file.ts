/** What the files of each kind say, in one shape. */
import { basename, dirname, join } from 'node:path';
import type { Diagnostic } from '../policy/diagnostic.ts';
import type { Children, Match, Policy, Profile, SystemDefault, Uplink } from '../policy/model.ts';
import {
  parsePackagesFile,
  parsePolicyFile,
  parseProfileFile,
  parseSystemDefaultFile,
  parseUplinkFile,
} from '../policy/parse-file.ts';
import { diagnosticAt } from '../policy/policy-source.ts';
import { type FileKind, KIND_IN_WORDS, toldKind } from './file-kind.ts';

export interface ParsedFile<T> {
  /** There where the file can be used. */
  readonly value?: T;
  /** Who a policy file is about, as far as it can be told. */
  readonly app?: string;
  readonly match?: readonly Match[];
  readonly children?: Children;
  readonly masked?: true;
  readonly diagnostics: readonly Diagnostic[];
}

export function parsePolicy(file: string, bytes: Uint8Array): ParsedFile<Policy> {
  const { policy, ...rest } = parsePolicyFile(file, bytes);
  return policy === undefined ? asPlaced('policy', file, bytes, rest) : { ...rest, value: policy };
}

export function parseUplink(file: string, bytes: Uint8Array): ParsedFile<Uplink> {
  const { uplink, ...rest } = parseUplinkFile(file, bytes);
  return uplink === undefined ? asPlaced('uplink', file, bytes, rest) : { ...rest, value: uplink };
}

export function parseProfile(file: string, bytes: Uint8Array): ParsedFile<Profile> {
  const { profile, ...rest } = parseProfileFile(file, bytes);
  return profile === undefined ? asPlaced('profile', file, bytes, rest) : { ...rest, value: profile };
}

export function parseDefault(file: string, bytes: Uint8Array): ParsedFile<SystemDefault> {
  const { systemDefault, ...rest } = parseSystemDefaultFile(file, bytes);
  return systemDefault === undefined ? asPlaced('default', file, bytes, rest) : { ...rest, value: systemDefault };
}

export function parsePackages(file: string, bytes: Uint8Array): ParsedFile<ReadonlySet<string>> {
  const { trusted, ...rest } = parsePackagesFile(file, bytes);
  return trusted === undefined ? asPlaced('packages', file, bytes, rest) : { ...rest, value: trusted };
}

/** Of a file that is right elsewhere, its keys are no mistakes here: where it stands is. */
function asPlaced<T>(expected: FileKind, file: string, bytes: Uint8Array, parsed: ParsedFile<T>): ParsedFile<T> {
  const told = parsed.masked ? undefined : toldKind(bytes);
  if (told === undefined || told === expected) return parsed;
  const message = `this is ${KIND_IN_WORDS[told]}, and what stands here is read as ${KIND_IN_WORDS[expected]}`;
  const hint = `it belongs in ${join(directoryBeside(file), `${DIRECTORY_OF[told]}/`)}`;
  return {
    ...parsed,
    diagnostics: [diagnosticAt({ file, line: 1, column: 1 }, 'error', 'wrong-directory', message, hint)],
  };
}

const DIRECTORY_OF: Readonly<Record<FileKind, string>> = {
  policy: 'policies',
  uplink: 'uplinks',
  profile: 'profiles',
  default: '',
  packages: '',
};
const PEOPLES = ['policies', 'locks', 'uplinks', 'profiles'];
const ADMINISTRATORS = '/etc/pointsman';

/** Where the directories of people are, seen from one of their files; packages and answers have no others beside theirs. */
function directoryBeside(file: string): string {
  const directory = dirname(file);
  if (!PEOPLES.includes(basename(directory))) return directory;
  return /\/(?:usr\/share|var\/lib)\/pointsman$/.test(dirname(directory)) ? ADMINISTRATORS : dirname(directory);
}
