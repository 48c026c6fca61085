/** Reading files and directories that anybody may have put anything into: nothing here blocks, and every read is bounded. */

import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
} from 'node:fs';
import { type FileContent, fileLooks } from '../kernel/file-looks.ts';
import { throwShortage } from '../kernel/shortage.ts';
import type { DiagnosticCode } from '../policy/diagnostic.ts';
import { isPolicyFileName } from '../policy/layers.ts';
import { MAX_FILE_BYTES } from '../policy/source-text.ts';
import type { PathLook, Permissions, TrustedPaths } from './path-trust.ts';

/** Bytes read of one file: one more than the parsers take, so that they can tell. */
export const MAX_FILE_READ: number = MAX_FILE_BYTES + 1;
/** Files of one directory. */
export const MAX_DIRECTORY_FILES = 65_536;

/** Equal stamps of one path: the same content, unless `settled` is false. */
export interface Stamp {
  readonly device: bigint;
  readonly inode: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  /** False where the file changed so shortly before it was read that a later change may have left the same stamp. */
  readonly settled: boolean;
}

export type SourceFile =
  | {
      readonly kind: 'read';
      readonly bytes: Uint8Array;
      readonly stamp: Stamp;
      /** Of the directories on the way and of the file; only of what was looked at with trust. */
      readonly permissions?: readonly Permissions[];
    }
  /** A link to /dev/null: it says that there is to be nothing. */
  | { readonly kind: 'masked' }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'absent' }
  | RefusedFile;

export interface RefusedFile {
  readonly kind: 'refused';
  readonly code: Extract<DiagnosticCode, 'unreadable-file' | 'file-not-trusted'>;
  readonly because: string;
  readonly hint?: string;
}

export interface ReadOptions {
  /** Read only where it may have changed since. */
  readonly known?: Stamp | undefined;
  /** Refuse what others could change. */
  readonly trusted?: TrustedPaths | undefined;
}

/** Reads a regular file, or one that symbolic links end in. */
export function readSourceFile(path: string, { known, trusted }: ReadOptions = {}): SourceFile {
  try {
    if (fileLooks().isTooLate(path)) return unreadable(NO_ANSWER);
    return trusted === undefined ? readAnybodys(path, known) : readTrusted(path, known, trusted);
  } catch (error) {
    throwShortage(error, 'read', path);
    const code = errorCode(error);
    // ENOTDIR: a directory on the way has become a file.
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'absent' };
    return unreadable(errorText(error));
  }
}

function readAnybodys(path: string, known: Stamp | undefined): SourceFile {
  // Before opening: to open a device or a FIFO may already do something.
  const before = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (before === undefined) return isLink(path) ? unreadable(DANGLING) : { kind: 'absent' };
  if (isNullDevice(before)) return { kind: 'masked' };
  if (!before.isFile()) return unreadable(notAFile(before));
  if (known?.settled && sameStamp(before, known)) return { kind: 'unchanged' };
  return readRegular(path, 0, before);
}

function readTrusted(path: string, known: Stamp | undefined, trusted: TrustedPaths): SourceFile {
  const look = trusted.look(path);
  switch (look.kind) {
    case 'absent':
      return { kind: 'absent' };
    case 'dangling':
      return unreadable(DANGLING);
    case 'not trusted':
      return { kind: 'refused', ...notTrusted(look) };
    case 'there': {
      if (isNullDevice(look.stats)) return { kind: 'masked' };
      if (!look.stats.isFile()) return unreadable(notAFile(look.stats));
      if (known?.settled && sameStamp(look.stats, known)) return { kind: 'unchanged' };
      const file = readRegular(look.path, constants.O_NOFOLLOW, look.stats, (opened) =>
        trusted.writerOf(look.path, opened),
      );
      return file.kind === 'read' ? { ...file, permissions: look.permissions } : file;
    }
  }
}

/** What is said of a file or directory that others can change. */
export function notTrusted({ at, by }: Extract<PathLook, { kind: 'not trusted' }>): Omit<RefusedFile, 'kind'> {
  const groups = by.startsWith('group ') ? ', or name the group in default.yaml: trust: { groups: [...] }' : '';
  return {
    code: 'file-not-trusted',
    because: `${by} can change ${at}`,
    hint: `chown root:root and chmod go-w ${at}${groups}`,
  };
}

const NO_ANSWER = 'the file system does not answer';
const DANGLING = 'a symbolic link that leads nowhere';

function unreadable(because: string): RefusedFile {
  return { kind: 'refused', code: 'unreadable-file', because };
}

/** `before`: what was found at the path. */
function readRegular(
  path: string,
  flags: number,
  before: BigIntStats,
  writerOf?: (stats: BigIntStats) => string | undefined,
): SourceFile {
  const elsewhere = fileLooks().contentFromElsewhere(path, MAX_FILE_READ);
  if (elsewhere === 'late') return unreadable(NO_ANSWER);
  if (elsewhere !== 'here') return readElsewhere(path, elsewhere, before, writerOf);
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY | flags);
  try {
    const stats = fstatSync(descriptor, { bigint: true });
    if (!stats.isFile()) return unreadable(notAFile(stats));
    // Of the file itself: it may be another one than was looked at.
    const by = writerOf?.(stats);
    if (by !== undefined) return { kind: 'refused', ...notTrusted({ kind: 'not trusted', at: path, by }) };
    return { kind: 'read', bytes: readAll(descriptor, stats.size), stamp: stampOf(stats) };
  } finally {
    closeSync(descriptor);
  }
}

/** Another thread has read it, and says of which file that is: of the one that was looked at, or it is not believed. */
function readElsewhere(
  path: string,
  { bytes, stat }: FileContent,
  before: BigIntStats,
  writerOf: ((stats: BigIntStats) => string | undefined) | undefined,
): SourceFile {
  if (stat.device !== before.dev || stat.inode !== before.ino || stat.changedNs !== before.ctimeNs)
    return unreadable('it changes while it is read');
  const by = writerOf?.(before);
  if (by !== undefined) return { kind: 'refused', ...notTrusted({ kind: 'not trusted', at: path, by }) };
  return { kind: 'read', bytes, stamp: stampOf(before) };
}

function stampOf({ dev: device, ino: inode, size, mtimeNs, ctimeNs }: BigIntStats): Stamp {
  const settled = BigInt(Date.now()) * NS_PER_MS - ctimeNs > SETTLED_AFTER_NS;
  return { device, inode, size, mtimeNs, ctimeNs, settled };
}

const NS_PER_MS = 1_000_000n;
/** Kernel time stamps move with the timer tick: 10 ms at 100 Hz. */
const SETTLED_AFTER_NS = 50n * NS_PER_MS;

/** `size` is a hint: files of proc and sysfs say 0, and a file may grow while it is read. */
function readAll(descriptor: number, size: bigint): Uint8Array {
  let buffer = new Uint8Array(Math.min(MAX_FILE_READ, Number(size) + 1));
  let length = 0;
  for (;;) {
    const count = readSync(descriptor, buffer, length, buffer.length - length, null);
    length += count;
    const isEnd = count === 0 || (length === Number(size) && size > 0n);
    if (isEnd || length === MAX_FILE_READ) return buffer.subarray(0, length);
    if (length < buffer.length) continue;
    const larger = new Uint8Array(Math.min(MAX_FILE_READ, buffer.length * 2));
    larger.set(buffer);
    buffer = larger;
  }
}

export type Listing =
  | { readonly kind: 'listed'; readonly names: readonly string[]; readonly excess: number }
  | RefusedFile;

/** Names of policy files, sorted. A directory that is not there holds none. */
export function listSourceFiles(directory: string, trusted?: TrustedPaths): Listing {
  try {
    if (fileLooks().isTooLate(directory)) return unreadable(NO_ANSWER);
    const refused = trusted && refusedDirectory(directory, trusted);
    if (refused !== undefined) return refused;
    const all = namesIn(directory);
    if (all === 'late') return unreadable(NO_ANSWER);
    const names = all.filter(isPolicyFileName).sort();
    return {
      kind: 'listed',
      names: names.slice(0, MAX_DIRECTORY_FILES),
      excess: Math.max(0, names.length - MAX_DIRECTORY_FILES),
    };
  } catch (error) {
    throwShortage(error, 'list', directory);
    if (errorCode(error) === 'ENOENT') return { kind: 'listed', names: [], excess: 0 };
    return unreadable(errorText(error));
  }
}

/** All names in a directory, in no order; none where it cannot be listed. */
export function listNames(directory: string): readonly string[] {
  try {
    const names = fileLooks().isTooLate(directory) ? 'late' : namesIn(directory);
    return names === 'late' ? [] : names;
  } catch (error) {
    throwShortage(error, 'list', directory);
    return [];
  }
}

function namesIn(directory: string): readonly string[] | 'late' {
  const elsewhere = fileLooks().namesFromElsewhere(directory, MAX_DIRECTORY_FILES);
  return elsewhere === 'here' ? readdirSync(directory) : elsewhere;
}

/** Why what is in a directory, and what is not, is not to be believed. */
export function refusedDirectory(directory: string, trusted: TrustedPaths): RefusedFile | undefined {
  try {
    if (fileLooks().isTooLate(directory)) return unreadable(NO_ANSWER);
    const look = trusted.look(directory);
    return look.kind === 'not trusted' ? { kind: 'refused', ...notTrusted(look) } : undefined;
  } catch (error) {
    throwShortage(error, 'look at', directory);
    return unreadable(errorText(error));
  }
}

/** The null device, null(4), by its number: its path is anybody's word. */
function isNullDevice(stats: BigIntStats): boolean {
  return stats.isCharacterDevice() && stats.rdev === NULL_DEVICE;
}

/** Major 1, minor 3 as stat(2) gives it (makedev(3)). */
const NULL_DEVICE = 0x103n;

function sameStamp(stats: BigIntStats, stamp: Stamp): boolean {
  const { dev, ino, size, mtimeNs, ctimeNs } = stats;
  return (
    ino === stamp.inode &&
    ctimeNs === stamp.ctimeNs &&
    mtimeNs === stamp.mtimeNs &&
    size === stamp.size &&
    dev === stamp.device
  );
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

function notAFile(stats: BigIntStats): string {
  if (stats.isDirectory()) return 'a directory, not a file';
  if (stats.isFIFO()) return 'a FIFO, not a file';
  if (stats.isSocket()) return 'a socket, not a file';
  return 'a device, not a file';
}

/** `EACCES` and the like; `''` where there is none. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** What somebody has to do something about is called by its name. */
const CALLED: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', 'the disk is full'],
  ['EDQUOT', "the user's share of the disk is used up"],
  ['EROFS', 'the file system can only be read'],
]);

/** `permission denied (EACCES)`: Node's message without the call and the path, which stand elsewhere. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = errorCode(error);
  const called = CALLED.get(code);
  if (called !== undefined) return `${called} (${code})`;
  const [, text] = /^[A-Z]\w*: ([^,]*), \w+/.exec(error.message) ?? [];
  return code === '' || text === undefined ? error.message : `${text} (${code})`;
}
