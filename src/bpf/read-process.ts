/** Pieces of programs: which process a task belongs to, as the daemon numbers processes. */
import {
  add,
  branch,
  divide,
  type Instruction,
  label,
  load,
  move,
  multiply,
  type Register,
  store,
} from './instruction.ts';
import type { KernelLayout } from './kernel-layout.ts';
import { follow, lookup, read } from './kernel-memory.ts';
import { CONFIG_FIELDS, TASK_RECORD_FIELDS } from './records.ts';

/** NSEC_PER_SEC / USER_HZ: /proc/PID/stat has start times in ticks of 1/100 s. */
const NANOSECONDS_PER_TICK = 10_000_000;

export interface ReadProcess {
  readonly layout: KernelLayout;
  /** Points to the value of `config`. */
  readonly config: Register;
  /** u32: the process's id in the daemon's pid namespace, 0 where it has none there. */
  readonly pidSlot: number;
  /** u64: its start, in ticks. */
  readonly startTicksSlot: number;
  readonly scratchSlot: number;
  /** Kept in calls, r6 to r9; it is changed. */
  readonly cursor: Register;
  readonly prefix: string;
}

/** Of the process of the thread that `task` points to. */
export function readProcess(task: Register, options: ReadProcess): readonly Instruction[] {
  const { layout, config, pidSlot, startTicksSlot, scratchSlot, cursor, prefix } = options;
  const done = `${prefix} process known`;
  return [
    store('u32', 'r10', pidSlot, 0),
    ...follow(cursor, task, layout.task_struct.group_leader, scratchSlot),
    ...readStartTicks(layout, cursor, startTicksSlot),
    ...follow(cursor, cursor, layout.task_struct.thread_pid, scratchSlot),
    // Beyond its own level a process has no numbers: what stands there is other memory.
    ...read(scratchSlot, 4, cursor, layout.pid.level),
    load('u32', 'r1', 'r10', scratchSlot),
    load('u32', 'r2', config, CONFIG_FIELDS.pidLevel),
    branch('r1', 'below', 'r2', done),
    ...numbersAtLevel(layout, cursor, 'r2'),
    ...follow('r1', cursor, layout.upid.ns, scratchSlot),
    branch('r1', 'equal', 0, done),
    load('u64', 'r2', config, CONFIG_FIELDS.pidNamespace),
    branch('r1', 'not equal', 'r2', done),
    ...read(pidSlot, 4, cursor, layout.upid.nr),
    label(done),
  ];
}

/** Of the thread that leads its process, to which `leader` points. */
export function readStartTicks(layout: KernelLayout, leader: Register, slot: number): readonly Instruction[] {
  return [
    ...read(slot, 8, leader, layout.task_struct.start_boottime),
    load('u64', 'r1', 'r10', slot),
    divide('r1', NANOSECONDS_PER_TICK),
    store('u64', 'r10', slot, 'r1'),
  ];
}

/** Moves `pid`, which points to a `struct pid`, to its `struct upid` of the level in `level`. */
export function numbersAtLevel(layout: KernelLayout, pid: Register, level: Register): readonly Instruction[] {
  return [move('r1', level), multiply('r1', layout.upid.size), add(pid, 'r1'), add(pid, layout.pid.numbers)];
}

/**
 * r0 = the entry in `tasks` of the process that `readProcess` found; jumps to `otherwise` where there is none, or only that
 * of a process that had its number before.
 */
export function findTask(
  tasks: number,
  at: { readonly pidSlot: number; readonly startTicksSlot: number; readonly otherwise: string },
): readonly Instruction[] {
  return [
    load('u32', 'r1', 'r10', at.pidSlot),
    branch('r1', 'equal', 0, at.otherwise),
    ...lookup(tasks, at.pidSlot),
    branch('r0', 'equal', 0, at.otherwise),
    load('u64', 'r1', 'r0', TASK_RECORD_FIELDS.startTicks),
    load('u64', 'r2', 'r10', at.startTicksSlot),
    branch('r1', 'not equal', 'r2', at.otherwise),
  ];
}
