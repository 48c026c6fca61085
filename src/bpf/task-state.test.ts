/** The programs in the kernel do what `task-state.ts` says: in every combination of what they look at, by the code that the kernel loads. */
import { describe, expect, it } from 'vitest';
import { DESCRIPTORS } from '../../test/bpf/interpreter.ts';
import { type KernelName, layoutOf, MarkingWorld, PYTHON } from '../../test/bpf/marking-world.ts';
import { execProgram } from './exec-program.ts';
import { exitProgram } from './exit-program.ts';
import { forkProgram } from './fork-program.ts';
import { COUNTER_TASKS_LOST } from './maps.ts';
import { MARK_NUMBER, PROGRAM_NONE_FIRST } from './mark.ts';
import {
  type ExecutableRecord,
  encodeU32,
  encodeU64,
  NAMED_BY_LINK,
  NAMED_FAMILY,
  type Nobody,
  type ScriptStarts,
} from './records.ts';
import { socketProgram } from './socket-program.ts';
import {
  afterExec,
  afterFork,
  type Circumstances,
  isInterpreterAlone,
  type Named,
  noteOfSocket,
  type SocketMaker,
  type Start,
  type TaskState,
} from './task-state.ts';

const KERNEL: KernelName = 'linux-6.18';
const layout = layoutOf(KERNEL);
const [fork, exec, exit] = [forkProgram, execProgram, exitProgram].map((make) => make(layout, DESCRIPTORS)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];
const socket = socketProgram(layout, DESCRIPTORS);

const PID = 100;
const START = 1000;
const NOW_NS = 5_000n;
const SEEN_BEFORE_NS = 3_000n;
/** What the kernel calls a thread that was not started by any name. */
const CALLED = 'command';

const FLAGS = [false, true] as const;
const NONE_OR_FLAG = [undefined, true] as const;
const NUMBERS = [undefined, 0, 11] as const;

/** All of the parts, each with each. */
type Parts = Readonly<Record<string, readonly unknown[]>>;
type Combined<P extends Parts> = { readonly [K in keyof P]: P[K][number] };

function* combinations<P extends Parts>(parts: P): Generator<Combined<P>> {
  const keys = Object.keys(parts);
  const counts = keys.map((key) => parts[key]?.length ?? 0);
  const total = counts.reduce((product, count) => product * count, 1);
  for (let index = 0; index < total; index += 1) {
    let rest = index;
    const found: Record<string, unknown> = {};
    for (const [at, key] of keys.entries()) {
      const count = counts[at] ?? 1;
      found[key] = parts[key]?.[rest % count];
      rest = Math.floor(rest / count);
    }
    yield found as Combined<P>;
  }
}

/** Without what is absent, as records are decoded. */
function present<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T;
}

/** Every entry that there may be: what only a family has is nowhere else. */
const STATES: readonly (TaskState | undefined)[] = [
  undefined,
  ...[
    ...combinations({
      number: [0, 9],
      script: FLAGS,
      started: NONE_OR_FLAG,
      childrenNumber: NUMBERS,
      keeps: NONE_OR_FLAG,
      interpreterNs: [undefined, SEEN_BEFORE_NS - 1n, SEEN_BEFORE_NS],
    }),
  ]
    .filter(({ script, started }) => !(script && started))
    .filter(({ childrenNumber, keeps }) => childrenNumber !== undefined || keeps === undefined)
    .filter(({ script, interpreterNs }) => !script || interpreterNs === undefined)
    .map((state) => present(state) as TaskState),
];

const PROGRAMS: readonly (ExecutableRecord | undefined)[] = [
  undefined,
  { number: PROGRAM_NONE_FIRST },
  ...[
    ...combinations({
      number: [5],
      childrenNumber: [undefined, 11, 12],
      keeps: NONE_OR_FLAG,
      yields: NONE_OR_FLAG,
      former: NONE_OR_FLAG,
    }),
  ]
    .filter(({ childrenNumber, keeps }) => childrenNumber !== undefined || keeps === undefined)
    .map((record) => present(record) as ExecutableRecord),
];

const NAMES: readonly (Named | undefined)[] = [undefined, ...combinations({ hasFamily: FLAGS, byLink: FLAGS })];
const FILES: readonly (Named | undefined)[] = [undefined, ...combinations({ hasFamily: FLAGS, byLink: [false] })];

const flagsOf = ({ hasFamily, byLink }: Named): number => (hasFamily ? NAMED_FAMILY : 0) | (byLink ? NAMED_BY_LINK : 0);

const described = (value: unknown): string =>
  JSON.stringify(value, (_, field) => (typeof field === 'bigint' ? `${field}` : field));

/** The first of those that are not as they should be. */
class Differences {
  readonly first: string[] = [];
  count = 0;
  all = 0;

  compare(of: unknown, got: unknown, want: unknown): void {
    this.all += 1;
    if (sorted(got) === sorted(want)) return;
    this.count += 1;
    if (this.first.length < 5)
      this.first.push(`${described(of)}: the programs ${described(got)}, not ${described(want)}`);
  }
}

const sorted = (value: unknown): string =>
  value === undefined ? '' : described(Object.fromEntries(Object.entries(value as object).sort()));

function stateIn(world: MarkingWorld, pid: number): TaskState | undefined {
  const record = world.taskOf(pid);
  if (record === undefined) return undefined;
  const { startTicks: _, ...state } = record;
  return state;
}

function setState(world: MarkingWorld, state: TaskState | undefined): void {
  if (state !== undefined) world.setTask(PID, { ...state, startTicks: START });
}

function setFile(world: MarkingWorld, file: typeof PYTHON, { program, file: id, name }: Start | SocketMaker): void {
  if (program !== undefined) world.setExecutable(file, program);
  if (id !== undefined) world.setNamed({ file, flags: flagsOf(id) });
  if (name !== undefined) world.setNamed({ name: file.name ?? '', flags: flagsOf(name) });
}

describe('what the programs write down is what task-state.ts says', () => {
  it('afterExec(), for every entry, file and name', () => {
    const differences = new Differences();
    // Since when it ran an interpreter says nothing about what it runs now: in a few it is compared.
    const befores = STATES.filter(
      (state) => state?.interpreterNs === undefined || state.number + 2 === state.childrenNumber,
    );
    // Of two families one tells as much as the other.
    const programs = PROGRAMS.filter((program) => program?.childrenNumber !== 12);
    const scripts: ScriptStarts = { seen: true, seenBeforeNs: SEEN_BEFORE_NS, daemonPid: 41 };
    // By its name one is an interpreter, by its first line another, and of two nothing of that is written down.
    const kinds = [
      { name: 'tool', interpreted: false, named: true, isInterpreter: false },
      { name: 'python3', interpreted: false, named: false, isInterpreter: false },
      { name: 'python3', interpreted: false, named: true, isInterpreter: true },
      { name: 'tool', interpreted: true, named: true, isInterpreter: true },
    ];
    for (const [index, before] of befores.entries())
      for (const [at, start] of [
        ...combinations({ program: programs, file: FILES, name: NAMES, called: NAMES }),
      ].entries()) {
        // Independent of all the rest: in turn.
        const kind = kinds[(index + at) % kinds.length] as (typeof kinds)[number];
        const world = new MarkingWorld(layout, kind.named ? { scripts } : {});
        world.nowNs = NOW_NS;
        const file = { ...PYTHON, name: kind.name };
        setFile(world, file, start);
        if (start.called !== undefined) world.setNamed({ name: CALLED, flags: flagsOf(start.called) });
        setState(world, before);
        const task = world.kernel.addProcess({ executable: file, pids: [PID], startTicks: START });
        world.trace(exec, task, 0n, world.kernel.addExec({ interpreted: kind.interpreted }));
        const interpreterNs = kind.isInterpreter ? NOW_NS : undefined;
        differences.compare(
          { before, ...start, ...kind },
          stateIn(world, PID),
          afterExec(before, { ...start, interpreterNs }),
        );
      }
    expect(differences.first, `${differences.count} of ${differences.all}`).toEqual([]);
    expect(differences.all).toBe(befores.length * programs.length * FILES.length * NAMES.length ** 2);
  });

  it.each(STATES)('afterFork(), and nothing after the end, of %o', (state) => {
    const world = new MarkingWorld(layout);
    setState(world, state);
    const parent = world.kernel.addProcess({ executable: PYTHON, pids: [PID], startTicks: START });
    const child = world.kernel.addProcess({ executable: PYTHON, pids: [200], startTicks: 2000, liveThreads: 0 });
    world.trace(fork, parent, child);
    expect(stateIn(world, 200)).toEqual(afterFork(state));
    expect(stateIn(world, PID)).toEqual(state);
    world.trace(exit, child);
    expect(stateIn(world, 200)).toBeUndefined();
  });

  it('noteOfSocket(), for every entry, file, name and circumstance', () => {
    const differences = new Differences();
    const nobodies: readonly (Nobody | undefined)[] = [
      undefined,
      { number: PROGRAM_NONE_FIRST + 1, inAnyCgroup: true },
      { number: PROGRAM_NONE_FIRST + 1, inAnyCgroup: false },
    ];
    const scripts: readonly (ScriptStarts | undefined)[] = [
      undefined,
      { seen: true, seenBeforeNs: SEEN_BEFORE_NS, daemonPid: 41 },
      { seen: false, seenBeforeNs: SEEN_BEFORE_NS, daemonPid: 41 },
    ];
    const makers = combinations({ task: STATES, program: PROGRAMS, areTasksLost: FLAGS, scripts });
    const others = [
      ...combinations({
        nobody: nobodies,
        isInit: FLAGS,
        isCgroupKnown: FLAGS,
        file: FILES.slice(0, 2),
        name: NAMES.slice(0, 2),
        links: [1, 2],
      }),
    ];
    // Whether it is nobody's is looked at only where nothing is known of it; of the others one is taken in turn.
    const first = others.filter((other) => other.isCgroupKnown && !other.isInit && other.nobody?.inAnyCgroup);
    let turn = 0;
    let looked = 0;
    for (const maker of makers) {
      const mayBeNobodys =
        (maker.program === undefined || maker.program.number >= PROGRAM_NONE_FIRST) &&
        (maker.task === undefined || isInterpreterAlone(maker.task));
      turn += 1;
      for (const other of mayBeNobodys ? others : [first[turn % first.length] as (typeof first)[number]]) {
        const pid = other.isInit ? 1 : PID;
        const around: Circumstances = { ...other, ...maker };
        const { nobody } = other;
        const world = new MarkingWorld(layout, {
          ...(nobody !== undefined && { nobody }),
          ...(maker.scripts !== undefined && { scripts: maker.scripts }),
        });
        looked += 1;
        const isCalledInterpreter = looked % 3 === 0;
        const file = { ...PYTHON, name: isCalledInterpreter ? 'python3.11' : 'tool', links: other.links };
        setFile(world, file, { ...other, ...maker });
        if (maker.task !== undefined) world.setTask(pid, { ...maker.task, startTicks: START });
        if (maker.areTasksLost) world.maps.set('counters', encodeU32(COUNTER_TASKS_LOST), encodeU64(1n));
        if (other.isCgroupKnown) world.setCgroupEpoch(7);
        const task = world.kernel.addProcess({ executable: file, pids: [pid], startTicks: START });
        const marked = world.makeSocket(socket, task) & MARK_NUMBER;
        const { number, mayBeChild, mayRunScript, isNoInterpreter } = world.creator() ?? { number: -1 };
        const got = present({ number, mayBeChild, mayRunScript, isNoInterpreter });
        const want = noteOfSocket({ ...other, ...maker, isCalledInterpreter }, around);
        differences.compare(
          { ...maker, ...other, isCalledInterpreter },
          { ...got, marked },
          { ...want, marked: want.number },
        );
      }
    }
    expect(differences.first, `${differences.count} of ${differences.all}`).toEqual([]);
    expect(differences.all).toBeGreaterThan(15_000);
  });
});
