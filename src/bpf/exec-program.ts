/**
 * Tracepoint sched_process_exec: a process runs another program. Of what was known of it stays only whose child it is; a
 * program whose children count as its own begins that.
 */
import { assemble } from './assembler.ts';
import { and32, branch, exit, goto, label, load, move, store } from './instruction.ts';
import type { KernelLayout } from './kernel-layout.ts';
import { lookup, remove, update } from './kernel-memory.ts';
import type { MapDescriptors } from './maps.ts';
import { clearKey, readExecutableOfTask } from './read-executable.ts';
import { findTask, readProcess } from './read-process.ts';
import {
  EXECUTABLE_CHILDREN,
  EXECUTABLE_KEY_BYTES,
  EXECUTABLE_RECORD_FIELDS,
  TASK_CHILDREN,
  TASK_RECORD_BYTES,
  TASK_RECORD_FIELDS,
  TASK_SCRIPT,
} from './records.ts';

const SCRATCH = -8;
const INDEX = -12;
const PID = -16;
const RECORD = PID - TASK_RECORD_BYTES;
const EXECUTABLE = RECORD - EXECUTABLE_KEY_BYTES;
const START_TICKS = RECORD + TASK_RECORD_FIELDS.startTicks;

/** Argument of the tracepoint. */
const TASK_ARGUMENT = 0;

/* r6: the task, later the number of the children. r8: value of `config`. r9: pointers on the way. */

/** Instructions for BPF_PROG_TYPE_RAW_TRACEPOINT on `sched_process_exec`, license GPL. */
export function execProgram(layout: KernelLayout, maps: MapDescriptors): Uint8Array {
  const at = TASK_RECORD_FIELDS;
  const shared = { layout, cursor: 'r9', scratchSlot: SCRATCH, prefix: 'task' } as const;
  const process = { pidSlot: PID, startTicksSlot: START_TICKS };
  return assemble([
    load('u64', 'r6', 'r1', TASK_ARGUMENT),
    store('u32', 'r10', INDEX, 0),
    ...lookup(maps.config, INDEX),
    branch('r0', 'equal', 0, 'done'),
    move('r8', 'r0'),
    ...readProcess('r6', { ...shared, config: 'r8', ...process }),
    load('u32', 'r1', 'r10', PID),
    branch('r1', 'equal', 0, 'done'),
    ...clearKey(EXECUTABLE),
    ...readExecutableOfTask('r6', { ...shared, keySlot: EXECUTABLE }),

    ...lookup(maps.executables, EXECUTABLE),
    branch('r0', 'equal', 0, 'no family'),
    load('u32', 'r1', 'r0', EXECUTABLE_RECORD_FIELDS.flags),
    and32('r1', EXECUTABLE_CHILDREN),
    branch('r1', 'equal', 0, 'no family'),
    load('u32', 'r6', 'r0', EXECUTABLE_RECORD_FIELDS.childrenNumber),
    goto('member of family'),

    label('no family'),
    ...findTask(maps.tasks, { ...process, otherwise: 'done' }),
    load('u32', 'r1', 'r0', at.flags),
    and32('r1', TASK_SCRIPT | TASK_CHILDREN),
    // A child that ran no script is what it was.
    branch('r1', 'equal', TASK_CHILDREN, 'done'),
    load('u32', 'r6', 'r0', at.childrenNumber),
    and32('r1', TASK_CHILDREN),
    branch('r1', 'not equal', 0, 'member of family'),
    ...remove(maps.tasks, PID),
    goto('done'),

    label('member of family'),
    store('u32', 'r10', RECORD + at.number, 'r6'),
    store('u32', 'r10', RECORD + at.flags, TASK_CHILDREN),
    store('u32', 'r10', RECORD + at.childrenNumber, 'r6'),
    store('u32', 'r10', RECORD + at.childrenNumber + 4, 0),
    ...update(maps.tasks, PID, RECORD),
    label('done'),
    move('r0', 0),
    exit(),
  ]);
}
