/** What is tested against the fake holds in the kernel: both come to the same of one exec and one socket, by the programs that the kernel loads. */
import { expect, it } from 'vitest';
import { DESCRIPTORS } from '../../../test/bpf/interpreter.ts';
import { layoutOf, MarkingWorld, PYTHON } from '../../../test/bpf/marking-world.ts';
import { execProgram } from '../../bpf/exec-program.ts';
import { COUNTER_TASKS_LOST } from '../../bpf/maps.ts';
import { MARK_NUMBER, PROGRAM_NONE_FIRST } from '../../bpf/mark.ts';
import {
  type ExecutableRecord,
  encodeU32,
  encodeU64,
  type FileName,
  fileIdOf,
  NAMED_BY_LINK,
  NAMED_FAMILY,
} from '../../bpf/records.ts';
import { socketProgram } from '../../bpf/socket-program.ts';
import { isInterpreterAlone, type Named } from '../../bpf/task-state.ts';
import { KernelError } from '../kernel-error.ts';
import type { BoundTask, ScriptStartsSeen } from '../socket-marks.ts';
import { FakeSocketMarks } from './fake-socket-marks.ts';

const layout = layoutOf('linux-6.18');
const exec = execProgram(layout, DESCRIPTORS);
const socket = socketProgram(layout, DESCRIPTORS);
const PID = 100;
const START = 1000;
const NOBODY = { number: PROGRAM_NONE_FIRST, inAnyCgroup: true };
/** What the kernel calls a thread that it has just started by a path. */
const CALLED = 'command' as FileName;

interface Case {
  /** Of the file; the first is that of an interpreter. */
  readonly name: 'python3' | 'tool';
  readonly record: ExecutableRecord | undefined;
  readonly task: BoundTask | undefined;
  readonly named: { readonly by: 'called' | 'own name'; readonly as: Named } | undefined;
  /** Of `files`: whether it has a family. */
  readonly file: boolean | undefined;
  readonly scripts: ScriptStartsSeen;
  readonly nobody: boolean;
  readonly links: 1 | 2;
  readonly lost: boolean;
}

const NAMES = ['python3', 'tool'] as const;
const RECORDS: readonly (ExecutableRecord | undefined)[] = [
  undefined,
  { number: 5 },
  { number: 5, childrenNumber: 11 },
  { number: 5, childrenNumber: 11, keeps: true },
  { number: 5, yields: true },
  { number: 5, yields: true, childrenNumber: 12 },
  { number: 5, former: true },
  { number: 5, former: true, childrenNumber: 11 },
  { number: PROGRAM_NONE_FIRST },
];
const TASKS: readonly (BoundTask | undefined)[] = [
  undefined,
  { number: 9, script: true },
  { number: 9, script: true, childrenNumber: 12, keeps: true },
  { number: 9, script: false, childrenNumber: 9 },
  { number: 9, script: false, childrenNumber: 9, keeps: true },
  { number: 8, script: false, started: true, childrenNumber: 9, keeps: true },
  { number: 8, script: false, started: true },
  { number: 0, script: false, childrenNumber: 0, keeps: true },
];
const NAMED: readonly Case['named'][] = [
  undefined,
  ...(['called', 'own name'] as const).flatMap((by) =>
    [false, true].flatMap((hasFamily) => [false, true].map((byLink) => ({ by, as: { hasFamily, byLink } }))),
  ),
];
const CIRCUMSTANCES = (['not named', 'seen', 'not seen'] as const).flatMap((scripts) =>
  [true, false].flatMap((nobody) =>
    ([1, 2] as const).flatMap((links) => [true, false].map((lost) => ({ scripts, nobody, links, lost }))),
  ),
);
/** Of those that each of the others is tried in: by steps that come by all of them. */
const TRIED_IN = 3;
const STEP = 7;

function* cases(): Generator<Case> {
  let turn = 0;
  for (const name of NAMES)
    for (const record of RECORDS)
      for (const task of TASKS)
        for (const named of NAMED)
          for (const file of [undefined, false, true])
            for (let tried = 0; tried < TRIED_IN; tried += 1) {
              turn += STEP;
              const around = CIRCUMSTANCES[turn % CIRCUMSTANCES.length];
              if (around !== undefined) yield { name, record, task, named, file, ...around };
            }
}

interface Outcome {
  readonly task: BoundTask | undefined;
  readonly number: number;
  readonly mayBeChild: boolean;
  readonly mayRunScript: boolean;
  readonly isNoInterpreter: boolean;
}

function byPrograms({ name, record, task, named, file, scripts, nobody, links, lost }: Case): Outcome {
  const world = new MarkingWorld(layout, {
    ...(nobody && { nobody: NOBODY }),
    ...(scripts !== 'not named' && { scripts: { seen: scripts === 'seen', seenBeforeNs: 0n, daemonPid: 41 } }),
  });
  const executable = { ...PYTHON, name, links };
  if (record !== undefined) world.setExecutable(executable, record);
  const flags = (named?.as.hasFamily ? NAMED_FAMILY : 0) | (named?.as.byLink ? NAMED_BY_LINK : 0);
  if (named !== undefined) world.setNamed({ name: named.by === 'called' ? CALLED : name, flags });
  if (file !== undefined) world.setNamed({ file: executable, flags: file ? NAMED_FAMILY : 0 });
  if (task !== undefined) world.setTask(PID, { ...task, startTicks: START });
  const process = world.kernel.addProcess({ executable, pids: [PID], startTicks: START });
  world.trace(exec, process, 0n, world.kernel.addExec({ interpreted: false }));
  if (lost) world.maps.set('counters', encodeU32(COUNTER_TASKS_LOST), encodeU64(1n));
  const number = world.makeSocket(socket, process) & MARK_NUMBER;
  const after = world.taskOf(PID);
  const { startTicks: _, interpreterNs: __, ...state } = after ?? { number: 0, script: false, startTicks: 0 };
  const { mayBeChild = false, mayRunScript = false, isNoInterpreter = false } = world.creator() ?? {};
  return {
    task: after === undefined || isInterpreterAlone(after) ? undefined : state,
    number,
    mayBeChild,
    mayRunScript,
    isNoInterpreter,
  };
}

function byFake({ name, record, task, named, file, scripts, nobody, links, lost }: Case): Outcome {
  const marks = new FakeSocketMarks({ maxTasks: 1 });
  const path = `/x/${name}`;
  const key = marks.writeFile(path);
  marks.writeFile('/x/before');
  const before = marks.start('/x/before');
  if (links === 2) marks.linkFile('/x/other', path);
  if (record !== undefined) marks.setExecutable(key, record);
  const called = named?.by === 'called' ? CALLED : (name as string as FileName);
  marks.setNamed({
    names: new Map(named === undefined ? [] : [[called, named.as.hasFamily]]),
    byLink: new Set(named?.as.byLink ? [called] : []),
    files: new Map(file === undefined ? [] : [[fileIdOf(key), file]]),
  });
  marks.setNobody(nobody ? NOBODY : undefined);
  marks.setScriptStarts(scripts);
  if (task !== undefined) marks.bindTask(before.pid, before.startTicks, task);
  marks.pointTo(`/y/${CALLED}`, path);
  const process = marks.exec(before, `/y/${CALLED}`);
  if (lost) for (const pid of [8, 9]) loseTask(marks, pid);
  const { mark, cookie } = marks.makeSocket(process, 4);
  const { mayBeChild = false, mayRunScript = false, isNoInterpreter = false } = marks.creatorOf(cookie) ?? {};
  const after = marks.taskOf(process.pid, process.startTicks);
  return { task: after, number: mark & MARK_NUMBER, mayBeChild, mayRunScript, isNoInterpreter };
}

/** There is room for one. */
function loseTask(marks: FakeSocketMarks, pid: number): void {
  try {
    marks.bindTask(pid, 1, { number: 1, script: true });
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
  }
}

it('FakeSocketMarks comes to what the programs come to, in every combination', { timeout: 600_000 }, () => {
  const different: unknown[] = [];
  let all = 0;
  for (const each of cases()) {
    all += 1;
    const [programs, fake] = [byPrograms(each), byFake(each)];
    if (!isSame(programs, fake)) different.push({ ...each, programs, fake });
  }
  expect(different.slice(0, 5), `${different.length} of ${all}`).toEqual([]);
  expect(all).toBe(NAMES.length * RECORDS.length * TASKS.length * NAMED.length * 3 * TRIED_IN);
});

const isSame = (a: Outcome, b: Outcome): boolean => sorted(a) === sorted(b);
const sorted = ({ task, ...rest }: Outcome): string =>
  JSON.stringify([Object.entries(task ?? {}).sort(), Object.entries(rest).sort()]);
