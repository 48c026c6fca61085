/**
 * What is written down of a process (`tasks`), and what a socket gets by it: the one statement of both, in plain words. The programs in the
 * kernel do the first part (fork, exec, exit, a new socket), and `task-state.test.ts` holds them to it in every combination; the daemon
 * does the second. Whoever writes an entry takes all of it from here, so that nobody forgets a part of what was there.
 */
import { PROGRAM_NONE_FIRST } from './mark.ts';
import type { ExecutableRecord, Nobody, ScriptStarts, TaskRecord } from './records.ts';

/** Of one process, whichever: but for when that was started. */
export type TaskState = Omit<TaskRecord, 'startTicks'>;

/** An entry of `names`, or of `files`. */
export interface Named {
  /** Children of the application count as its own. */
  readonly hasFamily: boolean;
  /** Of a name: links lead to it. */
  readonly byLink: boolean;
}

/** The file that a process runs, as far as the kernel has been told of it. */
export interface KnownFile {
  /** By its key, which changes with whatever is done to the file. */
  readonly program?: ExecutableRecord | undefined;
  /** By which file it is. */
  readonly file?: Named | undefined;
  /** By its own name now. */
  readonly name?: Named | undefined;
}

export interface Start extends KnownFile {
  /** By the last part of the path that it was started by. */
  readonly called?: Named | undefined;
  /** It is an interpreter, and policies name scripts: now. */
  readonly interpreterNs?: bigint | undefined;
}

/** What a process was, its child is; what it begins with an exec, it is from then on. Of what has ended, nothing is known. */
export const afterFork = (parent: TaskState | undefined): TaskState | undefined => parent;

/** A process runs another program. */
export function afterExec(before: TaskState | undefined, start: Start): TaskState | undefined {
  const state = stateOf(before, begun(before, start));
  const { interpreterNs } = start;
  if (interpreterNs === undefined) return state;
  return { ...(state ?? { number: 0, script: false }), interpreterNs };
}

type Begun =
  /** It is a program with this number; 0 has to be asked. */
  | { readonly is: 'started'; readonly number: number }
  /** With what it starts, it counts as this. */
  | { readonly is: 'family'; readonly childrenNumber: number; readonly keeps: boolean }
  | { readonly is: 'nothing of its own' };

/** Which one is not known, nor whether it keeps what yields. */
const PERHAPS_FAMILY: Begun = { is: 'family', childrenNumber: 0, keeps: true };
const NOTHING_OF_ITS_OWN: Begun = { is: 'nothing of its own' };
const perhaps = ({ hasFamily }: Named): Begun => (hasFamily ? PERHAPS_FAMILY : { is: 'started', number: 0 });

function begun(before: TaskState | undefined, { program, file, name, called }: Start): Begun {
  if (program === undefined) {
    // Touched since, or another file in its place.
    if (file?.hasFamily) return PERHAPS_FAMILY;
    if (called !== undefined) return perhaps(called);
    // By its own name alone it is asked about for as long as its file is not known, and no longer.
    return name?.hasFamily ? PERHAPS_FAMILY : NOTHING_OF_ITS_OWN;
  }
  if (program.number >= PROGRAM_NONE_FIRST) {
    // A file of nobody's, to which a named link may lead by now.
    const link = [called, name].find((each) => each?.byLink);
    return link === undefined ? NOTHING_OF_ITS_OWN : perhaps(link);
  }
  const { number, childrenNumber, keeps = false, yields, former } = program;
  if (former) return childrenNumber === undefined ? { is: 'started', number: 0 } : PERHAPS_FAMILY;
  if (yields && before?.keeps) return NOTHING_OF_ITS_OWN;
  return childrenNumber === undefined ? { is: 'started', number } : { is: 'family', childrenNumber, keeps };
}

function stateOf(before: TaskState | undefined, now: Begun): TaskState | undefined {
  switch (now.is) {
    case 'started':
      return { number: now.number, script: false, started: true, ...familyOf(before) };
    case 'family':
      return inFamily(now);
    case 'nothing of its own': {
      const family = familyOf(before);
      if (family === undefined) return undefined;
      // A child that had no number of its own is what it was.
      const number = isOwn(before) ? family.childrenNumber : (before?.number ?? 0);
      return { number, script: false, ...family };
    }
  }
}

const isOwn = (state: TaskState | undefined): boolean => state?.script === true || state?.started === true;

type Family = Required<Pick<TaskState, 'childrenNumber'>> & Pick<TaskState, 'keeps'>;

function familyOf(state: TaskState | undefined): Family | undefined {
  const { childrenNumber, keeps } = state ?? {};
  return childrenNumber === undefined ? undefined : { childrenNumber, ...(keeps && { keeps }) };
}

const inFamily = ({
  childrenNumber,
  keeps,
}: {
  readonly childrenNumber: number;
  readonly keeps?: boolean;
}): TaskState => ({
  number: childrenNumber,
  script: false,
  childrenNumber,
  ...(keeps && { keeps: true }),
});

/** Who makes a socket. */
export interface SocketMaker extends KnownFile {
  readonly task: TaskState | undefined;
  /** Of its file: how many names it has. */
  readonly links: number;
  /** Its file has the name of one. */
  readonly isCalledInterpreter: boolean;
  /** Process 1 makes sockets for others. */
  readonly isInit: boolean;
  /** Its cgroup is known in this epoch. */
  readonly isCgroupKnown: boolean;
}

export interface Circumstances {
  readonly nobody?: Nobody | undefined;
  readonly scripts?: ScriptStarts | undefined;
  /** A process could not be written down: any that is not written down may be it. */
  readonly areTasksLost: boolean;
}

export interface SocketNote {
  /** 0: it has to be asked about. */
  readonly number: number;
  readonly mayBeChild?: true;
  readonly mayRunScript?: true;
  /** Of one that is asked about, where policies name scripts: it may have ended by then, and nobody could see any more what its file is called. */
  readonly isNoInterpreter?: true;
}

/** What the socket is marked with, and what is noted of its maker. */
export function noteOfSocket(maker: SocketMaker, around: Circumstances): SocketNote {
  const { scripts } = around;
  const isUnseen =
    maker.task?.script === false &&
    maker.task.interpreterNs !== undefined &&
    scripts?.seen === false &&
    maker.task.interpreterNs >= scripts.seenBeforeNs;
  // Of an interpreter whose script, if any, has been seen, an entry that says nothing else says nothing.
  const task = !isUnseen && isInterpreterAlone(maker.task) ? undefined : maker.task;
  // An interpreter of which it could not be written down that it is one.
  const mayBeUnseen = maker.task === undefined && scripts?.seen === false && around.areTasksLost;
  const number = isUnseen || mayBeUnseen ? 0 : numberOf({ ...maker, task }, around);
  const isInterpreter = maker.isCalledInterpreter || maker.task?.interpreterNs !== undefined;
  return {
    number,
    ...(task?.childrenNumber === 0 && { mayBeChild: true }),
    ...(isUnseen && { mayRunScript: true }),
    ...(number === 0 && scripts !== undefined && !isInterpreter && { isNoInterpreter: true }),
  };
}

/** Whether the entry says nothing but that. */
export const isInterpreterAlone = (task: TaskState | undefined): boolean =>
  task?.interpreterNs !== undefined && task.childrenNumber === undefined && !isOwn(task);

/** A script before its interpreter, a name before an origin (but for one that yields to its family), and "none" last. */
function numberOf(maker: SocketMaker, around: Circumstances): number {
  const { task, program } = maker;
  if (task !== undefined && isOwn(task)) return task.number;
  if (program?.former) return 0;
  if (program !== undefined && program.number < PROGRAM_NONE_FIRST) return namedNumber(task, program, around);
  if (task !== undefined) return task.number;
  return program === undefined && mayBeNamed(maker) ? 0 : nobodysNumber(program?.number, maker, around);
}

function namedNumber(task: TaskState | undefined, program: ExecutableRecord, { areTasksLost }: Circumstances): number {
  if (!program.yields) return program.number;
  if (task === undefined) return areTasksLost ? 0 : program.number;
  const isItsOwn = program.childrenNumber !== undefined && program.childrenNumber === task.childrenNumber;
  return task.keeps && !isItsOwn ? task.number : program.number;
}

/** Whether it may be a file that has come under a named path since anybody looked. */
const mayBeNamed = ({ file, name, links }: SocketMaker): boolean =>
  file !== undefined || name !== undefined || links > 1;

/** That it belongs to nobody can only be said where that is known of its cgroup, too. */
function nobodysNumber(known: number | undefined, maker: SocketMaker, { nobody, areTasksLost }: Circumstances): number {
  const number = known ?? nobody?.number ?? 0;
  if (maker.isInit || areTasksLost) return 0;
  return nobody?.inAnyCgroup || maker.isCgroupKnown ? number : 0;
}

/** Of a program or a script, what a process that runs it counts as. */
export type StartedProgram = Omit<ExecutableRecord, 'former'>;

/**
 * The daemon has seen it open the script that it runs, or found it running. In its family it stays, unless the script's own application
 * follows what it starts. `undefined`: nothing changes, as the script yields to that family.
 */
export function asScript(
  before: TaskState | undefined,
  { number, childrenNumber, keeps, yields }: StartedProgram,
): TaskState | undefined {
  // Bound again, it stays in its family.
  const outer = before?.script === false || before?.number === number ? familyOf(before) : undefined;
  if (outer?.keeps && outer.childrenNumber !== childrenNumber && yields) return undefined;
  const family = childrenNumber === undefined ? outer : { childrenNumber, ...(keeps && { keeps }) };
  return { number, script: true, ...family };
}

/** The daemon knows what it was started as. `undefined`: nothing changes, as the entry says as much, or more. */
export function asStarted(before: TaskState | undefined, program: StartedProgram): TaskState | undefined {
  const isKnown = before?.script === true || (before?.started === true && before.number !== 0);
  // What an application with `children: same` starts has its number already.
  if (program.childrenNumber !== undefined || isKnown) return undefined;
  const family = familyOf(before);
  if (!family?.keeps || !program.yields) return stateOf(before, { is: 'started', number: program.number });
  // It is nothing of its own there; of a family that is not known, either, it goes on being asked about.
  return before?.started && family.childrenNumber !== 0 ? inFamily(family) : undefined;
}

/** It had to be asked about, and belongs to nobody. `undefined`: nothing changes; `'nothing'`: nothing is to be known of it. */
export function asNobodys(before: TaskState | undefined): TaskState | 'nothing' | undefined {
  if (before?.started !== true || before.number !== 0) return undefined;
  const family = familyOf(before);
  return family === undefined ? 'nothing' : inFamily(family);
}

/**
 * The daemon knows of whose family it is. `isYielding`: of a number, whether its program yields to that family. `undefined`: nothing changes, as
 * a script says more than who started it.
 */
export function asMember(
  before: TaskState | undefined,
  { number, keeps }: { readonly number: number; readonly keeps: boolean },
  isYielding: (number: number) => boolean,
): TaskState | undefined {
  const family = inFamily({ childrenNumber: number, keeps });
  if (before === undefined || !isOwn(before) || isYielding(before.number)) return family;
  // What has a number of its own keeps it.
  return before.script ? undefined : { ...family, number: before.number, started: true };
}

/** Numbers of programs have changed: only with one of these it goes on being what it was started as. */
export function withNumbers(before: TaskState, numbers: ReadonlySet<number>): TaskState | undefined {
  if (!before.started || before.number === 0 || numbers.has(before.number)) return before;
  const { interpreterNs } = before;
  const family = familyOf(before);
  const state = family && inFamily(family);
  if (interpreterNs === undefined) return state;
  return { ...(state ?? { number: 0, script: false }), interpreterNs };
}

/** What is written when the daemon says that it is this: of an interpreter that is no script for all that is known, since when it runs stays known. */
export function written(before: TaskState | undefined, now: Omit<TaskState, 'interpreterNs'>): TaskState {
  const interpreterNs = now.script ? undefined : before?.interpreterNs;
  return { ...now, ...(interpreterNs !== undefined && { interpreterNs }) };
}
