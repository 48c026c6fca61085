/** What the files of each kind say, in one shape. */
import type { Diagnostic } from '../policy/diagnostic.ts';
import type { Children, Match, Policy, Profile, SystemDefault, Uplink } from '../policy/model.ts';
import {
  parsePackagesFile,
  parsePolicyFile,
  parseProfileFile,
  parseSystemDefaultFile,
  parseUplinkFile,
} from '../policy/parse-file.ts';

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
  return policy === undefined ? rest : { ...rest, value: policy };
}

export function parseUplink(file: string, bytes: Uint8Array): ParsedFile<Uplink> {
  const { uplink, ...rest } = parseUplinkFile(file, bytes);
  return uplink === undefined ? rest : { ...rest, value: uplink };
}

export function parseProfile(file: string, bytes: Uint8Array): ParsedFile<Profile> {
  const { profile, ...rest } = parseProfileFile(file, bytes);
  return profile === undefined ? rest : { ...rest, value: profile };
}

export function parseDefault(file: string, bytes: Uint8Array): ParsedFile<SystemDefault> {
  const { systemDefault, ...rest } = parseSystemDefaultFile(file, bytes);
  return systemDefault === undefined ? rest : { ...rest, value: systemDefault };
}

export function parsePackages(file: string, bytes: Uint8Array): ParsedFile<ReadonlySet<string>> {
  const { trusted, ...rest } = parsePackagesFile(file, bytes);
  return trusted === undefined ? rest : { ...rest, value: trusted };
}
