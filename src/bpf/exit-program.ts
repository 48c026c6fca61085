/**
 * Tracepoint sched_process_exit: with the last thread of a process ends what is known of it. With the first thread of the daemon nobody
 * sees scripts start any more: the kernel tells of that thread's end before it closes files, so that whoever was held
 * goes on after this.
 */
import { assemble } from './assembler.ts';
import { branch, exit, type Instruction, label, load, move, store } from './instruction.ts';
import type { KernelLayout } from './kernel-layout.ts';
import { follow, lookup, read, remove } from './kernel-memory.ts';
import type { MapDescriptors } from './maps.ts';
import { type ReadProcess, readProcess } from './read-process.ts';
import { CONFIG_FIELDS, SCRIPTS_NOT_SEEN, SCRIPTS_SEEN } from './records.ts';

const SCRATCH = -8;
const START_TICKS = -16;
const PID = -20;
const INDEX = -24;

/** Argument of the tracepoint. */
const TASK_ARGUMENT = 0;

/* r6: the task. r8: value of `config`. r9: pointers on the way. */

/** Instructions for BPF_PROG_TYPE_RAW_TRACEPOINT on `sched_process_exit`, license GPL. */
export function exitProgram(layout: KernelLayout, maps: MapDescriptors): Uint8Array {
  const shared = { layout, config: 'r8', cursor: 'r9', scratchSlot: SCRATCH } as const;
  return assemble([
    load('u64', 'r6', 'r1', TASK_ARGUMENT),
    store('u32', 'r10', INDEX, 0),
    ...lookup(maps.config, INDEX),
    branch('r0', 'equal', 0, 'done'),
    move('r8', 'r0'),
    ...noteEndOfDaemon(layout, shared),
    // The first thread may go long before the others. Threads that live are counted before this point is reached.
    ...follow('r9', 'r6', layout.task_struct.signal, SCRATCH),
    ...read(SCRATCH, 4, 'r9', layout.signal_struct.live),
    load('u32', 'r1', 'r10', SCRATCH),
    branch('r1', 'not equal', 0, 'done'),
    ...readProcess('r6', { ...shared, pidSlot: PID, startTicksSlot: START_TICKS, prefix: 'task' }),
    load('u32', 'r1', 'r10', PID),
    branch('r1', 'equal', 0, 'done'),
    // Whatever is there under this number: the process that has it ends.
    ...remove(maps.tasks, PID),
    label('done'),
    move('r0', 0),
    exit(),
  ]);
}

/** A process never lives without its first thread for longer than it takes to end. */
function noteEndOfDaemon(
  layout: KernelLayout,
  shared: Omit<ReadProcess, 'pidSlot' | 'startTicksSlot' | 'prefix'>,
): readonly Instruction[] {
  return [
    load('u32', 'r1', 'r8', CONFIG_FIELDS.scripts),
    branch('r1', 'not equal', SCRIPTS_SEEN, 'not the daemon'),
    ...follow('r9', 'r6', layout.task_struct.group_leader, SCRATCH),
    branch('r9', 'not equal', 'r6', 'not the daemon'),
    ...readProcess('r6', { ...shared, pidSlot: PID, startTicksSlot: START_TICKS, prefix: 'daemon' }),
    load('u32', 'r1', 'r10', PID),
    load('u32', 'r2', 'r8', CONFIG_FIELDS.daemonPid),
    branch('r1', 'not equal', 'r2', 'not the daemon'),
    store('u32', 'r8', CONFIG_FIELDS.scripts, SCRIPTS_NOT_SEEN),
    label('not the daemon'),
  ];
}
