/** Tracepoint sched_process_fork: what is known of a process is true of the one it forks, until that runs another program. */
import { assemble } from './assembler.ts';
import { branch, exit, label, load, move, store } from './instruction.ts';
import type { KernelLayout } from './kernel-layout.ts';
import { count, follow, lookup, update } from './kernel-memory.ts';
import { COUNTER_TASKS_LOST, type MapDescriptors } from './maps.ts';
import { findTask, readProcess } from './read-process.ts';
import { TASK_RECORD_BYTES, TASK_RECORD_FIELDS } from './records.ts';

const SCRATCH = -8;
const PARENT_START_TICKS = -16;
const PARENT_PID = -20;
const INDEX = -24;
const RECORD = -24 - TASK_RECORD_BYTES;
const CHILD_PID = RECORD - 4;

/** Arguments of the tracepoint, each of 8 bytes. */
const PARENT_ARGUMENT = 0;
const CHILD_ARGUMENT = 8;

const bothHalves = (field: number): readonly number[] => [field, field + 4];

/* r6: the parent. r7: the child. r8: value of `config`. r9: pointers on the way. */

/** Instructions for BPF_PROG_TYPE_RAW_TRACEPOINT on `sched_process_fork`, license GPL. */
export function forkProgram(layout: KernelLayout, maps: MapDescriptors): Uint8Array {
  const at = TASK_RECORD_FIELDS;
  const shared = { layout, config: 'r8', cursor: 'r9', scratchSlot: SCRATCH } as const;
  const parent = { pidSlot: PARENT_PID, startTicksSlot: PARENT_START_TICKS };
  const child = { pidSlot: CHILD_PID, startTicksSlot: RECORD + at.startTicks };
  return assemble([
    load('u64', 'r6', 'r1', PARENT_ARGUMENT),
    load('u64', 'r7', 'r1', CHILD_ARGUMENT),
    // A thread shares its process's entry.
    ...follow('r9', 'r7', layout.task_struct.group_leader, SCRATCH),
    branch('r9', 'not equal', 'r7', 'done'),
    store('u32', 'r10', INDEX, 0),
    ...lookup(maps.config, INDEX),
    branch('r0', 'equal', 0, 'done'),
    move('r8', 'r0'),
    ...readProcess('r6', { ...shared, ...parent, prefix: 'parent' }),
    ...findTask(maps.tasks, { ...parent, otherwise: 'done' }),
    ...[at.number, at.flags, ...bothHalves(at.childrenNumber), ...bothHalves(at.interpreterNs)].flatMap((field) => [
      load('u32', 'r1', 'r0', field),
      store('u32', 'r10', RECORD + field, 'r1'),
    ]),
    ...readProcess('r7', { ...shared, ...child, prefix: 'child' }),
    load('u32', 'r1', 'r10', CHILD_PID),
    branch('r1', 'equal', 0, 'done'),
    ...update(maps.tasks, CHILD_PID, RECORD),
    branch('r0', 'equal', 0, 'done'),
    ...count(maps.counters, COUNTER_TASKS_LOST, { indexSlot: INDEX, otherwise: 'done' }),
    label('done'),
    move('r0', 0),
    exit(),
  ]);
}
