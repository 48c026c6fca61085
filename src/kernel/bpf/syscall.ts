/**
 * bpf(2). Commands and the layout of `union bpf_attr`: linux/bpf.h. The kernel takes an attribute that is longer than the
 * one it knows, as long as the rest is zero, so sizes here are those of the newest member that is used.
 */
import { constants } from 'node:os';
import { kernelErrorFromErrno, lastKernelError } from '../errno.ts';
import type { KernelError } from '../kernel-error.ts';
import { libc } from '../libc.ts';

export const BPF_MAP_CREATE = 0;
export const BPF_MAP_LOOKUP_ELEM = 1;
export const BPF_MAP_UPDATE_ELEM = 2;
export const BPF_MAP_DELETE_ELEM = 3;
export const BPF_PROG_LOAD = 5;
export const BPF_OBJ_PIN = 6;
export const BPF_OBJ_GET = 7;
export const BPF_OBJ_GET_INFO_BY_FD = 15;
export const BPF_PROG_QUERY = 16;
export const BPF_RAW_TRACEPOINT_OPEN = 17;
export const BPF_MAP_LOOKUP_BATCH = 24;
export const BPF_MAP_UPDATE_BATCH = 26;
export const BPF_LINK_CREATE = 28;
export const BPF_LINK_UPDATE = 29;

/** Number of the system call, by Node's name of the architecture. */
const NUMBERS: ReadonlyMap<string, number> = new Map([
  ['x64', 321],
  ['arm', 386],
  ['arm64', 280],
  ['riscv64', 280],
]);

/** Bytes of names of maps and programs, the NUL at the end included. */
const BPF_OBJ_NAME_LEN = 16;

/** A `union bpf_attr` in the making: members are written at their offset of linux/bpf.h. */
export class BpfAttribute {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  /** What pointers lead to, kept as long as the attribute. */
  readonly #pointees = new Map<number, Uint8Array>();

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
  }

  u32(offset: number, value: number): this {
    this.#view.setUint32(offset, value, true);
    return this;
  }

  readU32(offset: number): number {
    return this.#view.getUint32(offset, true);
  }

  pointer(offset: number, pointee: Uint8Array): this {
    this.#pointees.set(offset, pointee);
    this.#view.setBigUint64(offset, libc().address(pointee), true);
    return this;
  }

  /** The name of a map or program, cut where it is too long. */
  name(offset: number, name: string): this {
    const text = new TextEncoder().encode(name.replace(/[^A-Za-z0-9_.]/g, '_'));
    this.bytes.set(text.subarray(0, BPF_OBJ_NAME_LEN - 1), offset);
    return this;
  }
}

/** A string as C has it. */
export function cString(text: string): Uint8Array {
  const encoded = new TextEncoder().encode(text);
  const bytes = new Uint8Array(encoded.length + 1);
  bytes.set(encoded);
  return bytes;
}

/**
 * The system call. A descriptor or 0, and -1 with the errno of the calling thread where the kernel refuses. Throws
 * KernelError (ENOSYS) where it is not known how to call it.
 */
export function bpf(command: number, attribute: BpfAttribute): number {
  const number = NUMBERS.get(process.arch);
  if (number === undefined) throw kernelErrorFromErrno('bpf', constants.errno.ENOSYS, process.arch);
  return libc().syscall(number, command, attribute.bytes, attribute.bytes.length);
}

/** The same; a refusal is thrown as a KernelError with these words. */
export function bpfOrThrow(command: number, attribute: BpfAttribute, operation: string, object: string): number {
  const result = bpf(command, attribute);
  if (result < 0) throw lastKernelError(operation, object);
  return result;
}

/** The error of the call that has just failed to make something: where BPF as a whole is refused, in words that say so. */
export function creationRefusal(operation: string, object: string): KernelError {
  const error = lastKernelError(operation, object);
  const detail = REFUSALS.get(error.errno);
  return detail === undefined ? error : kernelErrorFromErrno(operation, error.errno, object, detail);
}

const REFUSALS: ReadonlyMap<number, string> = new Map([
  [constants.errno.EPERM, 'BPF is not permitted (CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, or CAP_SYS_ADMIN)'],
  [constants.errno.ENOSYS, 'this kernel has no bpf(2) (CONFIG_BPF_SYSCALL)'],
]);
