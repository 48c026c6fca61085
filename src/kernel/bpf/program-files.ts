/**
 * Files as the kernel sees them when they run. stat(2) does not tell their keys where a file system shows other numbers than it has
 * (overlayfs, btrfs), and O_PATH descriptors are opened without reading anything, so the socket program is asked: it looks at the file
 * behind a descriptor of the thread that makes a socket, where that thread has said in `learners` which.
 */
import { closeSync, fstatSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import {
  decodeHelloRecord,
  decodeProgramFile,
  encodeU32,
  encodeU64,
  HELLO_PROTOCOL,
  HELLO_RECORD_BYTES,
  HELLO_SOCKET_TYPE,
  type HelloRecord,
  type ProgramFile,
} from '../../bpf/records.ts';
import { AF_INET } from '../../netlink/uapi.ts';
import { lastKernelError } from '../errno.ts';
import { fileLooks } from '../file-looks.ts';
import { KernelError } from '../kernel-error.ts';
import { libc } from '../libc.ts';
import { openProc } from '../proc.ts';
import type { BpfMap } from './bpf-map.ts';

const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const O_CLOEXEC = 0o2000000;
/** Not among Node's constants; the same on every architecture of `syscall.ts`. */
const O_PATH = 0o10000000;
const FIRST = encodeU32(0);
/** Other threads that say hello come in between, and programs that open such a socket. */
const HELLO_ATTEMPTS = 256;

/** What says nothing about the file: the machine has none left of something. */
const EXHAUSTED: readonly number[] = [constants.errno.EMFILE, constants.errno.ENFILE, constants.errno.ENOMEM];

/**
 * What the kernel says of the calling thread: it is believed when two answers in a row are the same, and have the numbers
 * that the thread knows of itself. The program must be attached and `config.hello` set. Throws KernelError.
 */
export function sayHello(hello: BpfMap): HelloRecord {
  const [pid, threadId] = ownNumbers();
  const startTicks = openProc().stat(pid)?.startTimeTicks;
  let before: HelloRecord | undefined;
  for (let attempt = 0; attempt < HELLO_ATTEMPTS; attempt += 1) {
    hello.update(FIRST, new Uint8Array(HELLO_RECORD_BYTES));
    makeSocket(HELLO_SOCKET_TYPE, HELLO_PROTOCOL);
    const bytes = hello.lookup(FIRST);
    const record = bytes && decodeHelloRecord(bytes);
    const isOwn = record?.pid === pid && record.threadId === threadId && record.startTicks === startTicks;
    if (isOwn && before?.task === record.task && before.pidNamespace === record.pidNamespace) return record;
    before = isOwn ? record : undefined;
  }
  const detail = 'the program does not see this process: it is outside of the cgroup, or /proc is of another namespace';
  throw new KernelError('learn own task', 0, '', '', detail);
}

/** Asks for one thread; for the thread that made it. */
export class ProgramFiles {
  readonly #learners: BpfMap;
  readonly #learned: BpfMap;
  readonly #task: Uint8Array;

  /** `task`: from `sayHello` in this thread. */
  constructor(maps: { readonly learners: BpfMap; readonly learned: BpfMap }, task: bigint) {
    this.#learners = maps.learners;
    this.#learned = maps.learned;
    this.#task = encodeU64(task);
    // A thread that has ended may have had the same address.
    this.#learners.delete(this.#task);
    this.#learned.delete(this.#task);
  }

  /** `undefined` where no regular file can be opened. Throws KernelError where that says nothing about the file. */
  at(path: string): ProgramFile | undefined {
    // C would take what is before it.
    if (path.includes('\0') || !fileLooks().answers(path)) return undefined;
    const fd = libc().open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) {
      const error = lastKernelError('open', path);
      if (EXHAUSTED.includes(error.errno)) throw error;
      return undefined;
    }
    try {
      return fstatSync(fd).isFile() ? this.#learn(fd, path) : undefined;
    } finally {
      closeSync(fd);
    }
  }

  #learn(fd: number, path: string): ProgramFile {
    this.#learners.update(this.#task, encodeU32(fd));
    try {
      makeSocket(SOCK_DGRAM, 0);
    } finally {
      // Before anything else: every socket of this thread would be a question.
      this.#learners.delete(this.#task);
    }
    const bytes = this.#learned.lookup(this.#task);
    if (bytes === undefined) {
      const detail = 'the kernel gave no answer: the thread is in another network namespace than the marks';
      throw new KernelError('learn about file', 0, '', path, detail);
    }
    const file = decodeProgramFile(bytes);
    this.#learned.delete(this.#task);
    return file;
  }
}

/** Its making is all that it is for. */
function makeSocket(type: number, protocol: number): void {
  const fd = libc().socket(AF_INET, type | SOCK_CLOEXEC, protocol);
  if (fd < 0) throw lastKernelError('socket', `type ${type}, protocol ${protocol}`);
  libc().close(fd);
}

/** Of the process and of the calling thread. */
function ownNumbers(): readonly [pid: number, threadId: number] {
  const [pid, , threadId] = readlinkSync('/proc/thread-self').split('/');
  return [Number(pid), Number(threadId)];
}
