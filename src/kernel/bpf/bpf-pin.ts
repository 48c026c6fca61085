/** Names for BPF objects in a BPF file system: what has one outlives the process that made it. */
import { renameSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { lastKernelError } from '../errno.ts';
import { libc } from '../libc.ts';
import { BPF_OBJ_GET, BPF_OBJ_GET_INFO_BY_FD, BPF_OBJ_PIN, BpfAttribute, bpf, bpfOrThrow, cString } from './syscall.ts';

/** Sizes of the members of `union bpf_attr`. */
const PIN_SIZE = 16;
const INFO_SIZE = 16;
/** `struct bpf_map_info` up to `map_flags`. */
const MAP_INFO_BYTES = 24;
/** Names with a dot are the kernel's own (kernel/bpf/inode.c). */
const NEXT = '_next';

/** At this path from now on, in the place of whatever had it before. Throws KernelError. */
export function pinObject(fd: number, path: string): void {
  const attribute = new BpfAttribute(PIN_SIZE).u32(8, fd);
  const pin = (at: string): number => bpf(BPF_OBJ_PIN, attribute.pointer(0, cString(at)));
  if (pin(path) >= 0) return;
  const error = lastKernelError('pin BPF object', path);
  if (error.errno !== constants.errno.EEXIST) throw error;
  const next = `${path}${NEXT}`;
  rmSync(next, { force: true });
  if (pin(next) < 0) throw lastKernelError('pin BPF object', next);
  renameSync(next, path);
}

/** A descriptor of what is pinned there; `undefined` where nothing is. Throws KernelError. */
export function openPinned(path: string): number | undefined {
  const fd = bpf(BPF_OBJ_GET, new BpfAttribute(PIN_SIZE).pointer(0, cString(path)));
  if (fd >= 0) return fd;
  if (libc().errno() === constants.errno.ENOENT) return undefined;
  throw lastKernelError('open pinned BPF object', path);
}

export interface MapInfo {
  readonly type: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly maxEntries: number;
  readonly flags: number;
}

/** What the kernel says that a map is. Throws KernelError. */
export function mapInfo(fd: number): MapInfo {
  const bytes = new Uint8Array(MAP_INFO_BYTES);
  const attribute = new BpfAttribute(INFO_SIZE).u32(0, fd).u32(4, bytes.length).pointer(8, bytes);
  bpfOrThrow(BPF_OBJ_GET_INFO_BY_FD, attribute, 'look at BPF map', '');
  const view = new DataView(bytes.buffer);
  const at = (offset: number): number => view.getUint32(offset, true);
  return { type: at(0), keyBytes: at(8), valueBytes: at(12), maxEntries: at(16), flags: at(20) };
}
