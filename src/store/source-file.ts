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
import { isPolicyFileName } from '../policy/layers.ts';
import { MAX_FILE_BYTES } from '../policy/source-text.ts';

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
  | { readonly kind: 'read'; readonly bytes: Uint8Array; readonly stamp: Stamp; readonly writableBy?: string }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'refused'; readonly because: string };

/** Reads a regular file, or one that symbolic links end in. With `known`: only where it may have changed since. */
export function readSourceFile(path: string, known?: Stamp): SourceFile {
  try {
    // Before opening: to open a device or a FIFO may already do something.
    const before = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (before === undefined)
      return isLink(path) ? { kind: 'refused', because: 'a symbolic link that leads nowhere' } : { kind: 'absent' };
    if (!before.isFile()) return { kind: 'refused', because: notAFile(before) };
    if (known?.settled && sameStamp(before, known)) return { kind: 'unchanged' };
    return readRegular(path);
  } catch (error) {
    const code = errorCode(error);
    // ENOTDIR: a directory on the way has become a file.
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'absent' };
    return { kind: 'refused', because: errorText(error) };
  }
}

function readRegular(path: string): SourceFile {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const stats = fstatSync(descriptor, { bigint: true });
    if (!stats.isFile()) return { kind: 'refused', because: notAFile(stats) };
    const settled = BigInt(Date.now()) * NS_PER_MS - stats.ctimeNs > SETTLED_AFTER_NS;
    const { dev: device, ino: inode, size, mtimeNs, ctimeNs } = stats;
    const writableBy = othersWhoWrite(stats);
    return {
      kind: 'read',
      ...(writableBy !== undefined && { writableBy }),
      bytes: readAll(descriptor, size),
      stamp: { device, inode, size, mtimeNs, ctimeNs, settled },
    };
  } finally {
    closeSync(descriptor);
  }
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
  | {
      readonly kind: 'listed';
      readonly names: readonly string[];
      readonly excess: number;
      readonly writableBy?: string;
    }
  | { readonly kind: 'refused'; readonly because: string };

/** Names of policy files, sorted. A directory that is not there holds none. */
export function listSourceFiles(directory: string): Listing {
  try {
    const names = readdirSync(directory).filter(isPolicyFileName).sort();
    const writableBy = othersWhoWrite(statSync(directory, { bigint: true }));
    return {
      kind: 'listed',
      ...(writableBy !== undefined && { writableBy }),
      names: names.slice(0, MAX_DIRECTORY_FILES),
      excess: Math.max(0, names.length - MAX_DIRECTORY_FILES),
    };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { kind: 'listed', names: [], excess: 0 };
    return { kind: 'refused', because: errorText(error) };
  }
}

const S_IWGRP = 0o020n;
const S_IWOTH = 0o002n;

/** Who may change it besides root, or besides whoever we run as, in words. */
function othersWhoWrite({ mode, uid, gid }: BigIntStats): string | undefined {
  if ((mode & S_IWOTH) !== 0n) return 'everybody';
  if ((mode & S_IWGRP) !== 0n && gid !== 0n) return `group ${gid}`;
  return uid !== 0n && process.getuid?.() === 0 ? `user ${uid}` : undefined;
}

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

/** `permission denied (EACCES)`: Node's message without the call and the path, which stand elsewhere. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = errorCode(error);
  const [, text] = /^[A-Z]\w*: ([^,]*), \w+/.exec(error.message) ?? [];
  return code === '' || text === undefined ? error.message : `${text} (${code})`;
}
