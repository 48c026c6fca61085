/**
 * The one door to `/proc/PID` (proc(5)). A process that has gone, or that may not be read, is `undefined`, never an
 * exception: between any two reads it may end. Where descriptors or memory are short, nobody can tell: a KernelError. Callers
 * that need to know that two reads saw the same process compare `startTimeTicks`.
 */
import {
  closeSync,
  lstatSync,
  opendirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  statSync,
} from 'node:fs';
import { type FileIdentity, kernelLinkIdentity } from './file-identity.ts';
import { fileLooks } from './file-looks.ts';
import { throwShortage } from './shortage.ts';

/** A command line is shown to people and compared with policies; beyond this it is cut. */
export const COMMAND_LINE_LIMIT_BYTES = 4096;
/** Of one argument the kernel takes no more (MAX_ARG_STRLEN of linux/binfmts.h); class paths come near it. */
export const ARGUMENTS_LIMIT_BYTES = 131_072;
/** `stat` and the lines of `status` and `cgroup` that are read here come well before this. */
const SMALL_FILE_LIMIT_BYTES = 8192;
const DELETED_SUFFIX = ' (deleted)';
const SOCKET_LINK_PREFIX = 'socket:[';
const DECIMAL = /^\d+$/;
/** Entries of a directory that are read by one system call. */
const DIRECTORY_BATCH = 256;

/** `startTimeTicks`: clock ticks since boot (field 22); with the pid it names a process for good. */
export interface ProcessStat {
  readonly parentPid: number;
  readonly startTimeTicks: number;
}

/** Reads about one process at a time. All calls are synchronous: they are made on the packet path. */
export interface Proc {
  /** Processes that are visible here, in no particular order. */
  pids(): number[];
  stat(pid: number): ProcessStat | undefined;
  /** Where `exe` points, without the " (deleted)" of a replaced file. Kernel threads have none. */
  executable(pid: number): string | undefined;
  /** The path under which its file can be opened, whatever its name is. */
  executableLink(pid: number): string;
  /** The file that it runs, whatever mounts the process has and whether or not the file still has a name. */
  executableFile(pid: number): FileIdentity | undefined;
  /** Whether its file was removed or replaced since it was started. */
  isExecutableDeleted(pid: number): boolean;
  /** Effective uid. */
  uid(pid: number): number | undefined;
  /** Effective, real, saved and file-system uid, each once. */
  uids(pid: number): readonly number[] | undefined;
  /** Effective gid. */
  gid(pid: number): number | undefined;
  /** Owner of the directory: the effective uid, or 0 for a process that is not dumpable. Cheaper than `uid`. */
  directoryUid(pid: number): number | undefined;
  /** Path below the cgroup2 root, starting with `/`. */
  cgroup(pid: number): string | undefined;
  /** Arguments; empty for kernel threads. Cut after COMMAND_LINE_LIMIT_BYTES. */
  commandLine(pid: number): string[] | undefined;
  /** The same exactly: one character for each byte (latin1), up to ARGUMENTS_LIMIT_BYTES; one that is cut is left out. */
  exactArguments(pid: number): string[] | undefined;
  /** The file that a path, in that form, names for the process: from its directory, in its root. Opens nothing. */
  fileAt(pid: number, path: string): FileIdentity | undefined;
  /**
   * Numbers of the open descriptors, highest first: a new socket is more often there. Of more than `limit` the lowest ones;
   * listing a million takes a second. A thread's id stands for the thread's own descriptors.
   */
  descriptors(pid: number, limit?: number): number[] | undefined;
  /** Ids of its threads, the first one's among them, in no particular order. */
  threads(pid: number, limit?: number): number[] | undefined;
  /** The inode behind a descriptor if that is a socket. */
  socketInode(pid: number, descriptor: number): number | undefined;
  /** The same, where the descriptor is probably not open: half as fast if it is, four times as fast if it is not. */
  probeSocketInode(pid: number, descriptor: number): number | undefined;
  /** Inodes of all sockets that the process holds. */
  socketInodes(pid: number): number[] | undefined;
  /** A file of the calling thread's network namespace, e.g. `raw6`; empty where the kernel has not got it. */
  netTable(name: string): string;
}

/** `root` is `/proc`, or a directory that looks like it. */
export function openProc(root = '/proc'): Proc {
  const buffer = Buffer.allocUnsafe(SMALL_FILE_LIMIT_BYTES);
  const start = (pid: number, file: string): string | undefined => readStart(`${root}/${pid}/${file}`, buffer);
  const socketInode = (pid: number, descriptor: number): number | undefined =>
    parseSocketLink(readLink(`${root}/${pid}/fd/${descriptor}`));
  const descriptors = (pid: number, limit?: number): number[] | undefined =>
    numericNames(`${root}/${pid}/fd`, limit)?.sort((a, b) => b - a);
  return {
    pids: () => numericNames(root) ?? [],
    stat: (pid) => parseStat(start(pid, 'stat')),
    executable: (pid) => withoutDeleted(readLink(`${root}/${pid}/exe`)),
    executableLink: (pid) => `${root}/${pid}/exe`,
    executableFile: (pid) => kernelLinkIdentity(`${root}/${pid}/exe`),
    isExecutableDeleted: (pid) => readLink(`${root}/${pid}/exe`)?.endsWith(DELETED_SUFFIX) === true,
    uid: (pid) => parseEffectiveId('Uid', start(pid, 'status')),
    uids: (pid) => parseUids(start(pid, 'status')),
    gid: (pid) => parseEffectiveId('Gid', start(pid, 'status')),
    directoryUid: (pid) => gone(() => statSync(`${root}/${pid}`, { throwIfNoEntry: false })?.uid),
    cgroup: (pid) => parseCgroup(start(pid, 'cgroup')),
    commandLine: (pid) => {
      const text = fileLooks().startOf(`${root}/${pid}/cmdline`, SMALL_FILE_LIMIT_BYTES);
      return parseCommandLine(text === undefined ? undefined : Buffer.from(text, 'latin1').toString());
    },
    exactArguments: (pid) => parseArguments(fileLooks().startOf(`${root}/${pid}/cmdline`, ARGUMENTS_LIMIT_BYTES)),
    fileAt: (pid, path) => fileLooks().statAtProcessPath(`${root}/${pid}`, path),
    descriptors,
    threads: (pid, limit) => numericNames(`${root}/${pid}/task`, limit),
    socketInode,
    // An exception costs more than all else here.
    probeSocketInode: (pid, descriptor) =>
      gone(() => lstatSync(`${root}/${pid}/fd/${descriptor}`, { throwIfNoEntry: false })) === undefined
        ? undefined
        : socketInode(pid, descriptor),
    socketInodes: (pid) =>
      descriptors(pid)?.flatMap((descriptor) => {
        const inode = socketInode(pid, descriptor);
        return inode === undefined ? [] : [inode];
      }),
    netTable: (name) => gone(() => readFileSync(`${root}/thread-self/net/${name}`, 'latin1')) ?? '',
  };
}

/** ENOENT, ESRCH (ended between open and read), EACCES and EPERM (hidepid, another owner) all mean: nothing to see. */
function gone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    throwShortage(error, 'read', '/proc');
    return undefined;
  }
}

function readStart(path: string, buffer: Buffer): string | undefined {
  return gone(() => {
    const descriptor = openSync(path, 'r');
    try {
      // One read: procfs fills the buffer as far as there is text, and a short file needs no second call.
      return buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, buffer.length, null));
    } finally {
      closeSync(descriptor);
    }
  });
}

function readLink(path: string): string | undefined {
  return gone(() => readlinkSync(path));
}

function numericNames(dir: string, limit?: number): number[] | undefined {
  return gone(() => (limit === undefined ? readdirSync(dir) : firstNames(dir, limit)))
    ?.filter((name) => DECIMAL.test(name))
    .map(Number);
}

function firstNames(dir: string, limit: number): string[] {
  const names: string[] = [];
  const handle = opendirSync(dir, { bufferSize: DIRECTORY_BATCH });
  try {
    for (let entry = handle.readSync(); entry !== null && names.length < limit; entry = handle.readSync())
      names.push(entry.name);
  } finally {
    handle.closeSync();
  }
  return names;
}

function withoutDeleted(link: string | undefined): string | undefined {
  return link?.endsWith(DELETED_SUFFIX) ? link.slice(0, -DELETED_SUFFIX.length) : link;
}

function parseSocketLink(link: string | undefined): number | undefined {
  return link?.startsWith(SOCKET_LINK_PREFIX) ? Number(link.slice(SOCKET_LINK_PREFIX.length, -1)) : undefined;
}

function parseStat(text: string | undefined): ProcessStat | undefined {
  if (text === undefined) return undefined;
  // A process chooses its own name, which may hold ") S 1 ": only the last parenthesis is the kernel's.
  const afterName = text.slice(text.lastIndexOf(')') + 2).split(' ', 20);
  const parentPid = Number(afterName[1]);
  const startTimeTicks = Number(afterName[19]);
  if (!Number.isSafeInteger(parentPid) || !Number.isSafeInteger(startTimeTicks)) return undefined;
  return { parentPid, startTimeTicks };
}

function parseEffectiveId(kind: 'Uid' | 'Gid', text: string | undefined): number | undefined {
  const match = text?.match(kind === 'Uid' ? /^Uid:\t\d+\t(\d+)/m : /^Gid:\t\d+\t(\d+)/m);
  return match === null || match === undefined ? undefined : Number(match[1]);
}

function parseUids(text: string | undefined): readonly number[] | undefined {
  const [, real, effective, saved, fileSystem] = text?.match(/^Uid:\t(\d+)\t(\d+)\t(\d+)\t(\d+)/m) ?? [];
  if (effective === undefined) return undefined;
  return [...new Set([effective, real, saved, fileSystem].map(Number))];
}

function parseCgroup(text: string | undefined): string | undefined {
  return withoutDeleted(text?.match(/^0::(\/.*)$/m)?.[1]);
}

function parseCommandLine(text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined;
  const cut = text.slice(0, COMMAND_LINE_LIMIT_BYTES);
  return cut === '' ? [] : cut.replace(/\0+$/, '').split('\0');
}

function parseArguments(text: string | undefined): string[] | undefined {
  // Each argument ends with a NUL: what comes after the last one is nothing, or was cut.
  return text?.split('\0').slice(0, -1);
}
