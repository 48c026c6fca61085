/**
 * The thread that looks at files for another one, which does not wait for ever: this one may be stuck in the kernel, for as long
 * as a file server does not answer, and then nobody can end it. Started by LookThread; it knows no event loop.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { workerData } from 'node:worker_threads';
import { lastKernelError } from './errno.ts';
import { decodeStatx, type FileStat, fileStatOf, STATX_BYTES, STATX_MASK } from './file-stat.ts';
import { libc } from './libc.ts';
import {
  ANSWER_BYTES,
  ANSWERED,
  ASKED,
  type LookAnswer,
  type LookRequest,
  lookMemory,
  NAMES_AT_ONCE,
  PLACE_BYTES,
  putText,
  REQUEST_BYTES,
  THREAD_ID,
  textOf,
} from './look-request.ts';
import { fileAtProcessPath } from './process-path.ts';
import { MAX_LINKS } from './symbolic-links.ts';

/** linux/sched.h */
const CLONE_FILES = 0x400;
const SIG_BLOCK = 0;
/** linux/fcntl.h */
const AT_FDCWD = -100;
/** The same on all machines. */
const SYS_pidfd_open = 434;
const SYS_pidfd_getfd = 438;
/** sizeof(sigset_t) */
const SIGNAL_SET_BYTES = 128;
const LAST_STANDARD_STREAM = 2;
/** Of event loops, its own among them, which ends with it. Nobody waits for the last of these to be closed. */
const OF_A_LOOP = /^anon_inode:\[(?:eventpoll|eventfd|io_uring)\]/;

const memory = lookMemory(workerData as SharedArrayBuffer);

standAlone();
serve();

/**
 * A process that was killed lives on in a thread that cannot die, and so would its sockets and locks: this one lets go of all of
 * them. Pipes above all: uv_spawn() of another thread waits until nobody has the other end of its own any more. Nor may this thread
 * be chosen to handle a signal.
 */
function standAlone(): void {
  const everySignal = new Uint8Array(SIGNAL_SET_BYTES).fill(0xff);
  libc().pthread_sigmask(SIG_BLOCK, everySignal, new Uint8Array(SIGNAL_SET_BYTES));
  Atomics.store(memory.state, THREAD_ID, Number(readlinkSync('/proc/thread-self').split('/')[2]));
  if (libc().unshare(CLONE_FILES) !== 0) return;
  for (const name of readdirSync('/proc/thread-self/fd')) {
    const fd = Number(name);
    if (fd > LAST_STANDARD_STREAM && !OF_A_LOOP.test(linkOf(`/proc/thread-self/fd/${name}`))) libc().close(fd);
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // The directory itself, which is closed by now.
    return '';
  }
}

function serve(): never {
  const { state, request, answer } = memory;
  for (let done = 0; ; ) {
    Atomics.wait(state, ASKED, done);
    done = Atomics.load(state, ASKED);
    const asked = JSON.parse(textOf(request, Atomics.load(state, REQUEST_BYTES))) as LookRequest;
    const text = JSON.stringify(tryToLook(asked));
    Atomics.store(state, ANSWER_BYTES, putText(answer, text));
    Atomics.store(state, ANSWERED, done);
    Atomics.notify(state, ANSWERED);
  }
}

function tryToLook(request: LookRequest): LookAnswer {
  try {
    return look(request);
  } catch (error) {
    // A mistake of ours is no file that is not there.
    if (!(error instanceof Error && 'code' in error)) throw error;
    return { kind: 'absent' };
  }
}

function look({ what, path, processDir = '', descriptor, bytes = 0, offset = 0, held }: LookRequest): LookAnswer {
  switch (what) {
    case 'start of descriptor':
      return descriptor === undefined ? { kind: 'absent' } : startOfDescriptor(descriptor, bytes);
    case 'content':
      return content(path, bytes, offset);
    case 'names': {
      const names = readdirSync(asBytes(path), { encoding: 'latin1' }).sort();
      return { kind: 'seen', text: names.slice(offset, offset + NAMES_AT_ONCE).join('/') };
    }
    case 'start':
      return { kind: 'seen', text: firstBytes(path, bytes) };
    case 'process path': {
      const stat = fileAtProcessPath(processDir, path);
      return stat === undefined ? { kind: 'absent' } : seen(stat);
    }
    case 'stat':
    case 'real path': {
      const real = walk(path, held);
      if (typeof real !== 'string') return real;
      if (what === 'real path')
        return { kind: 'seen', text: realpathSync.native(asBytes(real), { encoding: 'latin1' }) };
      return statWithMount(real);
    }
  }
}

function asBytes(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}

function statWithMount(path: string): LookAnswer {
  const result = new Uint8Array(STATX_BYTES);
  const done = libc().statx(AT_FDCWD, asBytes(`${path}\0`), 0, STATX_MASK, result);
  return done === 0 ? seen(decodeStatx(result)) : { kind: 'absent' };
}

/** Of a regular file, from `offset` on. */
function content(path: string, bytes: number, offset: number): LookAnswer {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY | constants.O_NOFOLLOW;
  const fd = openSync(asBytes(path), flags);
  try {
    const stats = fstatSync(fd, { bigint: true });
    if (!stats.isFile()) return { kind: 'absent' };
    const buffer = Buffer.alloc(bytes);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes; length += read)
      read = readSync(fd, buffer, length, bytes - length, offset + length);
    return { ...seen(fileStatOf(stats)), text: buffer.toString('latin1', 0, length) };
  } finally {
    closeSync(fd);
  }
}

/** Of procfs, where the kernel makes up a file from another process's memory: reading may wait for who has that. */
function firstBytes(path: string, bytes: number): string {
  const buffer = Buffer.alloc(bytes);
  const fd = openSync(asBytes(path), 'r');
  try {
    return buffer.toString('latin1', 0, readSync(fd, buffer, 0, bytes, null));
  } finally {
    closeSync(fd);
  }
}

/** Of a regular file. It is not opened: whoever answers for its opening may wait for this. */
function startOfDescriptor({ fd, inode }: NonNullable<LookRequest['descriptor']>, bytes: number): LookAnswer {
  const own = descriptorOfProcess(fd);
  try {
    const stats = fstatSync(own, { bigint: true });
    if (!stats.isFile() || String(stats.ino) !== inode) return { kind: 'absent' };
    const buffer = Buffer.alloc(bytes);
    return { kind: 'seen', text: buffer.toString('latin1', 0, readSync(own, buffer, 0, bytes, 0)) };
  } finally {
    // Node did not open it: its closeSync() would warn of that, and the warning would wait for an event loop that never turns.
    libc().close(own);
  }
}

/** The same open file, in this thread's own table. */
function descriptorOfProcess(fd: number): number {
  const pidFd = libc().pidfd_open(SYS_pidfd_open, process.pid, 0);
  if (pidFd < 0) throw lastKernelError('pidfd_open', 'own process');
  const own = libc().pidfd_getfd(SYS_pidfd_getfd, pidFd, fd, 0);
  const error = own < 0 ? lastKernelError('pidfd_getfd', 'own process') : undefined;
  libc().close(pidFd);
  if (error !== undefined) throw error;
  return Number(own);
}

/** Step by step, and each step is told beforehand: so that whoever waits in vain knows for what. */
function walk(path: string, held: readonly string[]): string | Exclude<LookAnswer, { readonly kind: 'seen' }> {
  let ahead = stepsOf(path);
  let at = '/';
  let links = 0;
  while (ahead.length > 0) {
    const [step = '', ...rest] = ahead;
    ahead = rest;
    if (step === '..') {
      at = dirname(at);
      continue;
    }
    const next = at === '/' ? `/${step}` : `${at}/${step}`;
    if (held.some((place) => next === place || next.startsWith(`${place}/`))) return { kind: 'held' };
    Atomics.store(memory.state, PLACE_BYTES, putText(memory.place, next));
    const stats = lstatSync(asBytes(next), { throwIfNoEntry: false });
    if (stats === undefined) return { kind: 'absent' };
    // The kernel's own links lead to files that have no path here.
    if (!stats.isSymbolicLink() || next.startsWith('/proc/')) at = next;
    else {
      links += 1;
      if (links > MAX_LINKS) return { kind: 'absent' };
      const target = readlinkSync(asBytes(next), 'latin1');
      if (target.startsWith('/')) at = '/';
      ahead = [...stepsOf(target), ...ahead];
    }
  }
  return at;
}

function stepsOf(path: string): string[] {
  return path.split('/').filter((step) => step !== '' && step !== '.');
}

function seen(stat: FileStat): Extract<LookAnswer, { readonly kind: 'seen' }> {
  return {
    kind: 'seen',
    text: '',
    stat: Object.fromEntries(Object.entries(stat).map(([key, value]) => [key, String(value)])),
  };
}
