/**
 * Looks at files without ever waiting long for them: a dead file server, a FUSE that does not answer, an automounter that
 * waits. What the kernel has at hand is asked for directly, which cannot wait: the path by names that it has cached
 * (RESOLVE_CACHED), and what it knows of the file (AT_STATX_DONT_SYNC). All else is looked at by another thread, with a deadline. A
 * look that comes too late counts as of a file that is not there. Its thread may be stuck for ever: it is left alone, and
 * another one takes its place, up to a bound.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import type { MonotonicMs } from '../net/clock.ts';
import { lastKernelError } from './errno.ts';
import { decodeStatx, deviceText, type FileStat, STATX_BYTES, STATX_MASK } from './file-stat.ts';
import { KernelError } from './kernel-error.ts';
import { libc } from './libc.ts';
import { CONTENT_BYTES, type LookAnswer, type LookRequest, NAMES_AT_ONCE } from './look-request.ts';
import { LookThread } from './look-thread.ts';
import { answersByItself, layersOf, type Mount, mountPointOf, mountsById } from './mount-point.ts';
import { isShortage, throwShortage } from './shortage.ts';
import { systemClock } from './system-clock.ts';

/** So long a look may take. A disk that has to start turning takes longer, and is looked at again. */
export const LOOK_WITHIN_MS = 250;
/** Threads that wait for what does not answer. With so many, whatever is not at hand counts as not there. */
export const MAX_STUCK_THREADS = 8;
export const FIRST_RETRY_MS = 1000;
export const MAX_RETRY_MS = 60_000;
/** So long it is taken to be known which mounts there are. */
const MOUNTS_VALID_MS = 500;
/** Paths that are remembered to lead to what does not answer. */
const MAX_LATE_PATHS = 4096;

const SYS_openat2 = 437;
const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const AT_STATX_DONT_SYNC = 0x4000;
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;
/** Links of procfs lead into other mount namespaces. */
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_CACHED = 0x20;
const OPEN_HOW_BYTES = 24;
const RESOLVE_AT = 16;
const DELETED = ' (deleted)';
/** Not at hand (EAGAIN), or a kernel or a filter that does not know the call or the flag. */
const NOT_AT_HAND: readonly number[] = [
  constants.errno.EAGAIN,
  constants.errno.ENOSYS,
  constants.errno.EINVAL,
  constants.errno.EPERM,
  // By a link of procfs.
  constants.errno.ELOOP,
];
/** What the kernel has cached may be gone again. */
const LOOKS_TO_OPEN = 3;
/** FILESYSTEM_MAX_STACK_DEPTH of linux/fs.h: overlays over overlays. */
const MAX_STACKED = 2;

export interface FileContent {
  readonly bytes: Uint8Array;
  readonly stat: FileStat;
}

/** What does not answer. */
export interface LatePlace {
  /** A mount, or a path. */
  readonly place: string;
  readonly sinceMs: MonotonicMs;
}

interface KnownMounts {
  readonly text: string;
  readonly byId: ReadonlyMap<bigint, Mount>;
  readonly readMs: MonotonicMs;
  /** Overlays: whether all of their layers answer by themselves. */
  readonly overlays: Map<Mount, boolean>;
}

interface Held extends LatePlace {
  /** Its answering is the news that is waited for. */
  threads: LookThread[];
  nextTryMs: number;
  pauseMs: number;
  readonly request: Omit<LookRequest, 'held'>;
}

export interface FileLooksOptions {
  readonly monotonicMs?: () => MonotonicMs;
  readonly withinMs?: number;
}

/** For one thread. */
export class FileLooks {
  readonly #monotonicMs: () => MonotonicMs;
  readonly #withinMs: number;
  #idle: LookThread[] = [];
  #held: Held[] = [];
  /** Their question was lost, while later ones are answered. */
  #lost: LookThread[] = [];
  readonly #latePaths = new Map<string, Held>();
  #known: KnownMounts | undefined;
  readonly #atHand = openHow(RESOLVE_CACHED);
  readonly #hereAlone = openHow(RESOLVE_NO_MAGICLINKS);
  readonly #statx = new Uint8Array(STATX_BYTES);

  constructor({ monotonicMs = systemClock.monotonicMs, withinMs = LOOK_WITHIN_MS }: FileLooksOptions = {}) {
    this.#monotonicMs = monotonicMs;
    this.#withinMs = withinMs;
  }

  /** Of what is at the end of all links. `undefined`: nothing is there, or it does not say so in time. Throws KernelError where descriptors are short. */
  stat(path: string): FileStat | undefined {
    return inTime(this.#look(path));
  }

  #look(path: string): FileStat | 'late' | undefined {
    const bytes = zeroEnded(path);
    if (bytes === undefined) return undefined;
    const fd = this.#open(path, bytes);
    if (typeof fd === 'number') {
      const found = this.#statOf(fd, EMPTY, AT_EMPTY_PATH);
      libc().close(fd);
      // What the kernel knows of it says nothing about whether it answers.
      if (found === undefined || !this.comesFromElsewhere(found)) return found;
    }
    if (fd === 'nothing there') return undefined;
    return statIn(this.#ask({ what: 'stat', path: latin1(path) }, shortageIn(fd)));
  }

  /**
   * A descriptor that only names what is at the end of all links (O_PATH), to be closed by the caller. `undefined`: nothing is there, or it is not to be had
   * without waiting, as where a link of procfs is on the way. `encoding`: of the path, `latin1` where it has one character for each byte. Throws
   * KernelError where descriptors are short.
   */
  open(path: string, encoding: 'utf8' | 'latin1' = 'utf8'): number | undefined {
    const bytes = zeroEnded(path, encoding);
    if (bytes === undefined) return undefined;
    let fd = this.#open(path, bytes);
    // Once another thread has looked there the kernel has it at hand.
    for (let look = 0; fd === 'not at hand' && look < LOOKS_TO_OPEN; look += 1) {
      const found = inTime(statIn(this.#ask({ what: 'stat', path: pathIn(bytes) })));
      fd = found === undefined ? 'nothing there' : this.#openAtHand(bytes);
    }
    if (fd instanceof KernelError) throw fd;
    return typeof fd === 'number' ? fd : undefined;
  }

  /** Of what a link of procfs leads to (`/proc/PID/exe`): no name is looked up on the way, so this never waits. */
  statByKernelLink(path: string): FileStat | undefined {
    const bytes = zeroEnded(path);
    return bytes && this.#statOf(AT_FDCWD, bytes, 0);
  }

  /** Without links; `undefined` as with `stat`. */
  realPath(path: string): Buffer | undefined {
    const bytes = zeroEnded(path);
    if (bytes === undefined) return undefined;
    const fd = this.#open(path, bytes);
    if (fd === 'nothing there') return undefined;
    if (typeof fd === 'number') {
      const real = linkText(fd);
      libc().close(fd);
      if (real !== undefined && !real.toString('latin1').endsWith(DELETED)) return real;
    }
    const answer = this.#ask({ what: 'real path', path: latin1(path) }, shortageIn(fd));
    return answer.kind === 'seen' ? Buffer.from(answer.text, 'latin1') : undefined;
  }

  /** What a path is for another process: see `fileAtProcessPath`. */
  statAtProcessPath(processDir: string, path: string): FileStat | undefined {
    return inTime(statIn(this.#ask({ what: 'process path', path, processDir })));
  }

  /** The first bytes of a file of procfs that is made of another process's memory. One character for each byte. */
  startOf(path: string, bytes: number): string | undefined {
    const answer = this.#ask({ what: 'start', path: latin1(path), bytes });
    return answer.kind === 'seen' ? answer.text : undefined;
  }

  /**
   * The first bytes of the regular file behind a descriptor of this process, which may come from elsewhere. It is not opened anew. `undefined`:
   * they cannot be read, or not in time. One character for each byte.
   */
  startOfDescriptor(fd: number, bytes: number): string | undefined {
    const link = `/proc/self/fd/${fd}`;
    const stat = this.statByKernelLink(link);
    if (stat === undefined) return undefined;
    const path = linkText(fd)?.toString('latin1') ?? link;
    const descriptor = { fd, inode: String(stat.inode) };
    const answer = this.#ask({ what: 'start of descriptor', path, descriptor, bytes });
    return answer.kind === 'seen' ? answer.text : undefined;
  }

  /**
   * What is in a file at the end of all links, up to `maxBytes`, where its content comes from elsewhere. `here`: it does not, and whoever
   * wants it may read it without waiting. `late`: it does not come in time, or changes meanwhile. Throws KernelError where descriptors are short.
   */
  contentFromElsewhere(path: string, maxBytes: number): FileContent | 'here' | 'late' {
    const real = this.#realElsewhere(path);
    if (typeof real === 'string') return real;
    const parts: Buffer[] = [];
    let length = 0;
    let first: FileStat | undefined;
    for (;;) {
      const bytes = Math.min(CONTENT_BYTES, maxBytes - length);
      const answer = this.#ask({ what: 'content', path: real.toString('latin1'), bytes, offset: length });
      const stat = statIn(answer);
      if (answer.kind !== 'seen' || stat === undefined || stat === 'late') return 'late';
      if (first !== undefined && !isSameContent(first, stat)) return 'late';
      first = stat;
      const part = Buffer.from(answer.text, 'latin1');
      parts.push(part);
      length += part.length;
      if (part.length < bytes || length >= maxBytes) return { bytes: Buffer.concat(parts), stat };
    }
  }

  /** What is in a directory, in the same way; more than `maxNames` are there where it gives more. */
  namesFromElsewhere(path: string, maxNames: number): readonly string[] | 'here' | 'late' {
    const real = this.#realElsewhere(path);
    if (typeof real === 'string') return real;
    const names: string[] = [];
    for (;;) {
      const answer = this.#ask({ what: 'names', path: real.toString('latin1'), offset: names.length });
      if (answer.kind !== 'seen') return 'late';
      const page = answer.text === '' ? [] : answer.text.split('/').map(utf8);
      names.push(...page);
      if (page.length < NAMES_AT_ONCE || names.length > maxNames) return names;
    }
  }

  /** Where a path ends whose content comes from elsewhere. What is not there, whoever reads it finds out at once. */
  #realElsewhere(path: string): Buffer | 'here' | 'late' {
    const found = this.#look(path);
    if (found === 'late') return 'late';
    if (found === undefined || !this.comesFromElsewhere(found)) return 'here';
    return this.realPath(path) ?? 'late';
  }

  /** Whether something is there and says so in time: whoever goes on to open it will hardly wait. */
  answers(path: string): boolean {
    return this.stat(path) !== undefined;
  }

  /** Whether a path is not looked at, or in vain, because something does not answer, or because too much does not. */
  isTooLate(path: string): boolean {
    const found = this.#look(path);
    // Nothing may be there by what the kernel has cached of a place that does not answer.
    return found === 'late' || (found === undefined && this.isLate(path));
  }

  /** Whether a path is known to lead to what does not answer. */
  isLate(path: string): boolean {
    this.#release();
    return this.#heldAt(latin1(resolve(path))) !== undefined;
  }

  /** What does not answer now, the oldest first. */
  late(): readonly LatePlace[] {
    this.#release();
    return this.#held.map(({ place, sinceMs }) => ({ place: utf8(place), sinceMs }));
  }

  #statOf(directoryFd: number, path: Uint8Array, flags: number): FileStat | undefined {
    const done = libc().statx(directoryFd, path, flags | AT_STATX_DONT_SYNC, STATX_MASK, this.#statx);
    return done === 0 ? decodeStatx(this.#statx) : undefined;
  }

  /** Whether something is mounted at the very path, as it is written, that answers from elsewhere: it is no link, and lstat(2) of it may wait. */
  isMountedFromElsewhere(path: string): boolean {
    const mounts = this.#mounts();
    return [...mounts.byId.values()].some((mount) => mount.point === path && !this.#isHere(mount, mounts));
  }

  /** Whether what is in a file may come from elsewhere, so that reading it may take any time. */
  comesFromElsewhere(file: Pick<FileStat, 'device' | 'mountId'>): boolean {
    return !this.#isOfHere(file, this.#mounts());
  }

  /** The contrary, at this very moment, of a file behind a descriptor: while that is open, its mount's id is nobody else's. */
  isHereNow(file: Pick<FileStat, 'device' | 'mountId'>): boolean {
    return this.#isOfHere(file, this.#mountsNow());
  }

  /** What was come to by a mount that is not among ours is another mount namespace's, whatever its device. */
  #isOfHere({ device, mountId }: Pick<FileStat, 'device' | 'mountId'>, mounts: KnownMounts, depth = 0): boolean {
    const mount = mountId === undefined ? undefined : mounts.byId.get(mountId);
    if (mountId !== undefined) return mount !== undefined && this.#isHere(mount, mounts, depth);
    const ofDevice = [...mounts.byId.values()].filter((each) => each.device === deviceText(device));
    return ofDevice.length > 0 && ofDevice.every((each) => this.#isHere(each, mounts, depth));
  }

  #isHere(mount: Mount, mounts: KnownMounts, depth = 0): boolean {
    if (answersByItself(mount)) return true;
    const layers = depth < MAX_STACKED ? layersOf(mount) : undefined;
    if (layers === undefined) return false;
    const known = mounts.overlays.get(mount);
    if (known !== undefined) return known;
    const isHere = layers.every((path) => this.#isLayerHere(path, mounts, depth));
    mounts.overlays.set(mount, isHere);
    return isHere;
  }

  /** Layers are at hand, since their overlay has them open. */
  #isLayerHere(path: string, mounts: KnownMounts, depth: number): boolean {
    const fd = this.#openAtHand(Buffer.from(`${path}\0`, 'latin1'));
    if (typeof fd !== 'number') return false;
    const found = this.#statOf(fd, EMPTY, AT_EMPTY_PATH);
    libc().close(fd);
    return found !== undefined && this.#isOfHere(found, mounts, depth + 1);
  }

  #mounts(): KnownMounts {
    const nowMs = this.#monotonicMs();
    return this.#known === undefined || nowMs - this.#known.readMs > MOUNTS_VALID_MS ? this.#mountsNow() : this.#known;
  }

  #mountsNow(): KnownMounts {
    const text = mountinfo();
    const byId = this.#known?.text === text ? this.#known.byId : mountsById(text);
    this.#known = { text, byId, readMs: this.#monotonicMs(), overlays: new Map() };
    return this.#known;
  }

  /** While no mount's answers come from elsewhere, nobody has to be asked but the machine's own disks. */
  #open(path: string, bytes: Uint8Array): number | 'nothing there' | 'not at hand' | KernelError {
    const fd = this.#openAtHand(bytes);
    return fd === 'not at hand' && isAllHere(path) ? this.#openBy(this.#hereAlone, bytes) : fd;
  }

  #openAtHand(path: Uint8Array): number | 'nothing there' | 'not at hand' | KernelError {
    return this.#openBy(this.#atHand, path);
  }

  #openBy(how: Uint8Array, path: Uint8Array): number | 'nothing there' | 'not at hand' | KernelError {
    const fd = Number(libc().openat2(SYS_openat2, AT_FDCWD, path, how, OPEN_HOW_BYTES));
    if (fd >= 0) return fd;
    const error = lastKernelError('look at', Buffer.from(path).toString('utf8').slice(0, -1));
    // The looking threads have descriptors of their own.
    if (isShortage(error)) return error;
    return NOT_AT_HAND.includes(error.errno) ? 'not at hand' : 'nothing there';
  }

  /** Throws KernelError where descriptors are too short to ask anybody, `shortage` where nobody else could be asked. */
  #ask(request: Omit<LookRequest, 'held'>, shortage?: KernelError): LookAnswer {
    this.#release();
    const held = this.#heldAt(keyOf(request));
    if (held !== undefined) {
      this.#tryAgain(held);
      return LATE;
    }
    const thread = this.#takeThread();
    if (thread === undefined && shortage !== undefined) throw shortage;
    if (thread === undefined) return LATE;
    thread.ask({ ...request, held: this.#held.map(({ place }) => place) });
    if (!thread.waitFor(this.#withinMs)) {
      this.#hold(request, thread);
      return LATE;
    }
    this.#idle.push(thread);
    const answer = thread.answer();
    // It leads by a link to what is known not to answer.
    if (answer.kind === 'held') this.#rememberLate(keyOf(request));
    return answer;
  }

  #heldAt(path: string): Held | undefined {
    const known = this.#latePaths.get(path);
    if (known !== undefined) return known;
    return this.#held.find(({ place }) => path === place || path.startsWith(`${place}/`));
  }

  #hold(request: Omit<LookRequest, 'held'>, thread: LookThread): void {
    const isWalk = request.what === 'stat' || request.what === 'real path';
    // Nowhere yet: the thread has not begun, which says nothing about other paths.
    const stuckAt = (isWalk && thread.place) || keyOf(request);
    const place = mountAround(stuckAt);
    const nowMs = this.#monotonicMs();
    // Of procfs not all of it.
    const held: Held = {
      place: place === '/proc' ? stuckAt : place,
      sinceMs: nowMs,
      threads: [thread],
      nextTryMs: nowMs + FIRST_RETRY_MS,
      pauseMs: FIRST_RETRY_MS,
      request,
    };
    this.#held.push(held);
    this.#latePaths.set(keyOf(request), held);
  }

  #rememberLate(path: string): void {
    const [first] = this.#held;
    if (first === undefined) return;
    if (this.#latePaths.size < MAX_LATE_PATHS) this.#latePaths.set(path, this.#held.at(-1) ?? first);
  }

  /** Without waiting: the answer is found by a later look. */
  #tryAgain(held: Held): void {
    const nowMs = this.#monotonicMs();
    if (nowMs < held.nextTryMs) return;
    held.pauseMs = Math.min(held.pauseMs * 2, MAX_RETRY_MS);
    held.nextTryMs = nowMs + held.pauseMs;
    // One that waits for the second time is enough to find out that the first question was lost.
    if (held.threads.length > 1) return;
    const thread = this.#takeThread();
    if (thread === undefined) return;
    thread.ask({ ...held.request, held: [] });
    held.threads.push(thread);
  }

  /** What has answered since. */
  #release(): void {
    if (this.#held.length === 0) return;
    for (const held of this.#held.filter(({ threads }) => threads.some((thread) => thread.hasAnswered))) {
      this.#held = this.#held.filter((other) => other !== held);
      for (const [path, of] of this.#latePaths) if (of === held) this.#latePaths.delete(path);
      this.#idle.push(...held.threads.filter((thread) => thread.hasAnswered));
      this.#lost.push(...held.threads.filter((thread) => !thread.hasAnswered));
    }
    this.#lost = this.#lost.filter((thread) => {
      if (thread.hasAnswered) this.#idle.push(thread);
      return !thread.hasAnswered;
    });
  }

  /** Throws KernelError where descriptors are too short for another one. */
  #takeThread(): LookThread | undefined {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    const stuck = this.#lost.length + this.#held.reduce((sum, { threads }) => sum + threads.length, 0);
    return stuck >= MAX_STUCK_THREADS ? undefined : LookThread.start();
  }
}

const isSameContent = (a: FileStat, b: FileStat): boolean =>
  a.inode === b.inode && a.size === b.size && a.modifiedNs === b.modifiedNs && a.changedNs === b.changedNs;

const shortageIn = (opened: unknown): KernelError | undefined => (opened instanceof KernelError ? opened : undefined);

const LATE: LookAnswer = { kind: 'held' };
const EMPTY = new Uint8Array(1);

function isAllHere(path: string): boolean {
  const text = resolve(path).startsWith('/proc/') ? '' : mountinfo();
  return text !== '' && [...mountsById(text).values()].every(answersByItself);
}

function openHow(resolution: number): Uint8Array {
  const how = new DataView(new ArrayBuffer(OPEN_HOW_BYTES));
  how.setBigUint64(0, BigInt(O_PATH | O_CLOEXEC), true);
  how.setBigUint64(RESOLVE_AT, BigInt(resolution), true);
  return new Uint8Array(how.buffer);
}

/** `undefined` for what C would take for another path. */
function zeroEnded(path: string, encoding: 'utf8' | 'latin1' = 'utf8'): Uint8Array | undefined {
  return path.includes('\0') || path === '' ? undefined : Buffer.from(`${resolve(path)}\0`, encoding);
}

/** One character for each byte. */
const pathIn = (zeroEnded: Uint8Array): string => Buffer.from(zeroEnded).toString('latin1', 0, zeroEnded.length - 1);

const latin1 = (path: string): string => Buffer.from(resolve(path)).toString('latin1');
const utf8 = (path: string): string => Buffer.from(path, 'latin1').toString();

/** What a question is about, for telling that it was asked in vain. */
function keyOf({ path, processDir, what }: Omit<LookRequest, 'held'>): string {
  if (processDir !== undefined) return processDir;
  return what === 'start' ? path.slice(0, path.lastIndexOf('/')) : path;
}

function linkText(fd: number): Buffer | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`, { encoding: 'buffer' });
  } catch {
    return undefined;
  }
}

/** Throws KernelError where descriptors are short: without it, a dead mount looks like any other. */
function mountinfo(): string {
  try {
    return readFileSync('/proc/self/mountinfo', 'latin1');
  } catch (error) {
    throwShortage(error, 'look at', 'mounts');
    return '';
  }
}

/** Where it cannot be told, the path alone. */
function mountAround(path: string): string {
  try {
    return mountPointOf(mountinfo(), path) ?? path;
  } catch {
    return path;
  }
}

const inTime = (found: FileStat | 'late' | undefined): FileStat | undefined => (found === 'late' ? undefined : found);

function statIn(answer: LookAnswer): FileStat | 'late' | undefined {
  if (answer.kind === 'held') return 'late';
  if (answer.kind !== 'seen' || answer.stat === undefined) return undefined;
  const number = (key: keyof FileStat): bigint => BigInt(answer.stat?.[key] ?? 0);
  return {
    device: number('device'),
    inode: number('inode'),
    mode: Number(number('mode')),
    links: Number(number('links')),
    uid: number('uid'),
    size: number('size'),
    birthNs: number('birthNs'),
    modifiedNs: number('modifiedNs'),
    changedNs: number('changedNs'),
    ...(answer.stat.mountId === undefined ? {} : { mountId: number('mountId') }),
  };
}

/** The calling thread's. */
export const fileLooks: () => FileLooks = onFirstUse(() => new FileLooks());

function onFirstUse<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
