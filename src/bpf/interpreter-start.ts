/**
 * Pieces of programs: whether a process that has just run another program runs an interpreter by now, which may come to run a script that
 * policies name. Only the daemon sees which one it opens.
 */
import { and32, branch, call, goto, type Instruction, label, load, store } from './instruction.ts';
import type { KernelLayout } from './kernel-layout.ts';
import { follow } from './kernel-memory.ts';
import { findExecutable, readNameOfFile } from './read-executable.ts';
import { CONFIG_FIELDS, SCRIPTS_NOT_NAMED } from './records.ts';
import { BPF_FUNC_ktime_get_ns } from './uapi.ts';

const END = '\0';

/**
 * Beginnings of the file names of executables that `identify/interpreter.ts` knows; with a NUL, the whole name. They may be those of other
 * programs, too: without a daemon, these are asked about.
 */
const INTERPRETER_NAMES: readonly string[] = [
  ...[
    'python',
    'pypy',
    'perl',
    'ruby',
    'jruby',
    'truffleruby',
    'php',
    'lua',
    'tclsh',
    'wish',
    'guile',
    'gjs',
    'wine',
    'mono',
  ],
  ...['zsh', 'ksh', 'mksh', 'oksh', 'pksh', 'lksh'],
  ...['sh', 'ash', 'dash', 'bash', 'rbash', 'rksh', 'yash', 'posh', 'busybox', 'toybox', 'fish'].map(
    (name) => name + END,
  ),
  ...['node', 'nodejs', 'bun', 'deno', 'java', 'R'].map((name) => name + END),
];

/** Whether an executable of this name counts as an interpreter. `name`: one character for each byte. */
export const startsAsInterpreter = (name: string): boolean =>
  INTERPRETER_NAMES.some((beginning) => `${name}${END}`.startsWith(beginning));

export interface InterpreterStart {
  readonly layout: KernelLayout;
  /** FILE_NAME_BYTES, changed. */
  readonly nameSlot: number;
  readonly scratchSlot: number;
  /** u64: since when, or 0. */
  readonly sinceSlot: number;
}

/** r6: the task, r7: its `struct linux_binprm`, r8: value of `config`. r9 is changed. */
export function readInterpreterStart({
  layout,
  nameSlot,
  scratchSlot,
  sinceSlot,
}: InterpreterStart): readonly Instruction[] {
  const { filename, interp } = layout.linux_binprm;
  const none = 'no interpreter';
  return [
    store('u64', 'r10', sinceSlot, 0),
    load('u32', 'r1', 'r8', CONFIG_FIELDS.scripts),
    branch('r1', 'equal', SCRIPTS_NOT_NAMED, none),
    // Whatever it is called, where the kernel took it from the first line of what was to be run.
    ...follow('r9', 'r7', filename, scratchSlot),
    ...follow('r1', 'r7', interp, scratchSlot),
    branch('r1', 'not equal', 'r9', 'interpreter'),
    ...findExecutable('r6', { layout, scratchSlot, cursor: 'r9', none }),
    ...readNameOfFile({ layout, scratchSlot, cursor: 'r9', nameSlot }),
    ...branchOnInterpreterName(nameSlot, 'interpreter'),
    goto(none),
    label('interpreter'),
    call(BPF_FUNC_ktime_get_ns),
    store('u64', 'r10', sinceSlot, 'r0'),
    label(none),
  ];
}

/** Jumps to `interpreter` where the file name at `nameSlot` is that of one. */
export const branchOnInterpreterName = (nameSlot: number, interpreter: string): readonly Instruction[] =>
  INTERPRETER_NAMES.flatMap((name) => branchOnBeginning(name, nameSlot, interpreter));

const WORD_BYTES = 4;

function branchOnBeginning(beginning: string, nameSlot: number, found: string): readonly Instruction[] {
  const other = `not ${beginning}`;
  const words = Array.from({ length: Math.ceil(beginning.length / WORD_BYTES) }, (_, index) => index * WORD_BYTES);
  return [
    ...words.flatMap((at) => {
      const bytes = Array.from(beginning.slice(at, at + WORD_BYTES), (character) => character.charCodeAt(0));
      const word = bytes.reduce((sum, byte, index) => sum + byte * 2 ** (8 * index), 0);
      return [
        load('u32', 'r1', 'r10', nameSlot + at),
        ...(bytes.length < WORD_BYTES ? [and32('r1', 2 ** (8 * bytes.length) - 1)] : []),
        branch('r1', 'not equal', word, other),
      ];
    }),
    goto(found),
    label(other),
  ];
}
