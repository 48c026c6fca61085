/**
 * cgroup/sock_create: each new socket gets the number of the program that makes it, in its mark, and its creator is written
 * down. It never refuses a socket.
 */
import { assemble } from './assembler.ts';
import {
  add,
  and32,
  atomicAdd,
  branch,
  call,
  exit,
  goto,
  type Instruction,
  label,
  load,
  move,
  multiply,
  or32,
  store,
} from './instruction.ts';
import { branchOnInterpreterName } from './interpreter-start.ts';
import type { KernelLayout } from './kernel-layout.ts';
import { follow, lookup, read, stackAddress, update } from './kernel-memory.ts';
import { COUNTER_FOREIGN, COUNTER_MARKED, COUNTER_TASKS_LOST, COUNTER_UNMARKED, type MapDescriptors } from './maps.ts';
import { MARK_FOREIGN, MARK_NUMBER, MARK_OURS, MARK_SOCKET, MARK_UPLINK, PROGRAM_NONE_FIRST } from './mark.ts';
import { onlyOwnNamespace } from './own-namespace.ts';
import {
  branchOnLinks,
  clearKey,
  findExecutable,
  readExecutableOfTask,
  readKeyOfFile,
  readNameOfFile,
} from './read-executable.ts';
import { findTask, numbersAtLevel, readProcess, readStartTicks } from './read-process.ts';
import {
  CGROUP_LEVELS_NOTED,
  COMMAND_BYTES,
  CONFIG_FIELDS,
  CREATOR_IS_INTERPRETER,
  CREATOR_IS_NO_INTERPRETER,
  CREATOR_MAY_BE_CHILD,
  CREATOR_MAY_RUN_SCRIPT,
  CREATOR_RECORD_BYTES,
  CREATOR_RECORD_FIELDS,
  EXECUTABLE_CHILDREN,
  EXECUTABLE_FORMER,
  EXECUTABLE_RECORD_FIELDS,
  EXECUTABLE_YIELDS,
  FILE_NAME_BYTES,
  HELLO_PROTOCOL,
  HELLO_RECORD_BYTES,
  HELLO_RECORD_FIELDS,
  HELLO_SOCKET_TYPE,
  PROGRAM_FILE_BYTES,
  PROGRAM_FILE_FIELDS,
  SCRIPTS_NOT_NAMED,
  SCRIPTS_NOT_SEEN,
  TASK_CHILDREN,
  TASK_INTERPRETER,
  TASK_KEEPS,
  TASK_RECORD_FIELDS,
  TASK_SCRIPT,
  TASK_STARTED,
  WAYS_RECORD_FIELDS,
} from './records.ts';
import {
  AF_INET,
  AF_INET6,
  BPF_FUNC_get_current_ancestor_cgroup_id,
  BPF_FUNC_get_current_cgroup_id,
  BPF_FUNC_get_current_comm,
  BPF_FUNC_get_current_task,
  BPF_FUNC_get_current_uid_gid,
  BPF_FUNC_get_socket_cookie,
  BPF_SOCK_FAMILY,
  BPF_SOCK_MARK,
  BPF_SOCK_PROTOCOL,
  BPF_SOCK_TYPE,
} from './uapi.ts';

/** The stack, from its end. */
const SCRATCH = -8;
const TASK = -16;
const COOKIE = -24;
/** Keys of 32 bits. */
const INDEX = -28;
const NUMBER = -32;
const CREATOR = NUMBER - CREATOR_RECORD_BYTES;
const HELLO = CREATOR - HELLO_RECORD_BYTES;
const FILE = HELLO - PROGRAM_FILE_BYTES;

const EXECUTABLE = CREATOR + CREATOR_RECORD_FIELDS.executable;
const START_TICKS = CREATOR + CREATOR_RECORD_FIELDS.startTicks;
const CGROUP = CREATOR + CREATOR_RECORD_FIELDS.cgroupId;
const PID = CREATOR + CREATOR_RECORD_FIELDS.pid;
const NAME = FILE + PROGRAM_FILE_FIELDS.name;

/** What a program of this type may return: let the socket be made. */
const ALLOW = 1;
/** It makes sockets for others, whatever it is called. */
const INIT_PID = 1;

/*
 * r6: the socket (struct bpf_sock). r8: value of `config`. r7: the current task, later the process's entry in `tasks` or 0.
 * r9: pointers on the way, later the number.
 */

/** Instructions for BPF_PROG_TYPE_CGROUP_SOCK with BPF_CGROUP_INET_SOCK_CREATE, license GPL. */
export function socketProgram(layout: KernelLayout, maps: MapDescriptors): Uint8Array {
  return assemble([
    move('r6', 'r1'),
    ...onlyOwnNamespace(maps, { indexSlot: INDEX, otherwise: 'done' }),
    call(BPF_FUNC_get_current_task),
    move('r7', 'r0'),
    store('u64', 'r10', TASK, 'r7'),
    ...answerHello(layout, maps),
    ...lookup(maps.learners, TASK),
    branch('r0', 'not equal', 0, 'learn'),
    ...readCreator(layout),
    ...findTaskRecord(maps),
    ...findNumber(layout, maps),
    ...noteInterpreter(layout),
    ...keepCreator(maps),
    ...setMark(maps),
    label('done'),
    move('r0', ALLOW),
    exit(),
    ...learn(layout, maps),
  ]);
}

/** The daemon learns how the kernel names its thread; then the socket is one like others. */
function answerHello(layout: KernelLayout, maps: MapDescriptors): readonly Instruction[] {
  const at = HELLO_RECORD_FIELDS;
  const level = HELLO + at.pidLevel;
  const numbersOf = [load('u32', 'r2', 'r10', level), ...numbersAtLevel(layout, 'r9', 'r2')];
  return [
    load('u32', 'r1', 'r8', CONFIG_FIELDS.hello),
    branch('r1', 'equal', 0, 'no hello'),
    load('u32', 'r1', 'r6', BPF_SOCK_TYPE),
    branch('r1', 'not equal', HELLO_SOCKET_TYPE, 'no hello'),
    load('u32', 'r1', 'r6', BPF_SOCK_PROTOCOL),
    branch('r1', 'not equal', HELLO_PROTOCOL, 'no hello'),
    store('u64', 'r10', HELLO + at.task, 'r7'),
    call(BPF_FUNC_get_current_cgroup_id),
    store('u64', 'r10', HELLO + at.cgroupId, 'r0'),
    store('u64', 'r10', HELLO + at.pid, 0),
    // The thread's own number, in the innermost namespace that it has one in.
    ...follow('r9', 'r7', layout.task_struct.thread_pid, SCRATCH),
    ...read(level, 4, 'r9', layout.pid.level),
    ...numbersOf,
    ...read(HELLO + at.pidNamespace, 8, 'r9', layout.upid.ns),
    ...read(HELLO + at.threadId, 4, 'r9', layout.upid.nr),
    ...follow('r9', 'r7', layout.task_struct.group_leader, SCRATCH),
    ...readStartTicks(layout, 'r9', HELLO + at.startTicks),
    ...follow('r9', 'r9', layout.task_struct.thread_pid, SCRATCH),
    ...numbersOf,
    ...read(HELLO + at.pid, 4, 'r9', layout.upid.nr),
    ...update(maps.hello, INDEX, HELLO),
    label('no hello'),
  ];
}

/** All of the record but the number. */
function readCreator(layout: KernelLayout): readonly Instruction[] {
  const shared = { layout, cursor: 'r9', scratchSlot: SCRATCH, prefix: 'creator' } as const;
  return [
    ...clearKey(EXECUTABLE),
    ...readExecutableOfTask('r7', { ...shared, keySlot: EXECUTABLE }),
    ...readProcess('r7', { ...shared, config: 'r8', pidSlot: PID, startTicksSlot: START_TICKS }),
    call(BPF_FUNC_get_current_cgroup_id),
    store('u64', 'r10', CGROUP, 'r0'),
    // It may be gone before anybody asks what it is called.
    ...Array.from({ length: CGROUP_LEVELS_NOTED }, (_, index) => [
      move('r1', index + 1),
      call(BPF_FUNC_get_current_ancestor_cgroup_id),
      store('u64', 'r10', CREATOR + CREATOR_RECORD_FIELDS.cgroupIds + 8 * index, 'r0'),
    ]).flat(),
    // Both at once: gid << 32 | uid.
    call(BPF_FUNC_get_current_uid_gid),
    store('u64', 'r10', CREATOR + CREATOR_RECORD_FIELDS.uid, 'r0'),
    ...stackAddress('r1', CREATOR + CREATOR_RECORD_FIELDS.command),
    move('r2', COMMAND_BYTES),
    call(BPF_FUNC_get_current_comm),
  ];
}

/** r7 = the entry of this process, or 0. */
function findTaskRecord(maps: MapDescriptors): readonly Instruction[] {
  return [
    move('r7', 0),
    ...findTask(maps.tasks, { pidSlot: PID, startTicksSlot: START_TICKS, otherwise: 'task known' }),
    move('r7', 'r0'),
    label('task known'),
  ];
}

/**
 * r9 = number of the program, or 0: a script before its interpreter, a name before an origin (but for one that yields to its family),
 * and "none" last.
 */
function findNumber(layout: KernelLayout, maps: MapDescriptors): readonly Instruction[] {
  return [
    move('r9', 0),
    store('u64', 'r10', CREATOR + CREATOR_RECORD_FIELDS.flags, 0),
    branch('r7', 'equal', 0, 'of no entry'),
    load('u32', 'r1', 'r7', TASK_RECORD_FIELDS.flags),
    and32('r1', TASK_SCRIPT),
    branch('r1', 'not equal', 0, 'by task'),
    ...passKnownInterpreter(),
    label('no interpreter'),
    load('u32', 'r1', 'r7', TASK_RECORD_FIELDS.flags),
    and32('r1', TASK_STARTED),
    branch('r1', 'not equal', 0, 'by task'),
    goto('by executable'),

    // An interpreter of which that could not be written down is one that nobody has seen.
    label('of no entry'),
    load('u32', 'r1', 'r8', CONFIG_FIELDS.scripts),
    branch('r1', 'not equal', SCRIPTS_NOT_SEEN, 'by executable'),
    ...unlessTasksLost(maps),

    label('by executable'),
    ...lookup(maps.executables, EXECUTABLE),
    branch('r0', 'equal', 0, 'not by executable'),
    load('u32', 'r1', 'r0', EXECUTABLE_RECORD_FIELDS.flags),
    and32('r1', EXECUTABLE_FORMER),
    branch('r1', 'not equal', 0, 'nothing known'),
    load('u32', 'r9', 'r0', EXECUTABLE_RECORD_FIELDS.number),
    branch('r9', 'below', PROGRAM_NONE_FIRST, 'named'),
    branch('r7', 'not equal', 0, 'by task'),
    goto('by cgroup'),

    label('not by executable'),
    branch('r7', 'not equal', 0, 'by task'),
    ...findNobody(layout, maps),

    // It has no name; that it belongs to nobody can only be said where that is known of its cgroup, too.
    label('by cgroup'),
    load('u32', 'r1', 'r10', PID),
    branch('r1', 'equal', INIT_PID, 'nothing known'),
    // Once a process could not be written down, any that is not may be somebody's child.
    ...unlessTasksLost(maps),
    load('u32', 'r1', 'r8', CONFIG_FIELDS.anyCgroup),
    branch('r1', 'not equal', 0, 'number known'),
    ...lookup(maps.cgroups, CGROUP),
    branch('r0', 'equal', 0, 'nothing known'),
    load('u32', 'r1', 'r0', 0),
    load('u32', 'r2', 'r8', CONFIG_FIELDS.cgroupEpoch),
    branch('r1', 'equal', 'r2', 'number known'),
    label('nothing known'),
    move('r9', 0),
    goto('number known'),

    label('named'),
    load('u32', 'r1', 'r0', EXECUTABLE_RECORD_FIELDS.flags),
    and32('r1', EXECUTABLE_YIELDS),
    branch('r1', 'equal', 0, 'number known'),
    branch('r7', 'not equal', 0, 'named in family'),
    ...unlessTasksLost(maps),
    goto('number known'),
    label('named in family'),
    load('u32', 'r1', 'r7', TASK_RECORD_FIELDS.flags),
    and32('r1', TASK_KEEPS),
    branch('r1', 'equal', 0, 'number known'),
    // Without a family of its own it is no application whose family that could be, also where nobody knows which one it is.
    load('u32', 'r1', 'r0', EXECUTABLE_RECORD_FIELDS.flags),
    and32('r1', EXECUTABLE_CHILDREN),
    branch('r1', 'equal', 0, 'by task'),
    // The application itself, whose family it is.
    load('u32', 'r1', 'r7', TASK_RECORD_FIELDS.childrenNumber),
    load('u32', 'r2', 'r0', EXECUTABLE_RECORD_FIELDS.childrenNumber),
    branch('r1', 'equal', 'r2', 'number known'),

    label('by task'),
    load('u32', 'r9', 'r7', TASK_RECORD_FIELDS.number),
    label('number known'),
    and32('r9', MARK_NUMBER),
  ];
}

/** On to `nothing known` once a process could not be written down. */
function unlessTasksLost(maps: MapDescriptors): readonly Instruction[] {
  return [
    store('u32', 'r10', INDEX, COUNTER_TASKS_LOST),
    ...lookup(maps.counters, INDEX),
    branch('r0', 'equal', 0, 'nothing known'),
    load('u64', 'r1', 'r0', 0),
    branch('r1', 'not equal', 0, 'nothing known'),
  ];
}

/**
 * On to `nothing known` with an interpreter that may run a script which nobody has seen start. Of any other whose entry says nothing else,
 * r7 = 0.
 */
function passKnownInterpreter(): readonly Instruction[] {
  const at = TASK_RECORD_FIELDS;
  return [
    load('u32', 'r1', 'r7', at.flags),
    and32('r1', TASK_INTERPRETER),
    branch('r1', 'equal', 0, 'no interpreter'),
    store('u64', 'r10', CREATOR + CREATOR_RECORD_FIELDS.flags, CREATOR_IS_INTERPRETER),
    load('u32', 'r1', 'r8', CONFIG_FIELDS.scripts),
    branch('r1', 'not equal', SCRIPTS_NOT_SEEN, 'interpreter seen'),
    load('u64', 'r1', 'r7', at.interpreterNs),
    load('u64', 'r2', 'r8', CONFIG_FIELDS.seenBeforeNs),
    branch('r1', 'below', 'r2', 'interpreter seen'),
    store('u64', 'r10', CREATOR + CREATOR_RECORD_FIELDS.flags, CREATOR_IS_INTERPRETER | CREATOR_MAY_RUN_SCRIPT),
    goto('nothing known'),
    label('interpreter seen'),
    load('u32', 'r1', 'r7', at.flags),
    and32('r1', TASK_CHILDREN | TASK_STARTED),
    branch('r1', 'not equal', 0, 'no interpreter'),
    move('r7', 0),
    goto('by executable'),
  ];
}

/**
 * r9 = the number of nobody's programs, or on to `nothing known`: where this may be a file that has come under a named path since
 * anybody looked. Such a one has the name of the path, or of what the path led to, or it is the file that was there.
 */
function findNobody(layout: KernelLayout, maps: MapDescriptors): readonly Instruction[] {
  const unknown = 'nothing known';
  const shared = { layout, scratchSlot: SCRATCH, cursor: 'r9' } as const;
  return [
    load('u32', 'r1', 'r8', CONFIG_FIELDS.nobody),
    branch('r1', 'equal', 0, unknown),
    ...lookup(maps.files, EXECUTABLE),
    branch('r0', 'not equal', 0, unknown),
    load('u64', 'r9', 'r10', TASK),
    ...findExecutable('r9', { ...shared, none: unknown }),
    ...branchOnLinks(shared, unknown),
    load('u64', 'r9', 'r10', TASK),
    ...findExecutable('r9', { ...shared, none: unknown }),
    ...readNameOfFile({ ...shared, nameSlot: NAME }),
    branch('r0', 'above', FILE_NAME_BYTES, unknown),
    branch('r0', 'at most', 1, unknown),
    ...lookup(maps.names, NAME),
    branch('r0', 'not equal', 0, unknown),
    load('u32', 'r9', 'r8', CONFIG_FIELDS.nobody),
    goto('by cgroup'),
  ];
}

/** Where it is asked about, it may have ended before anybody can see what its file is called. r9 = 0 stays so. */
function noteInterpreter(layout: KernelLayout): readonly Instruction[] {
  const shared = { layout, scratchSlot: SCRATCH, cursor: 'r9' } as const;
  const unknown = 'perhaps interpreter';
  return [
    branch('r9', 'not equal', 0, 'not asked about'),
    load('u32', 'r1', 'r8', CONFIG_FIELDS.scripts),
    branch('r1', 'equal', SCRIPTS_NOT_NAMED, 'not asked about'),
    // Whatever it is called.
    load('u32', 'r1', 'r10', CREATOR + CREATOR_RECORD_FIELDS.flags),
    and32('r1', CREATOR_IS_INTERPRETER),
    branch('r1', 'not equal', 0, 'not asked about'),
    load('u64', 'r9', 'r10', TASK),
    ...findExecutable('r9', { ...shared, none: unknown }),
    ...readNameOfFile({ ...shared, nameSlot: NAME }),
    branch('r0', 'above', FILE_NAME_BYTES, unknown),
    branch('r0', 'at most', 1, unknown),
    ...branchOnInterpreterName(NAME, unknown),
    load('u32', 'r1', 'r10', CREATOR + CREATOR_RECORD_FIELDS.flags),
    or32('r1', CREATOR_IS_NO_INTERPRETER),
    store('u32', 'r10', CREATOR + CREATOR_RECORD_FIELDS.flags, 'r1'),
    label(unknown),
    move('r9', 0),
    label('not asked about'),
  ];
}

function keepCreator(maps: MapDescriptors): readonly Instruction[] {
  return [
    store('u32', 'r10', CREATOR + CREATOR_RECORD_FIELDS.number, 'r9'),
    // In a family that has no number its ancestors may be gone before anybody asks whose it is.
    branch('r7', 'equal', 0, 'nobody’s child'),
    load('u32', 'r1', 'r7', TASK_RECORD_FIELDS.flags),
    and32('r1', TASK_CHILDREN),
    branch('r1', 'equal', 0, 'nobody’s child'),
    load('u32', 'r1', 'r7', TASK_RECORD_FIELDS.childrenNumber),
    branch('r1', 'not equal', 0, 'nobody’s child'),
    load('u32', 'r1', 'r10', CREATOR + CREATOR_RECORD_FIELDS.flags),
    or32('r1', CREATOR_MAY_BE_CHILD),
    store('u32', 'r10', CREATOR + CREATOR_RECORD_FIELDS.flags, 'r1'),
    label('nobody’s child'),
    move('r1', 'r6'),
    call(BPF_FUNC_get_socket_cookie),
    store('u64', 'r10', COOKIE, 'r0'),
    ...update(maps.creators, COOKIE, CREATOR),
    // Its process may have ended before anybody asks.
    branch('r9', 'not equal', 0, 'no stranger'),
    ...update(maps.strangers, EXECUTABLE, CREATOR),
    label('no stranger'),
  ];
}

function setMark(maps: MapDescriptors): readonly Instruction[] {
  return [
    store('u32', 'r10', INDEX, COUNTER_UNMARKED),
    branch('r9', 'equal', 0, 'count'),
    // Somebody else has marked it, in bits that are not free for all.
    store('u32', 'r10', INDEX, COUNTER_FOREIGN),
    load('u32', 'r1', 'r6', BPF_SOCK_MARK),
    and32('r1', ~MARK_FOREIGN),
    branch('r1', 'not equal', 0, 'count'),
    store('u32', 'r10', INDEX, COUNTER_MARKED),
    store('u32', 'r10', NUMBER, 'r9'),
    ...lookup(maps.ways, NUMBER),
    branch('r0', 'equal', 0, 'no way'),
    load('u32', 'r1', 'r6', BPF_SOCK_FAMILY),
    load('u32', 'r2', 'r0', WAYS_RECORD_FIELDS.v4),
    branch('r1', 'equal', AF_INET, 'way'),
    load('u32', 'r2', 'r0', WAYS_RECORD_FIELDS.v6),
    branch('r1', 'equal', AF_INET6, 'way'),
    label('no way'),
    move('r2', 0),
    label('way'),
    and32('r2', MARK_UPLINK),
    or32('r9', 'r2'),
    or32('r9', MARK_OURS | MARK_SOCKET),
    load('u32', 'r1', 'r6', BPF_SOCK_MARK),
    or32('r1', 'r9'),
    store('u32', 'r6', BPF_SOCK_MARK, 'r1'),
    label('count'),
    ...lookup(maps.counters, INDEX),
    branch('r0', 'equal', 0, 'done'),
    move('r1', 1),
    atomicAdd('r0', 0, 'r1'),
  ];
}

/** At label `learn`: r0 points to the descriptor of the file that the current thread, r7, asks about. */
function learn(layout: KernelLayout, maps: MapDescriptors): readonly Instruction[] {
  const { files_struct, fdtable } = layout;
  const shared = { layout, cursor: 'r9', scratchSlot: SCRATCH } as const;
  const keySlot = FILE + PROGRAM_FILE_FIELDS.key;
  return [
    label('learn'),
    load('u32', 'r6', 'r0', 0),
    ...follow('r9', 'r7', layout.task_struct.files, SCRATCH),
    ...follow('r9', 'r9', files_struct.fdt, SCRATCH),
    ...read(SCRATCH, 4, 'r9', fdtable.max_fds),
    load('u32', 'r1', 'r10', SCRATCH),
    branch('r6', 'at least', 'r1', 'done'),
    ...follow('r9', 'r9', fdtable.fd, SCRATCH),
    multiply('r6', POINTER_BYTES),
    add('r9', 'r6'),
    ...follow('r9', 'r9', 0, SCRATCH),
    branch('r9', 'equal', 0, 'done'),
    move('r8', 'r9'),
    ...clearKey(keySlot),
    ...readKeyOfFile({ ...shared, keySlot }),
    move('r9', 'r8'),
    ...readNameOfFile({ ...shared, nameSlot: NAME }),
    ...update(maps.learned, TASK, FILE),
    goto('done'),
  ];
}

const POINTER_BYTES = 8;
