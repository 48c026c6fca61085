/**
 * Tracepoint sched_process_exec: a process runs another program. Of what was known of it stays only whose child it is; a
 * program whose children count as its own begins that. One that may be such a program, as it has the name of one or is its file,
 * touched since, begins what has the number 0: that is asked about. One that yields begins nothing in a family that keeps its own. Since
 * when it runs an interpreter is written down where policies name scripts.
 */
import { assemble } from './assembler.ts';
import { and32, branch, exit, goto, type Instruction, label, load, move, or32, store } from './instruction.ts';
import { readInterpreterStart } from './interpreter-start.ts';
import type { KernelLayout } from './kernel-layout.ts';
import { count, lookup, remove, update } from './kernel-memory.ts';
import { COUNTER_TASKS_LOST, type MapDescriptors } from './maps.ts';
import { clearKey, findExecutable, readExecutableOfTask, readNameOfFile } from './read-executable.ts';
import { findTask, readProcess } from './read-process.ts';
import {
  EXECUTABLE_CHILDREN,
  EXECUTABLE_KEEPS,
  EXECUTABLE_KEY_BYTES,
  EXECUTABLE_RECORD_FIELDS,
  EXECUTABLE_YIELDS,
  FILE_NAME_BYTES,
  NAMED_FAMILY,
  TASK_CHILDREN,
  TASK_INTERPRETER,
  TASK_KEEPS,
  TASK_RECORD_BYTES,
  TASK_RECORD_FIELDS,
  TASK_SCRIPT,
} from './records.ts';

const SCRATCH = -8;
const INDEX = -12;
const PID = -16;
const RECORD = PID - TASK_RECORD_BYTES;
const EXECUTABLE = RECORD - EXECUTABLE_KEY_BYTES;
const NAME = EXECUTABLE - FILE_NAME_BYTES;
const START_TICKS = RECORD + TASK_RECORD_FIELDS.startTicks;
const INTERPRETER = RECORD + TASK_RECORD_FIELDS.interpreterNs;

/** Arguments of the tracepoint. */
const TASK_ARGUMENT = 0;
const BINPRM_ARGUMENT = 16;

/*
 * r6: the task, later the number of the children. r7: its linux_binprm, later flags. r8: value of `config`, later whether the family keeps
 * its own. r9: pointers on the way.
 */

/** Instructions for BPF_PROG_TYPE_RAW_TRACEPOINT on `sched_process_exec`, license GPL. */
export function execProgram(layout: KernelLayout, maps: MapDescriptors): Uint8Array {
  const at = TASK_RECORD_FIELDS;
  const shared = { layout, cursor: 'r9', scratchSlot: SCRATCH, prefix: 'task' } as const;
  const process = { pidSlot: PID, startTicksSlot: START_TICKS };
  return assemble([
    load('u64', 'r6', 'r1', TASK_ARGUMENT),
    load('u64', 'r7', 'r1', BINPRM_ARGUMENT),
    store('u32', 'r10', INDEX, 0),
    ...lookup(maps.config, INDEX),
    branch('r0', 'equal', 0, 'done'),
    move('r8', 'r0'),
    ...readProcess('r6', { ...shared, config: 'r8', ...process }),
    load('u32', 'r1', 'r10', PID),
    branch('r1', 'equal', 0, 'done'),
    ...readInterpreterStart({ layout, nameSlot: NAME, scratchSlot: SCRATCH, sinceSlot: INTERPRETER }),
    move('r7', 0),
    load('u64', 'r1', 'r10', INTERPRETER),
    branch('r1', 'equal', 0, 'flags known'),
    move('r7', TASK_INTERPRETER),
    label('flags known'),
    ...clearKey(EXECUTABLE),
    ...readExecutableOfTask('r6', { ...shared, keySlot: EXECUTABLE }),

    ...lookup(maps.executables, EXECUTABLE),
    branch('r0', 'equal', 0, 'not known'),
    load('u32', 'r8', 'r0', EXECUTABLE_RECORD_FIELDS.flags),
    move('r1', 'r8'),
    and32('r1', EXECUTABLE_CHILDREN),
    branch('r1', 'equal', 0, 'no family'),
    load('u32', 'r6', 'r0', EXECUTABLE_RECORD_FIELDS.childrenNumber),
    move('r1', 'r8'),
    and32('r8', EXECUTABLE_KEEPS),
    and32('r1', EXECUTABLE_YIELDS),
    branch('r1', 'equal', 0, 'member of family'),
    ...findTask(maps.tasks, { ...process, otherwise: 'member of family' }),
    load('u32', 'r1', 'r0', at.flags),
    and32('r1', TASK_KEEPS),
    branch('r1', 'not equal', 0, 'no family'),
    goto('member of family'),

    label('not known'),
    ...mayBeFamily(layout, maps),

    label('no family'),
    ...findTask(maps.tasks, { ...process, otherwise: 'no entry' }),
    load('u32', 'r1', 'r0', at.flags),
    move('r8', 'r1'),
    and32('r8', TASK_KEEPS),
    load('u32', 'r6', 'r0', at.childrenNumber),
    and32('r1', TASK_SCRIPT | TASK_CHILDREN),
    branch('r1', 'equal', TASK_SCRIPT | TASK_CHILDREN, 'member of family'),
    branch('r1', 'not equal', TASK_CHILDREN, 'of no family'),
    // A child that ran no script is what it was.
    or32('r7', TASK_CHILDREN),
    or32('r7', 'r8'),
    store('u32', 'r0', at.flags, 'r7'),
    load('u64', 'r1', 'r10', INTERPRETER),
    store('u64', 'r0', at.interpreterNs, 'r1'),
    goto('done'),

    label('of no family'),
    branch('r7', 'not equal', 0, 'interpreter alone'),
    ...remove(maps.tasks, PID),
    goto('done'),
    label('no entry'),
    branch('r7', 'equal', 0, 'done'),
    label('interpreter alone'),
    move('r6', 0),
    goto('written'),

    label('member of family'),
    or32('r7', TASK_CHILDREN),
    or32('r7', 'r8'),
    label('written'),
    store('u32', 'r10', RECORD + at.number, 'r6'),
    store('u32', 'r10', RECORD + at.flags, 'r7'),
    store('u32', 'r10', RECORD + at.childrenNumber, 'r6'),
    store('u32', 'r10', RECORD + at.childrenNumber + 4, 0),
    ...update(maps.tasks, PID, RECORD),
    branch('r0', 'equal', 0, 'done'),
    ...count(maps.counters, COUNTER_TASKS_LOST, { indexSlot: INDEX, otherwise: 'done' }),
    label('done'),
    move('r0', 0),
    exit(),
  ]);
}

/** On to `member of family` with r6 = 0, or to `no family`. */
function mayBeFamily(layout: KernelLayout, maps: MapDescriptors): readonly Instruction[] {
  const shared = { layout, scratchSlot: SCRATCH, cursor: 'r9' } as const;
  const isFamily = [
    load('u32', 'r1', 'r0', 0),
    and32('r1', NAMED_FAMILY),
    branch('r1', 'not equal', 0, 'perhaps family'),
  ];
  return [
    ...lookup(maps.files, EXECUTABLE),
    branch('r0', 'equal', 0, 'not that file'),
    ...isFamily,
    label('not that file'),
    ...findExecutable('r6', { ...shared, none: 'no family' }),
    ...readNameOfFile({ ...shared, nameSlot: NAME }),
    ...lookup(maps.names, NAME),
    branch('r0', 'equal', 0, 'no family'),
    ...isFamily,
    goto('no family'),
    label('perhaps family'),
    move('r6', 0),
    // Whether it is one that keeps its own is not known either: what yields is asked about.
    move('r8', TASK_KEEPS),
    goto('member of family'),
  ];
}
