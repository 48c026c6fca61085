/** Programs into the kernel, and onto their hooks by links only: a link ends with its descriptor, however the process ends. */
import { constants as fileConstants } from 'node:fs';
import { constants } from 'node:os';
import { kernelErrorFromErrno, lastKernelError } from '../errno.ts';
import { KernelError } from '../kernel-error.ts';
import { libc } from '../libc.ts';
import {
  BPF_LINK_CREATE,
  BPF_LINK_UPDATE,
  BPF_PROG_LOAD,
  BPF_RAW_TRACEPOINT_OPEN,
  BpfAttribute,
  bpf,
  bpfOrThrow,
  creationRefusal,
  cString,
} from './syscall.ts';

/** Program types and attach types, linux/bpf.h. */
export const BPF_PROG_TYPE_CGROUP_SOCK = 9;
export const BPF_PROG_TYPE_RAW_TRACEPOINT = 17;
export const BPF_CGROUP_INET_SOCK_CREATE = 2;
/** Since Linux 5.9. */
export const BPF_CGROUP_INET_SOCK_RELEASE = 34;

/** Not among Node's constants. */
const O_CLOEXEC = 0o2000000;
const INSTRUCTION_BYTES = 8;
/** The helpers that read the kernel's memory are for programs under the GPL. */
const LICENSE = 'GPL';
/** Sizes of the members of `union bpf_attr`. */
const LOAD_SIZE = 72;
const LINK_SIZE = 16;
const TRACEPOINT_SIZE = 16;
/** The verifier writes its log only for the second attempt, after a refusal; it is asked for as much of it as this. */
const LOG_BYTES = 1024 * 1024;
/** As libbpf does it. */
const LOAD_TRIES = 5;
/** Of the log's end, where the reason stands, so much is shown. */
const SHOWN_LOG_CHARACTERS = 1500;

export interface ProgramDescription {
  readonly name: string;
  readonly type: number;
  readonly expectedAttachType?: number;
  readonly instructions: Uint8Array;
}

/** A descriptor that is to be closed. */
export class BpfDescriptor implements Disposable {
  readonly fd: number;
  #closed = false;

  constructor(fd: number) {
    this.fd = fd;
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    libc().close(this.fd);
  }
}

/** Throws KernelError, with the end of the verifier's log where it was the verifier who refused. */
export function loadProgram(program: ProgramDescription): BpfDescriptor {
  const attribute = new BpfAttribute(LOAD_SIZE)
    .u32(0, program.type)
    .u32(4, program.instructions.length / INSTRUCTION_BYTES)
    .pointer(8, program.instructions)
    .pointer(16, cString(LICENSE))
    .name(48, program.name)
    .u32(68, program.expectedAttachType ?? 0);
  let fd = bpf(BPF_PROG_LOAD, attribute);
  // A signal that comes meanwhile breaks the verifier off.
  for (let tries = 1; fd < 0 && libc().errno() === constants.errno.EAGAIN && tries < LOAD_TRIES; tries += 1)
    fd = bpf(BPF_PROG_LOAD, attribute);
  if (fd >= 0) return new BpfDescriptor(fd);
  const refusal = creationRefusal('load BPF program', program.name);
  // EPERM is said before the verifier sees anything.
  if (refusal.errno === constants.errno.EPERM) throw refusal;
  const log = new Uint8Array(LOG_BYTES);
  const explained = bpf(BPF_PROG_LOAD, attribute.u32(24, 1).u32(28, log.length).pointer(32, log));
  if (explained >= 0) return new BpfDescriptor(explained);
  const text = endOfLog(log);
  throw text === ''
    ? refusal
    : new KernelError(refusal.operation, refusal.errno, refusal.code, refusal.object, `${text} [${refusal.code}]`);
}

/** Attached to a cgroup and everything below it, beside the programs of others. Throws KernelError. */
export function attachToCgroup(program: BpfDescriptor, attachType: number, cgroupDir: string): BpfDescriptor {
  const cgroup = openDirectory(cgroupDir);
  try {
    const attribute = new BpfAttribute(LINK_SIZE).u32(0, program.fd).u32(4, cgroup).u32(8, attachType);
    const fd = bpf(BPF_LINK_CREATE, attribute);
    if (fd >= 0) return new BpfDescriptor(fd);
    const error = lastKernelError('attach BPF program', cgroupDir);
    const detail = ATTACH_REFUSALS.get(error.code);
    throw detail === undefined ? error : kernelErrorFromErrno(error.operation, error.errno, cgroupDir, detail);
  } finally {
    libc().close(cgroup);
  }
}

/** Another program at the place of the one that is there, without a moment of none. Throws KernelError. */
export function updateCgroupLink(link: BpfDescriptor, program: BpfDescriptor): void {
  const attribute = new BpfAttribute(LINK_SIZE).u32(0, link.fd).u32(4, program.fd);
  bpfOrThrow(BPF_LINK_UPDATE, attribute, 'update BPF link', '');
}

/** kernel/bpf/cgroup.c */
const ATTACH_REFUSALS: ReadonlyMap<string, string> = new Map([
  ['E2BIG', 'as many programs are attached to this cgroup as the kernel permits (64)'],
  ['EPERM', 'not permitted, or somebody else’s program is attached to this cgroup in a way that permits no others'],
  ['EBADF', 'not a cgroup of version 2'],
]);

/** `name` is a tracepoint of the kernel's, without its group: `sched_process_fork`. Throws KernelError. */
export function attachToTracepoint(program: BpfDescriptor, name: string): BpfDescriptor {
  const attribute = new BpfAttribute(TRACEPOINT_SIZE).pointer(0, cString(name)).u32(8, program.fd);
  return new BpfDescriptor(bpfOrThrow(BPF_RAW_TRACEPOINT_OPEN, attribute, 'open raw tracepoint', name));
}

function openDirectory(path: string): number {
  const fd = libc().open(path, fileConstants.O_RDONLY | fileConstants.O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) throw lastKernelError('open', path);
  return fd;
}

function endOfLog(log: Uint8Array): string {
  const end = log.indexOf(0);
  const text = new TextDecoder('latin1').decode(log.subarray(0, end < 0 ? log.length : end)).trim();
  return text.length <= SHOWN_LOG_CHARACTERS ? text : `… ${text.slice(-SHOWN_LOG_CHARACTERS)}`;
}
