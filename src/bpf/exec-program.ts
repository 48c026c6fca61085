/**
 * Tracepoint sched_process_exec: a process runs another program. Of what was known of it stays only whose child it is. From here on it is
 * what it was started as, whatever becomes of its file and of the links that led to it. Where that is not known, as it was started by the
 * name of a named program, or is the file that was one, it is the number 0: that is asked about. A program whose children count as its own
 * begins that; one that may be such a program, as it has the name of one or is its file, touched since, begins what is asked about. One
 * that yields is nothing of its own in a family that keeps its own. Since when it runs an interpreter is written down where policies name
 * scripts.
 */
import { assemble } from './assembler.ts';
import { and32, branch, call, exit, goto, type Instruction, label, load, move, or32, store } from './instruction.ts';
import { readInterpreterStart } from './interpreter-start.ts';
import type { KernelLayout } from './kernel-layout.ts';
import { count, lookup, remove, stackAddress, update } from './kernel-memory.ts';
import { COUNTER_TASKS_LOST, type MapDescriptors } from './maps.ts';
import { PROGRAM_NONE_FIRST } from './mark.ts';
import { clear, clearKey, findExecutable, readExecutableOfTask, readNameOfFile } from './read-executable.ts';
import { findTask, readProcess } from './read-process.ts';
import {
  COMMAND_BYTES,
  EXECUTABLE_CHILDREN,
  EXECUTABLE_FORMER,
  EXECUTABLE_KEEPS,
  EXECUTABLE_KEY_BYTES,
  EXECUTABLE_RECORD_FIELDS,
  EXECUTABLE_YIELDS,
  FILE_NAME_BYTES,
  NAMED_BY_LINK,
  NAMED_FAMILY,
  TASK_CHILDREN,
  TASK_INTERPRETER,
  TASK_KEEPS,
  TASK_RECORD_BYTES,
  TASK_RECORD_FIELDS,
  TASK_SCRIPT,
  TASK_STARTED,
} from './records.ts';
import { BPF_FUNC_get_current_comm } from './uapi.ts';

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
 * r6: the task, later the number of what it starts as, or of the children. r7: its linux_binprm, later what is known of its executable, or
 * not 0 where only names count to which links lead. r8: value of `config`, later flags. r9: pointers on the way.
 */

/** Instructions for BPF_PROG_TYPE_RAW_TRACEPOINT on `sched_process_exec`, license GPL. */
export function execProgram(layout: KernelLayout, maps: MapDescriptors): Uint8Array {
  const at = TASK_RECORD_FIELDS;
  const executable = EXECUTABLE_RECORD_FIELDS;
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
    ...clearKey(EXECUTABLE),
    ...readExecutableOfTask('r6', { ...shared, keySlot: EXECUTABLE }),

    ...lookup(maps.executables, EXECUTABLE),
    branch('r0', 'equal', 0, 'not known'),
    load('u32', 'r8', 'r0', executable.flags),
    load('u32', 'r1', 'r0', executable.number),
    // A file of nobody's under a name that a link has may be where that leads by now, and nothing has been done to it.
    move('r7', NAMED_BY_LINK),
    branch('r1', 'at least', PROGRAM_NONE_FIRST, 'by name'),
    move('r7', 'r0'),
    move('r1', 'r8'),
    and32('r1', EXECUTABLE_FORMER),
    branch('r1', 'not equal', 0, 'former'),
    move('r1', 'r8'),
    and32('r1', EXECUTABLE_YIELDS),
    branch('r1', 'equal', 0, 'its own'),
    ...findTask(maps.tasks, { ...process, otherwise: 'its own' }),
    load('u32', 'r1', 'r0', at.flags),
    and32('r1', TASK_KEEPS),
    branch('r1', 'not equal', 0, 'no family'),
    label('its own'),
    load('u32', 'r6', 'r7', executable.number),
    move('r1', 'r8'),
    and32('r1', EXECUTABLE_CHILDREN),
    branch('r1', 'equal', 0, 'started'),
    load('u32', 'r6', 'r7', executable.childrenNumber),
    and32('r8', EXECUTABLE_KEEPS),
    goto('member of family'),

    label('former'),
    move('r6', 0),
    and32('r8', EXECUTABLE_CHILDREN),
    branch('r8', 'equal', 0, 'started'),
    goto('perhaps family'),

    label('not known'),
    move('r7', 0),
    ...mayBeNamed(layout, maps),

    label('started'),
    store('u32', 'r10', RECORD + at.number, 'r6'),
    store('u64', 'r10', RECORD + at.childrenNumber, 0),
    move('r8', TASK_STARTED),
    ...findTask(maps.tasks, { ...process, otherwise: 'write down' }),
    load('u32', 'r1', 'r0', at.flags),
    and32('r1', TASK_CHILDREN | TASK_KEEPS),
    or32('r8', 'r1'),
    load('u32', 'r1', 'r0', at.childrenNumber),
    store('u32', 'r10', RECORD + at.childrenNumber, 'r1'),
    goto('write down'),

    label('no family'),
    ...findTask(maps.tasks, { ...process, otherwise: 'no entry' }),
    load('u32', 'r1', 'r0', at.flags),
    load('u32', 'r6', 'r0', at.childrenNumber),
    move('r8', 'r1'),
    and32('r8', TASK_CHILDREN | TASK_KEEPS),
    and32('r1', TASK_SCRIPT | TASK_STARTED | TASK_CHILDREN),
    branch('r1', 'equal', TASK_CHILDREN, 'still a child'),
    and32('r1', TASK_CHILDREN),
    branch('r1', 'not equal', 0, 'member of family'),
    load('u64', 'r1', 'r10', INTERPRETER),
    branch('r1', 'not equal', 0, 'interpreter alone'),
    ...remove(maps.tasks, PID),
    goto('done'),
    // A child that ran nothing with a number of its own is what it was.
    label('still a child'),
    load('u64', 'r1', 'r10', INTERPRETER),
    store('u64', 'r0', at.interpreterNs, 'r1'),
    branch('r1', 'equal', 0, 'and no interpreter'),
    or32('r8', TASK_INTERPRETER),
    label('and no interpreter'),
    store('u32', 'r0', at.flags, 'r8'),
    goto('done'),
    label('no entry'),
    load('u64', 'r1', 'r10', INTERPRETER),
    branch('r1', 'equal', 0, 'done'),
    label('interpreter alone'),
    store('u32', 'r10', RECORD + at.number, 0),
    store('u64', 'r10', RECORD + at.childrenNumber, 0),
    move('r8', 0),
    goto('write down'),

    label('perhaps family'),
    move('r6', 0),
    // Whether it is one that keeps its own is not known either: what yields is asked about.
    move('r8', TASK_KEEPS),
    label('member of family'),
    store('u32', 'r10', RECORD + at.number, 'r6'),
    store('u32', 'r10', RECORD + at.childrenNumber, 'r6'),
    store('u32', 'r10', RECORD + at.childrenNumber + 4, 0),
    or32('r8', TASK_CHILDREN),

    label('write down'),
    load('u64', 'r1', 'r10', INTERPRETER),
    branch('r1', 'equal', 0, 'flags known'),
    or32('r8', TASK_INTERPRETER),
    label('flags known'),
    store('u32', 'r10', RECORD + at.flags, 'r8'),
    ...update(maps.tasks, PID, RECORD),
    branch('r0', 'equal', 0, 'done'),
    ...count(maps.counters, COUNTER_TASKS_LOST, { indexSlot: INDEX, otherwise: 'done' }),
    label('done'),
    move('r0', 0),
    exit(),
  ]);
}

/** On to `perhaps family`, to `started` with r6 = 0, or to `no family`. */
function mayBeNamed(layout: KernelLayout, maps: MapDescriptors): readonly Instruction[] {
  const shared = { layout, scratchSlot: SCRATCH, cursor: 'r9' } as const;
  const isFamily = [
    load('u32', 'r1', 'r0', 0),
    and32('r1', NAMED_FAMILY),
    branch('r1', 'not equal', 0, 'perhaps family'),
  ];
  const leadsThere = (next: string): readonly Instruction[] => [
    load('u32', 'r1', 'r0', 0),
    and32('r1', NAMED_BY_LINK),
    branch('r1', 'equal', 0, next),
  ];
  return [
    ...lookup(maps.files, EXECUTABLE),
    branch('r0', 'equal', 0, 'by name'),
    ...isFamily,
    label('by name'),
    // The kernel has just called the thread by the path that it was told to run.
    ...clear(NAME, FILE_NAME_BYTES),
    ...stackAddress('r1', NAME),
    move('r2', COMMAND_BYTES),
    call(BPF_FUNC_get_current_comm),
    ...lookup(maps.names, NAME),
    branch('r0', 'equal', 0, 'by its own name'),
    branch('r7', 'equal', 0, 'started by the name'),
    ...leadsThere('by its own name'),
    label('started by the name'),
    ...isFamily,
    goto('perhaps named'),
    label('by its own name'),
    ...findExecutable('r6', { ...shared, none: 'no family' }),
    ...readNameOfFile({ ...shared, nameSlot: NAME }),
    ...lookup(maps.names, NAME),
    branch('r0', 'equal', 0, 'no family'),
    branch('r7', 'not equal', 0, 'known'),
    ...isFamily,
    // By its name alone it is asked about until it is known.
    goto('no family'),
    label('known'),
    ...leadsThere('no family'),
    ...isFamily,
    label('perhaps named'),
    move('r6', 0),
    goto('started'),
  ];
}
