/**
 * Directories of pins: one for each daemon, named by the network namespace that it rules over (its cookie, never given out
 * again), by its root, and by the format of what is pinned. A link in it, `owner`, says who made it; it is made last, so that a directory
 * without one is not whole.
 */
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { kernelErrorFromErrno } from '../errno.ts';
import { KernelError } from '../kernel-error.ts';
import { enterNetworkNamespace } from '../network-namespace.ts';
import { openProc } from '../proc.ts';
import { BPF_FILE_SYSTEM, hasBpfFileSystem } from './bpf-file-system.ts';
import { namespaceCookie } from './namespace-cookie.ts';

/** Of what the maps mean. With another number they are made anew, and so are the programs; the old ones go. */
export const PIN_FORMAT = 2;

const ALL_PINS: string = join(BPF_FILE_SYSTEM, 'pointsman');
const DIRECTORY_NAME = /^(\d+)-[0-9a-f]{12}-\d+$/;
const OWNER = 'owner';
const OWNER_TEXT = /^(\d+):(\d+):(\d+):(\d+)$/;
const NAMESPACE_LINK = /^\w+:\[(\d+)\]$/;
/** PROC_PID_INIT_INO, include/linux/proc_ns.h: its processes see all others. */
const INITIAL_PID_NAMESPACE = 0xeffffffc;

export interface PinOwner {
  readonly pid: number;
  readonly startTicks: number;
  /** Numbers of nsfs, which may be given out again. */
  readonly pidNamespace: number;
  readonly networkNamespace: number;
}

/** Of the daemon with this root in the network namespace of the calling thread. Throws KernelError. */
export function pinDirectory(root: string): string {
  const digest = createHash('sha256').update(root).digest('hex').slice(0, 12);
  return join(ALL_PINS, `${namespaceCookie()}-${digest}-${PIN_FORMAT}`);
}

/** Throws KernelError. */
export function makePinDirectory(directory: string): void {
  refusing('make directory of pins', directory, () => mkdirSync(directory, { recursive: true, mode: 0o700 }));
}

/** From here on the directory is whole, and ours. Throws KernelError. */
export function claimPins(directory: string): void {
  const { pid, startTicks, pidNamespace, networkNamespace } = thisProcess();
  const next = join(directory, `${OWNER}_next`);
  refusing('name owner of pins', directory, () => {
    rmSync(next, { force: true });
    symlinkSync(`${pid}:${startTicks}:${pidNamespace}:${networkNamespace}`, next);
    renameSync(next, join(directory, OWNER));
  });
}

/** `undefined` where there are no pins, or not all of them. */
export function ownerOfPins(directory: string): PinOwner | undefined {
  const match = OWNER_TEXT.exec(linkOf(join(directory, OWNER)) ?? '');
  if (match === null) return undefined;
  const [pid = 0, startTicks = 0, pidNamespace = 0, networkNamespace = 0] = match.slice(1).map(Number);
  return { pid, startTicks, pidNamespace, networkNamespace };
}

/** All of this network namespace, of whatever root and format, but `except`. Throws KernelError. */
export function removePinsHere(except?: string): void {
  const own = `${namespaceCookie()}-`;
  for (const name of pinDirectories()) {
    const directory = join(ALL_PINS, name);
    if (name.startsWith(own) && directory !== except) removePins(directory);
  }
  removeIfEmpty();
}

/**
 * Those whose network namespace is gone and whose owner does not live. Whatever cannot be judged stays: the namespace of a
 * daemon that runs where this process cannot see. Throws KernelError.
 */
export function removePinsOfGoneNamespaces(): void {
  const names = pinDirectories().filter((name) => !name.startsWith(`${namespaceCookie()}-`));
  const visible = names.length === 0 ? new Map<number, string>() : visibleNamespaces();
  for (const name of names) {
    const directory = join(ALL_PINS, name);
    const cookie = BigInt(DIRECTORY_NAME.exec(name)?.[1] ?? 0);
    if (isGone(ownerOfPins(directory), cookie, visible)) removePins(directory);
  }
  removeIfEmpty();
}

/** Whether a daemon of this network namespace, of whatever root, has left any. Throws KernelError. */
export function hasPinsHere(): boolean {
  return pinDirectories().some((name) => name.startsWith(`${namespaceCookie()}-`));
}

/** Throws KernelError. */
export function removePins(directory: string): void {
  refusing('remove pins', directory, () => {
    // The owner first: what is left of a half-removed directory is not whole.
    rmSync(join(directory, OWNER), { force: true });
    for (const name of namesIn(directory)) rmSync(join(directory, name), { force: true });
    removeDirectory(directory);
  });
}

/** Somebody else may remove what is left of the same gone namespace. */
function removeDirectory(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function isGone(owner: PinOwner | undefined, cookie: bigint, visible: ReadonlyMap<number, string>): boolean {
  const here = thisProcess();
  const seesAll = here.pidNamespace === INITIAL_PID_NAMESPACE;
  // Somebody is making it, or was killed while he did.
  if (owner === undefined) return seesAll && ![...visible.values()].some((path) => cookieOf(path) === cookie);
  if (!seesAll && owner.pidNamespace !== here.pidNamespace) return false;
  if (owner.pidNamespace === here.pidNamespace && openProc().stat(owner.pid)?.startTimeTicks === owner.startTicks)
    return false;
  const path = visible.get(owner.networkNamespace);
  return path === undefined || cookieOf(path) !== cookie;
}

/** A file of each network namespace in which a process runs, or that has a name, by its number. */
function visibleNamespaces(): ReadonlyMap<number, string> {
  const found = new Map<number, string>();
  for (const pid of openProc().pids()) {
    const path = `/proc/${pid}/ns/net`;
    const number = namespaceNumber(path);
    if (number !== undefined && !found.has(number)) found.set(number, path);
  }
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [, , , root = '', mountPoint = ''] = line.split(' ');
    const number = NAMESPACE_LINK.exec(root)?.[1];
    if (number !== undefined && root.startsWith('net:')) found.set(Number(number), mountPoint);
  }
  return found;
}

/** `undefined` where it has gone meanwhile. */
function cookieOf(path: string): bigint | undefined {
  try {
    using _inside = enterNetworkNamespace(path);
    return namespaceCookie();
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

function thisProcess(): PinOwner {
  return {
    pid: process.pid,
    startTicks: openProc().stat(process.pid)?.startTimeTicks ?? 0,
    pidNamespace: namespaceNumber('/proc/self/ns/pid') ?? 0,
    networkNamespace: namespaceNumber('/proc/thread-self/ns/net') ?? 0,
  };
}

function namespaceNumber(path: string): number | undefined {
  const number = NAMESPACE_LINK.exec(linkOf(path) ?? '')?.[1];
  return number === undefined ? undefined : Number(number);
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

const pinDirectories = (): string[] =>
  hasBpfFileSystem() ? namesIn(ALL_PINS).filter((name) => DIRECTORY_NAME.test(name)) : [];

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Others' directories may be in it. */
function removeIfEmpty(): void {
  try {
    rmdirSync(ALL_PINS);
  } catch {
    // Ignoring it: it is not there, or not empty.
  }
}

function refusing(operation: string, object: string, step: () => void): void {
  try {
    step();
  } catch (error) {
    const { errno, code } = error as NodeJS.ErrnoException;
    if (code === undefined || errno === undefined) throw error;
    throw kernelErrorFromErrno(operation, Math.abs(errno), object);
  }
}
