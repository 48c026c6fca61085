/**
 * Being asked before chosen files are opened: fanotify(7) permission events. Only single inodes are marked, never
 * directories or mounts, so that no other file's opening waits for us. The answer is always yes: the question is the moment
 * at which whoever opens stands still and can be looked at.
 *
 * A group is its descriptor: one thread may mark while another one answers. When the last descriptor is closed, also by the
 * kernel because the process was killed, all who wait go on and nobody is asked any more. A process that is stopped
 * (SIGSTOP) holds them until it continues; they can be killed.
 */
import { constants } from 'node:os';
import { DecodeError } from '../netlink/errors.ts';
import { kernelErrorFromErrno, lastKernelError } from './errno.ts';
import {
  decodeFanotifyEvents,
  encodeAllow,
  FAN_EVENT_METADATA_LEN,
  FAN_OPEN_PERM,
  type FanotifyEvent,
} from './fanotify-event.ts';
import { KernelError } from './kernel-error.ts';
import { libc } from './libc.ts';

const FAN_CLOEXEC = 0x1;
const FAN_NONBLOCK = 0x2;
const FAN_CLASS_CONTENT = 0x4;
/** An event is a task that waits, so the tasks are the limit. Beyond another one the kernel would not ask but allow. */
const FAN_UNLIMITED_QUEUE = 0x10;
const FAN_MARK_ADD = 0x1;
const FAN_MARK_REMOVE = 0x2;
const O_CLOEXEC = 0o2000000;
/** x86-64 has it in every open(2); the kernel's own flag, not the C library's, which is 0 there. */
const O_LARGEFILE = 0o100000;
const NO_DIRECTORY = -1;
/**
 * Events of one read(2), each of which opens a descriptor. Few, so that they fit where descriptors are short: an event whose
 * descriptor cannot be opened is answered by the kernel itself, with no.
 */
const EVENTS_A_READ = 16;

const MISSING: ReadonlyMap<string, string> = new Map([
  ['EPERM', 'fanotify permission events need CAP_SYS_ADMIN'],
  ['ENOSYS', 'this kernel has no fanotify (CONFIG_FANOTIFY)'],
  ['EINVAL', 'this kernel or file system has no fanotify permission events (CONFIG_FANOTIFY_ACCESS_PERMISSIONS)'],
]);

/** All calls throw KernelError. */
export class FanotifyGroup implements Disposable {
  readonly fd: number;
  readonly #owned: boolean;
  readonly #buffer = new Uint8Array(EVENTS_A_READ * FAN_EVENT_METADATA_LEN);
  /** An empty group, so that `release` needs nothing that might be short when it is called. */
  #spareFd: number;

  private constructor(fd: number, owned: boolean, spareFd: number) {
    this.fd = fd;
    this.#owned = owned;
    this.#spareFd = spareFd;
  }

  static open(): FanotifyGroup {
    const fd = newGroup();
    try {
      return new FanotifyGroup(fd, true, newGroup());
    } catch (error) {
      libc().close(fd);
      throw error;
    }
  }

  /** Another thread's group: it can read and answer, and leaves it open. */
  static borrow(fd: number): FanotifyGroup {
    return new FanotifyGroup(fd, false, NO_DIRECTORY);
  }

  /** Whoever opens the file behind this descriptor (O_PATH will do) has to wait for an answer. Again is no error. */
  mark(fileFd: number): void {
    this.#mark(FAN_MARK_ADD, fileFd);
  }

  /** Those who wait already still do. A file that is not marked is no error. */
  unmark(fileFd: number): void {
    try {
      this.#mark(FAN_MARK_REMOVE, fileFd);
    } catch (error) {
      if (!(error instanceof KernelError && error.isNotFound)) throw error;
    }
  }

  /** Never waits; none: nobody asks now. Each event has to be given to `allow`. */
  read(): FanotifyEvent[] {
    const length = libc().read(this.fd, this.#buffer, this.#buffer.length);
    if (length >= 0) return this.#decode(length);
    const error = lastKernelError('read', 'fanotify');
    if (error.errno === constants.errno.EAGAIN || error.errno === constants.errno.EINTR) return [];
    throw error;
  }

  /** Answers yes and closes the event's descriptor; also where the question was settled otherwise meanwhile. */
  allow(event: FanotifyEvent): void {
    if (event.fd < 0) return;
    const answer = encodeAllow(event.fd);
    const written = event.asksPermission ? libc().write(this.fd, answer, answer.length) : answer.length;
    const error = written < 0 ? lastKernelError('write', 'fanotify') : undefined;
    libc().close(event.fd);
    // The group was released: then everybody has gone on.
    if (error !== undefined && error.errno !== constants.errno.ENOENT) throw error;
  }

  /**
   * Lets all who wait go on at once and takes all marks off, whatever the thread that answers is doing. `fd` stays valid, as a
   * group without marks: closed, its number could be another file's by the time that thread comes back to it.
   */
  release(): void {
    const spareFd = this.#spareFd >= 0 ? this.#spareFd : newGroup();
    this.#spareFd = NO_DIRECTORY;
    const replaced = libc().dup3(spareFd, this.fd, O_CLOEXEC);
    const error = replaced < 0 ? lastKernelError('dup3', 'fanotify') : undefined;
    libc().close(spareFd);
    if (error !== undefined) throw error;
    this.#spareFd = spareOrNone();
  }

  [Symbol.dispose](): void {
    if (!this.#owned) return;
    libc().close(this.fd);
    if (this.#spareFd >= 0) libc().close(this.#spareFd);
  }

  #mark(flags: number, fileFd: number): void {
    // The link follows to the very file, and O_PATH descriptors cannot be given as such.
    const path = `/proc/self/fd/${fileFd}`;
    if (libc().fanotify_mark(this.fd, flags, FAN_OPEN_PERM, NO_DIRECTORY, path) < 0) throw explained('fanotify_mark');
  }

  #decode(length: number): FanotifyEvent[] {
    try {
      return decodeFanotifyEvents(this.#buffer.subarray(0, length));
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      throw kernelErrorFromErrno('read', constants.errno.EPROTO, 'fanotify', error.message);
    }
  }
}

function newGroup(): number {
  const flags = FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE;
  const fd = libc().fanotify_init(flags, O_LARGEFILE | O_CLOEXEC);
  if (fd < 0) throw explained('fanotify_init');
  return fd;
}

function spareOrNone(): number {
  try {
    return newGroup();
  } catch {
    return NO_DIRECTORY;
  }
}

function explained(operation: string): KernelError {
  const error = lastKernelError(operation, 'fanotify');
  return kernelErrorFromErrno(operation, error.errno, 'fanotify', MISSING.get(error.code));
}
