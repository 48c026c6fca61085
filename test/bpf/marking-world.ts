/** A made-up kernel with the project's maps as a daemon leaves them, by the layout of a real kernel's version. */
import { readFileSync } from 'node:fs';
import { parseBtf } from '../../src/bpf/btf.ts';
import { type KernelLayout, kernelLayout } from '../../src/bpf/kernel-layout.ts';
import { COUNTER_TASKS_LOST } from '../../src/bpf/maps.ts';
import {
  CONFIG_BYTES,
  type CreatorRecord,
  decodeConfig,
  decodeCreatorRecord,
  decodeExecutableKey,
  decodeReleasedRecord,
  decodeTaskRecord,
  decodeU64,
  decodeUserReleasedRecord,
  EXECUTABLE_KEY_BYTES,
  type ExecutableKey,
  type ExecutableRecord,
  encodeConfig,
  encodeExecutableKey,
  encodeExecutableRecord,
  encodeFileId,
  encodeFileName,
  encodeFileRecord,
  encodeReleasedKey,
  encodeTaskRecord,
  encodeU32,
  encodeU64,
  encodeUserReleasedKey,
  fileIdOf,
  fileNameOf,
  type Nobody,
  type ReleasedSocket,
  type ScriptStarts,
  type TaskRecord,
  type UserReleased,
} from '../../src/bpf/records.ts';
import { MemoryMaps, runProgram } from './interpreter.ts';
import { type ExecutableFile, KernelWorld } from './kernel-world.ts';

export const KERNELS = ['linux-6.18', 'linux-6.1'] as const;
export type KernelName = (typeof KERNELS)[number];

export const NETNS_COOKIE = 77n;
export const CGROUP = 443n;
/** It is in another one, below the root. */
export const CGROUP_IDS: readonly bigint[] = [12n, CGROUP];
export const COOKIE = 0x1122334455n;
export const EPOCH = 7;
export const UID = 1000;
export const GID = 100;
const AF_INET = 2;
const SOCK_DGRAM = 2;

export const PYTHON: ExecutableFile = {
  inode: 0x1_0000_0005n,
  device: 254 << 20,
  generation: 3,
  changeSeconds: 1_745_849_508n,
  // Somebody has looked: not part of the key.
  changeNanoseconds: 0x80000000 + 123_456_789,
  name: 'python3',
};
export const CURL: ExecutableFile = { ...PYTHON, inode: 6n, name: 'curl' };

export function layoutOf(name: KernelName): KernelLayout {
  const path = new URL(`../../src/bpf/testdata/${name}.btf`, import.meta.url);
  return kernelLayout(parseBtf(new Uint8Array(readFileSync(path))));
}

/** The key by definition, not by the program. */
export function keyOf(file: ExecutableFile): ExecutableKey {
  const bytes = new Uint8Array(EXECUTABLE_KEY_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, file.inode, true);
  view.setUint32(8, file.device, true);
  view.setUint32(12, file.generation, true);
  view.setBigUint64(16, file.changeSeconds, true);
  view.setUint32(24, file.changeNanoseconds % 2 ** 31, true);
  return decodeExecutableKey(bytes);
}

export interface NewSocket {
  readonly family?: number;
  readonly type?: number;
  readonly protocol?: number;
  readonly mark?: number;
  readonly netnsCookie?: bigint;
}

export interface ClosedSocket {
  readonly protocol: number;
  readonly port: number;
  readonly remotePort?: number;
  readonly cookie?: bigint;
  readonly atNs?: bigint;
  readonly netnsCookie?: bigint;
  /** Of who closes it. */
  readonly uid?: number;
}

export interface MarkingWorldOptions {
  /** Depth of the daemon's pid namespace. */
  readonly pidLevel?: number;
  readonly hello?: boolean;
  readonly nobody?: Nobody;
  readonly scripts?: ScriptStarts;
}

export interface Named {
  readonly name?: string;
  readonly file?: ExecutableFile;
  readonly flags?: number;
}

export class MarkingWorld {
  readonly kernel: KernelWorld;
  readonly maps: MemoryMaps = new MemoryMaps();
  nowNs = 1_000_000_000n;

  constructor(layout: KernelLayout, { pidLevel = 0, hello = false, nobody, scripts }: MarkingWorldOptions = {}) {
    this.kernel = new KernelWorld(layout);
    const pidNamespace = this.kernel.pidNamespace(pidLevel);
    const config = { netnsCookie: NETNS_COOKIE, pidNamespace, pidLevel, cgroupEpoch: EPOCH, hello, nobody, scripts };
    this.maps.set('config', encodeU32(0), encodeConfig(config));
  }

  get scripts(): ScriptStarts | undefined {
    return decodeConfig(this.maps.get('config', encodeU32(0)) ?? new Uint8Array(CONFIG_BYTES)).scripts;
  }

  setExecutable(file: ExecutableFile, record: ExecutableRecord): void {
    this.maps.set('executables', encodeExecutableKey(keyOf(file)), encodeExecutableRecord(record));
  }

  /** What has such a name, or is such a file, may be named. */
  setNamed({ name, file, flags = 0 }: Named): void {
    if (name !== undefined)
      this.maps.set('names', encodeFileName(fileNameOf(Buffer.from(name, 'latin1'))), encodeU32(flags));
    if (file === undefined) return;
    this.maps.set('files', encodeFileId(fileIdOf(keyOf(file))), encodeFileRecord({ flags, number: 0 }));
  }

  setTask(pid: number, record: TaskRecord): void {
    this.maps.set('tasks', encodeU32(pid), encodeTaskRecord(record));
  }

  taskOf(pid: number): TaskRecord | undefined {
    const value = this.maps.get('tasks', encodeU32(pid));
    return value && decodeTaskRecord(value);
  }

  setCgroupEpoch(epoch: number): void {
    this.maps.set('cgroups', encodeU64(CGROUP), encodeU32(epoch));
  }

  creator(): CreatorRecord | undefined {
    const value = this.maps.get('creators', encodeU64(COOKIE));
    return value && decodeCreatorRecord(value);
  }

  counts(): readonly number[] {
    return [0, 1, 2].map((index) => Number(decodeU64(this.maps.get('counters', encodeU32(index)) ?? encodeU64(0n))));
  }

  tasksLost(): number {
    return Number(decodeU64(this.maps.get('counters', encodeU32(COUNTER_TASKS_LOST)) ?? encodeU64(0n)));
  }

  /** Runs a cgroup/sock_create program for a socket that `current` makes; the socket's mark. */
  makeSocket(program: Uint8Array, current: bigint, socket: NewSocket = {}): number {
    // struct bpf_sock: bound_dev_if, family, type, protocol, mark, priority.
    const { family = AF_INET, type = SOCK_DGRAM, protocol = 0, mark = 0, netnsCookie = NETNS_COOKIE } = socket;
    const context = new Uint32Array([0, family, type, protocol, mark, 0]);
    const results = { 15: (BigInt(GID) << 32n) | BigInt(UID), 46: COOKIE, 80: CGROUP, 122: netnsCookie };
    const bytes = new Uint8Array(context.buffer);
    const allowed = runProgram(program, { ...this, current, context: bytes, cgroupIds: CGROUP_IDS, results });
    if (allowed !== 1n) throw new Error(`the socket was refused: ${allowed}`);
    return context[4] as number;
  }

  /** Runs a cgroup/sock_release program for a socket that is closed. */
  closeSocket(
    program: Uint8Array,
    { protocol, port, remotePort = 0, cookie = COOKIE, atNs = 0n, netnsCookie = NETNS_COOKIE, uid = UID }: ClosedSocket,
  ): void {
    const context = new Uint32Array([0, AF_INET, SOCK_DGRAM, protocol, 0, 0]);
    const behindContext = this.kernel.addSocket(port, remotePort);
    const results = { 5: atNs, 15: (BigInt(GID) << 32n) | BigInt(uid), 46: cookie, 122: netnsCookie };
    const run = { ...this, current: 0n, context: new Uint8Array(context.buffer), behindContext, results };
    if (runProgram(program, run) !== 1n) throw new Error('the socket was not closed');
  }

  /** The last ones that were closed. */
  released(protocol: number, port: number): readonly ReleasedSocket[] {
    const value = this.maps.get('released', encodeReleasedKey(protocol, port));
    return value === undefined ? [] : decodeReleasedRecord(value);
  }

  /** The last one that this user has closed at the place of this port. */
  releasedBy(uid: number, port: number): UserReleased | undefined {
    const value = this.maps.get('closers', encodeUserReleasedKey(uid, port));
    return value && decodeUserReleasedRecord(value);
  }

  /** Runs a raw tracepoint program. */
  trace(program: Uint8Array, ...args: readonly bigint[]): void {
    // As many as any of them has.
    const context = new Uint8Array(new BigUint64Array([...args, 0n, 0n, 0n].slice(0, 3)).buffer);
    const results = { 5: this.nowNs };
    const result = runProgram(program, { ...this, current: 0n, context, results });
    if (result !== 0n) throw new Error(`the program returned ${result}`);
  }
}
