/** Pieces of programs: the key and the name of a file that runs. */
import { and32, branch, type Instruction, label, load, type Register, store } from './instruction.ts';
import type { KernelLayout } from './kernel-layout.ts';
import { follow, read, readText } from './kernel-memory.ts';
import { EXECUTABLE_KEY_BYTES, EXECUTABLE_KEY_FIELDS, FILE_NAME_BYTES } from './records.ts';

/** Since Linux 6.13 the upper bit of the nanoseconds says whether anybody has looked (I_CTIME_QUERIED). */
const CTIME_NSEC_MASK = 0x7fffffff;

/** Zeros, the key of no executable. */
export const clearKey = (keySlot: number): readonly Instruction[] => clear(keySlot, EXECUTABLE_KEY_BYTES);

/** `bytes`: whole words of 8. */
export function clear(slot: number, bytes: number): readonly Instruction[] {
  return Array.from({ length: bytes / 8 }, (_, index) => store('u64', 'r10', slot + 8 * index, 0));
}

export interface ReadFile {
  readonly layout: KernelLayout;
  /** 8 bytes for pointers on the way. */
  readonly scratchSlot: number;
  /** Kept in calls, r6 to r9; it is changed. */
  readonly cursor: Register;
}

export interface ReadKey extends ReadFile {
  /** Where the key is to be: EXECUTABLE_KEY_BYTES, cleared before. */
  readonly keySlot: number;
  /** Before every label. */
  readonly prefix: string;
}

/** Points `cursor` to the `struct file` of the executable of a task, or jumps to `none`: a thread of the kernel has none. */
export function findExecutable(
  task: Register,
  { layout, scratchSlot, cursor, none }: ReadFile & { readonly none: string },
): readonly Instruction[] {
  return [
    ...follow(cursor, task, layout.task_struct.mm, scratchSlot),
    branch(cursor, 'equal', 0, none),
    ...follow(cursor, cursor, layout.mm_struct.exe_file, scratchSlot),
    branch(cursor, 'equal', 0, none),
  ];
}

/** The key of the executable of the task that `task` points to; it stays clear for a thread of the kernel. */
export function readExecutableOfTask(task: Register, options: ReadKey): readonly Instruction[] {
  const none = `${options.prefix} no executable`;
  return [...findExecutable(task, { ...options, none }), ...readKeyOfFile(options), label(none)];
}

/**
 * The last part of the path of the `struct file` that `cursor` points to, as it is now: a file that is renamed while it runs has
 * the new one. FILE_NAME_BYTES at `nameSlot`; r0 is 1 or less, or a negative errno, where it has none.
 */
export function readNameOfFile({
  layout,
  scratchSlot,
  cursor,
  nameSlot,
}: ReadFile & { readonly nameSlot: number }): readonly Instruction[] {
  return [
    ...clear(nameSlot, FILE_NAME_BYTES),
    ...follow(cursor, cursor, layout.file.dentry, scratchSlot),
    ...follow(cursor, cursor, layout.dentry.name, scratchSlot),
    ...readText(nameSlot, FILE_NAME_BYTES, cursor),
  ];
}

/** Jumps to `otherwise` where the `struct file` that `cursor` points to has more than one name: it may come under another path without being touched. */
export function branchOnLinks({ layout, scratchSlot, cursor }: ReadFile, otherwise: string): readonly Instruction[] {
  return [
    ...follow(cursor, cursor, layout.file.f_inode, scratchSlot),
    store('u64', 'r10', scratchSlot, 0),
    ...read(scratchSlot, 4, cursor, layout.inode.i_nlink),
    load('u32', 'r1', 'r10', scratchSlot),
    branch('r1', 'above', 1, otherwise),
  ];
}

/** The key of the `struct file` that `cursor` points to. */
export function readKeyOfFile({
  layout,
  keySlot,
  scratchSlot,
  cursor,
}: Omit<ReadKey, 'prefix'>): readonly Instruction[] {
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
