/** Pieces of programs: the key of a file that runs. */
import { and32, branch, type Instruction, label, load, type Register, store } from './instruction.ts';
import type { KernelLayout } from './kernel-layout.ts';
import { follow, read } from './kernel-memory.ts';
import { EXECUTABLE_KEY_BYTES, EXECUTABLE_KEY_FIELDS } from './records.ts';

/** Since Linux 6.13 the upper bit of the nanoseconds says whether anybody has looked (I_CTIME_QUERIED). */
const CTIME_NSEC_MASK = 0x7fffffff;

/** Zeros, the key of no executable. */
export function clearKey(keySlot: number): readonly Instruction[] {
  const words = Array.from({ length: EXECUTABLE_KEY_BYTES / 8 }, (_, index) => keySlot + 8 * index);
  return words.map((slot) => store('u64', 'r10', slot, 0));
}

export interface ReadKey {
  readonly layout: KernelLayout;
  /** Where the key is to be: EXECUTABLE_KEY_BYTES, cleared before. */
  readonly keySlot: number;
  /** 8 bytes for pointers on the way. */
  readonly scratchSlot: number;
  /** Kept in calls, r6 to r9; it is changed. */
  readonly cursor: Register;
  /** Before every label. */
  readonly prefix: string;
}

/** The key of the executable of the task that `task` points to; it stays clear for a thread of the kernel. */
export function readExecutableOfTask(task: Register, options: ReadKey): readonly Instruction[] {
  const { layout, scratchSlot, cursor, prefix } = options;
  const none = `${prefix} no executable`;
  return [
    ...follow(cursor, task, layout.task_struct.mm, scratchSlot),
    branch(cursor, 'equal', 0, none),
    ...follow(cursor, cursor, layout.mm_struct.exe_file, scratchSlot),
    branch(cursor, 'equal', 0, none),
    ...readKeyOfFile(options),
    label(none),
  ];
}

/** The key of the `struct file` that `cursor` points to. */
export function readKeyOfFile({ layout, keySlot, scratchSlot, cursor }: ReadKey): readonly Instruction[] {
  const { inode } = layout;
  const at = EXECUTABLE_KEY_FIELDS;
  const nanoseconds = keySlot + at.changeNanoseconds;
  return [
    ...follow(cursor, cursor, layout.file.f_inode, scratchSlot),
    ...read(keySlot + at.inode, 8, cursor, inode.i_ino),
    ...read(keySlot + at.generation, 4, cursor, inode.i_generation),
    ...read(keySlot + at.changeSeconds, 8, cursor, inode.ctime_sec),
    ...read(nanoseconds, 4, cursor, inode.ctime_nsec),
    load('u32', 'r1', 'r10', nanoseconds),
    and32('r1', CTIME_NSEC_MASK),
    store('u32', 'r10', nanoseconds, 'r1'),
    ...follow(cursor, cursor, inode.i_sb, scratchSlot),
    ...read(keySlot + at.device, 4, cursor, layout.super_block.s_dev),
  ];
}
