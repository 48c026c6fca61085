/** Tasks, files and pid namespaces in the memory of a made-up kernel, laid out as a real one. */
import type { KernelLayout } from '../../src/bpf/kernel-layout.ts';

const FIRST_ADDRESS = 0xffff_8880_0000_0000n;
const STRUCT_BYTES = 16_384;
const NANOSECONDS_PER_TICK = 10_000_000n;
const NOT_ITS_NUMBER = 7777;

export interface ExecutableFile {
  readonly inode: bigint;
  readonly device: number;
  readonly generation: number;
  readonly changeSeconds: bigint;
  /** As in the kernel's memory, with the bit that says whether somebody has looked. */
  readonly changeNanoseconds: number;
  /** How many names it has; one unless stated. */
  readonly links?: number;
  /** The last part of its path. Of no file that has none. */
  readonly name?: string;
}

export interface ProcessOptions {
  /** `undefined`: a thread of the kernel. */
  readonly executable: ExecutableFile | undefined;
  /** Its numbers in its pid namespaces, the outermost first. */
  readonly pids: readonly number[];
  readonly startTicks: number;
  readonly liveThreads?: number;
  readonly openFiles?: readonly (ExecutableFile | undefined)[];
}

export class KernelWorld {
  readonly #layout: KernelLayout;
  readonly #structs = new Map<bigint, DataView>();
  #next = FIRST_ADDRESS;

  constructor(layout: KernelLayout) {
    this.#layout = layout;
  }

  /** The address of the pid namespace of a level; there is one of each. */
  pidNamespace(level: number): bigint {
    return 0xffff_ffff_8300_0000n + BigInt(level) * 0x1000n;
  }

  /** As bpf_probe_read_kernel: zeros where there is nothing. */
  read(address: bigint, length: number): Uint8Array {
    const base = FIRST_ADDRESS + ((address - FIRST_ADDRESS) / BigInt(STRUCT_BYTES)) * BigInt(STRUCT_BYTES);
    const struct = address < FIRST_ADDRESS ? undefined : this.#structs.get(base);
    return struct === undefined
      ? new Uint8Array(length)
      : new Uint8Array(struct.buffer, Number(address - base), length).slice();
  }

  isReadable(address: bigint): boolean {
    return address >= FIRST_ADDRESS && address < this.#next;
  }

  /** The address of its first thread. */
  addProcess(options: ProcessOptions): bigint {
    const { task_struct, mm_struct, signal_struct, files_struct, fdtable } = this.#layout;
    const task = this.#allocate();
    this.#u64(task, task_struct.group_leader, task);
    this.#u64(task, task_struct.start_boottime, BigInt(options.startTicks) * NANOSECONDS_PER_TICK + 1234n);
    this.#u64(task, task_struct.thread_pid, this.#addPid(options.pids));
    const signal = this.#allocate();
    this.#u64(task, task_struct.signal, signal);
    this.#u32(signal, signal_struct.live, options.liveThreads ?? 1);
    if (options.executable !== undefined) {
      const mm = this.#allocate();
      this.#u64(task, task_struct.mm, mm);
      this.#u64(mm, mm_struct.exe_file, this.#addFile(options.executable));
    }
    const [files, table, descriptors] = [this.#allocate(), this.#allocate(), this.#allocate()];
    const openFiles = options.openFiles ?? [];
    this.#u64(task, task_struct.files, files);
    this.#u64(files, files_struct.fdt, table);
    this.#u32(table, fdtable.max_fds, openFiles.length);
    this.#u64(table, fdtable.fd, descriptors);
    for (const [fd, file] of openFiles.entries()) {
      if (file !== undefined) this.#u64(descriptors, 8 * fd, this.#addFile(file));
    }
    return task;
  }

  /** What `sched_process_exec` is given of the file that was to be run; `interpreted`: by its first line another one is. */
  addExec({ interpreted }: { readonly interpreted: boolean }): bigint {
    const { linux_binprm } = this.#layout;
    const [binprm, name, other] = [this.#allocate(), this.#allocate(), this.#allocate()];
    this.#u64(binprm, linux_binprm.filename, name);
    this.#u64(binprm, linux_binprm.interp, interpreted ? other : name);
    return binprm;
  }

  /** Another thread of a process, with a number of its own. */
  addThread(leader: bigint, pids: readonly number[]): bigint {
    const { task_struct } = this.#layout;
    const task = this.#allocate();
    for (const member of [task_struct.mm, task_struct.signal, task_struct.files])
      this.#u64(task, member, this.#pointer(leader, member));
    this.#u64(task, task_struct.group_leader, leader);
    this.#u64(task, task_struct.start_boottime, 999_999_999_999n);
    this.#u64(task, task_struct.thread_pid, this.#addPid(pids));
    return task;
  }

  /** The address of an internet socket. */
  addSocket(port: number, remotePort: number): bigint {
    const socket = this.#allocate();
    this.#view(socket).setUint16(this.#layout.sock_common.skc_num, port, true);
    this.#view(socket).setUint16(this.#layout.sock_common.skc_dport, remotePort);
    return socket;
  }

  #addPid(numbers: readonly number[]): bigint {
    const { pid, upid } = this.#layout;
    const address = this.#allocate();
    this.#u32(address, pid.level, numbers.length - 1);
    // Behind its own numbers stands other memory, here what would be taken for a number of the next namespace.
    for (const [level, number] of [...numbers, NOT_ITS_NUMBER].entries()) {
      const at = pid.numbers + level * upid.size;
      this.#u32(address, at + upid.nr, number);
      this.#u64(address, at + upid.ns, this.pidNamespace(level));
    }
    return address;
  }

  #addFile(options: ExecutableFile): bigint {
    const { file, inode, super_block, dentry } = this.#layout;
    const [fileAt, inodeAt, superAt] = [this.#allocate(), this.#allocate(), this.#allocate()];
    this.#u64(fileAt, file.f_inode, inodeAt);
    this.#u64(inodeAt, inode.i_ino, options.inode);
    this.#u64(inodeAt, inode.i_sb, superAt);
    this.#u32(inodeAt, inode.i_generation, options.generation);
    this.#u32(inodeAt, inode.i_nlink, options.links ?? 1);
    this.#u64(inodeAt, inode.ctime_sec, options.changeSeconds);
    this.#u32(inodeAt, inode.ctime_nsec, options.changeNanoseconds);
    this.#u32(superAt, super_block.s_dev, options.device);
    if (options.name !== undefined) {
      const [dentryAt, nameAt] = [this.#allocate(), this.#allocate()];
      this.#u64(fileAt, file.dentry, dentryAt);
      this.#u64(dentryAt, dentry.name, nameAt);
      new Uint8Array(this.#view(nameAt).buffer).set(Buffer.from(options.name, 'latin1'));
    }
    return fileAt;
  }

  #allocate(): bigint {
    const address = this.#next;
    this.#next += BigInt(STRUCT_BYTES);
    this.#structs.set(address, new DataView(new ArrayBuffer(STRUCT_BYTES)));
    return address;
  }

  #view(address: bigint): DataView {
    const view = this.#structs.get(address);
    if (view === undefined) throw new Error(`nothing at 0x${address.toString(16)}`);
    return view;
  }

  #u32(address: bigint, offset: number, value: number): void {
    this.#view(address).setUint32(offset, value, true);
  }

  #u64(address: bigint, offset: number, value: bigint): void {
    this.#view(address).setBigUint64(offset, value, true);
  }

  #pointer(address: bigint, offset: number): bigint {
    return this.#view(address).getBigUint64(offset, true);
  }
}
