/**
 * Where this kernel keeps what the programs read: offsets in bytes, under the kernel's own names. They change with every
 * version and configuration, so they are looked up in the running kernel's type information.
 */
import { type Btf, memberOffset, structSize } from './btf.ts';
import { BtfError } from './errors.ts';

export interface KernelLayout {
  readonly task_struct: {
    readonly mm: number;
    readonly files: number;
    readonly group_leader: number;
    readonly thread_pid: number;
    readonly start_boottime: number;
    readonly signal: number;
  };
  readonly signal_struct: { readonly live: number };
  readonly mm_struct: { readonly exe_file: number };
  readonly files_struct: { readonly fdt: number };
  readonly fdtable: { readonly max_fds: number; readonly fd: number };
  readonly file: { readonly f_inode: number; readonly dentry: number };
  /** `name`: a pointer to its bytes, which end with a NUL. */
  readonly dentry: { readonly name: number };
  readonly inode: {
    readonly i_ino: number;
    readonly i_sb: number;
    readonly i_generation: number;
    readonly i_nlink: number;
    /** Of the change time, under whichever names: 8 bytes, and the low 4 bytes. */
    readonly ctime_sec: number;
    readonly ctime_nsec: number;
  };
  readonly super_block: { readonly s_dev: number };
  readonly pid: { readonly level: number; readonly numbers: number };
  readonly upid: { readonly nr: number; readonly ns: number; readonly size: number };
  readonly linux_binprm: { readonly filename: number; readonly interp: number };
  /**
   * What a socket begins with. `skc_num`: its port, echo identifier or protocol, in the byte order of the machine; `skc_dport`: the port that it
   * is connected to, in that of the network.
   */
  readonly sock_common: { readonly skc_num: number; readonly skc_dport: number };
}

const POINTER = 8;
const U16 = 2;
const U32 = 4;
const U64 = 8;

/**
 * Names of the change time's seconds and nanoseconds: since Linux 6.11, since 6.6, before. The nanoseconds are an u32, or a
 * long whose low half is meant.
 */
const CTIME_NAMES: readonly (readonly [seconds: string, nanoseconds: string, nanosecondsBytes: number])[] = [
  ['i_ctime_sec', 'i_ctime_nsec', U32],
  ['__i_ctime.tv_sec', '__i_ctime.tv_nsec', U64],
  ['i_ctime.tv_sec', 'i_ctime.tv_nsec', U64],
];

/** Throws BtfError that names the member which this kernel lacks, or has in another size. */
export function kernelLayout(btf: Btf): KernelLayout {
  if (!btf.littleEndian) throw new BtfError('the kernel is big-endian');
  const at = (struct: string, path: string, size: number): number => memberOffset(btf, struct, path, size);
  return {
    task_struct: {
      mm: at('task_struct', 'mm', POINTER),
      files: at('task_struct', 'files', POINTER),
      group_leader: at('task_struct', 'group_leader', POINTER),
      thread_pid: at('task_struct', 'thread_pid', POINTER),
      start_boottime: at('task_struct', 'start_boottime', U64),
      signal: at('task_struct', 'signal', POINTER),
    },
    signal_struct: { live: at('signal_struct', 'live', U32) },
    mm_struct: { exe_file: at('mm_struct', 'exe_file', POINTER) },
    files_struct: { fdt: at('files_struct', 'fdt', POINTER) },
    fdtable: { max_fds: at('fdtable', 'max_fds', U32), fd: at('fdtable', 'fd', POINTER) },
    file: { f_inode: at('file', 'f_inode', POINTER), dentry: at('file', 'f_path.dentry', POINTER) },
    dentry: { name: at('dentry', 'd_name.name', POINTER) },
    inode: {
      i_ino: at('inode', 'i_ino', U64),
      i_sb: at('inode', 'i_sb', POINTER),
      i_generation: at('inode', 'i_generation', U32),
      i_nlink: at('inode', 'i_nlink', U32),
      ...changeTime(btf),
    },
    super_block: { s_dev: at('super_block', 's_dev', U32) },
    pid: { level: at('pid', 'level', U32), numbers: memberOffset(btf, 'pid', 'numbers') },
    upid: { nr: at('upid', 'nr', U32), ns: at('upid', 'ns', POINTER), size: structSize(btf, 'upid') },
    linux_binprm: { filename: at('linux_binprm', 'filename', POINTER), interp: at('linux_binprm', 'interp', POINTER) },
    sock_common: { skc_num: at('sock_common', 'skc_num', U16), skc_dport: at('sock_common', 'skc_dport', U16) },
  };
}

function changeTime(btf: Btf): { readonly ctime_sec: number; readonly ctime_nsec: number } {
  const refusals: string[] = [];
  for (const [seconds, nanoseconds, nanosecondsBytes] of CTIME_NAMES) {
    try {
      return {
        ctime_sec: memberOffset(btf, 'inode', seconds, U64),
        ctime_nsec: memberOffset(btf, 'inode', nanoseconds, nanosecondsBytes),
      };
    } catch (error) {
      if (!(error instanceof BtfError)) throw error;
      refusals.push(error.message);
    }
  }
  throw new BtfError(refusals.join('; '));
}
