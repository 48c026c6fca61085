import { describe, expect, it } from 'vitest';
import { DESCRIPTORS } from '../../test/bpf/interpreter.ts';
import { CURL, KERNELS, layoutOf, MarkingWorld, PYTHON } from '../../test/bpf/marking-world.ts';
import { execProgram } from './exec-program.ts';
import { exitProgram } from './exit-program.ts';
import { forkProgram } from './fork-program.ts';
import { PROGRAM_NONE_FIRST } from './mark.ts';
import { CONFIG_BYTES, encodeU32, NAMED_BY_LINK, NAMED_FAMILY } from './records.ts';

const PARENT = { executable: PYTHON, pids: [100], startTicks: 1000 };
const CHILD = { executable: PYTHON, pids: [200], startTicks: 2000 };
const SCRIPT = { number: 9, script: true, startTicks: PARENT.startTicks };
const RELATIVE = { number: 11, script: false, childrenNumber: 11, startTicks: PARENT.startTicks };

describe.each(KERNELS)('programs on processes, %s', (name) => {
  const layout = layoutOf(name);
  const fork = forkProgram(layout, DESCRIPTORS);
  const exec = execProgram(layout, DESCRIPTORS);
  const exit = exitProgram(layout, DESCRIPTORS);

  it.each([SCRIPT, RELATIVE, { ...SCRIPT, childrenNumber: 11 }, { ...SCRIPT, script: false }])(
    'forkProgram() gives a child what its parent has: %o',
    (record) => {
      const world = new MarkingWorld(layout);
      world.setTask(100, record);
      world.trace(fork, world.kernel.addProcess(PARENT), world.kernel.addProcess(CHILD));
      expect(world.taskOf(200)).toEqual({ ...record, startTicks: CHILD.startTicks });
      expect(world.taskOf(100)).toEqual(record);
    },
  );

  it('forkProgram() and execProgram() count what they have no room for', () => {
    const world = new MarkingWorld(layout);
    world.setTask(100, RELATIVE);
    const parent = world.kernel.addProcess(PARENT);
    world.maps.fill('tasks');
    world.trace(fork, parent, world.kernel.addProcess(CHILD));
    expect(world.taskOf(200)).toBeUndefined();
    expect(world.tasksLost()).toBe(1);
    world.setExecutable(CURL, { number: 7, childrenNumber: 12 });
    world.trace(exec, world.kernel.addProcess({ executable: CURL, pids: [300], startTicks: 3000 }));
    expect(world.tasksLost()).toBe(2);
    // Of what is there already it writes a new state.
    world.trace(exec, parent);
    expect(world.tasksLost()).toBe(2);
  });

  it('forkProgram() follows the thread that forks to its process', () => {
    const world = new MarkingWorld(layout);
    world.setTask(100, SCRIPT);
    const thread = world.kernel.addThread(world.kernel.addProcess(PARENT), [101]);
    world.trace(fork, thread, world.kernel.addProcess(CHILD));
    expect(world.taskOf(200)?.number).toBe(9);
  });

  it('forkProgram() gives nothing to a thread, nor what another process had', () => {
    const world = new MarkingWorld(layout);
    world.setTask(100, { ...SCRIPT, startTicks: 999 });
    const parent = world.kernel.addProcess(PARENT);
    world.trace(fork, parent, world.kernel.addProcess(CHILD));
    world.setTask(100, SCRIPT);
    world.trace(fork, parent, world.kernel.addThread(parent, [200]));
    expect(world.maps.size('tasks')).toBe(1);
  });

  it('forkProgram() knows a child in a pid namespace of its own, and none that the daemon cannot see', () => {
    const world = new MarkingWorld(layout, { pidLevel: 1 });
    const parent = world.kernel.addProcess({ ...PARENT, pids: [900, 100] });
    world.setTask(100, SCRIPT);
    world.trace(fork, parent, world.kernel.addProcess({ ...CHILD, pids: [901, 200, 1] }));
    expect(world.taskOf(200)?.number).toBe(9);
    world.trace(fork, parent, world.kernel.addProcess({ ...CHILD, pids: [902] }));
    expect(world.maps.size('tasks')).toBe(2);
  });

  it.each([
    ['nothing', undefined, undefined],
    ['a script', SCRIPT, undefined],
    ['a process bound by itself', { ...SCRIPT, script: false }, undefined],
    ['what it was started as', { ...SCRIPT, script: false, started: true }, undefined],
    ['a script with children', { ...SCRIPT, childrenNumber: 11 }, RELATIVE],
    ['a child', { ...RELATIVE, number: 12 }, { ...RELATIVE, number: 12 }],
    ['what another process was', { ...RELATIVE, startTicks: 1 }, { ...RELATIVE, startTicks: 1 }],
  ] as const)('execProgram() leaves of %s what outlives an exec', (_what, before, after) => {
    const world = new MarkingWorld(layout);
    world.setExecutable(PYTHON, { number: PROGRAM_NONE_FIRST });
    if (before !== undefined) world.setTask(100, before);
    world.trace(exec, world.kernel.addProcess(PARENT));
    expect(world.taskOf(100)).toEqual(after);
  });

  it.each([undefined, SCRIPT, { ...RELATIVE, number: 12, childrenNumber: 12 }])(
    'execProgram() begins a family with an executable whose children count as its own, after %o',
    (before) => {
      const world = new MarkingWorld(layout);
      world.setExecutable(PYTHON, { number: 5, childrenNumber: 11 });
      if (before !== undefined) world.setTask(100, before);
      world.trace(exec, world.kernel.addProcess(PARENT));
      expect(world.taskOf(100)).toEqual(RELATIVE);
      world.trace(exec, world.kernel.addProcess({ ...CHILD, executable: CURL }));
      expect(world.taskOf(200)).toBeUndefined();
    },
  );

  it('execProgram() lets what yields begin nothing in a family that keeps its own, and only there', () => {
    const world = new MarkingWorld(layout);
    world.setExecutable(PYTHON, { number: 5, childrenNumber: 11, yields: true });
    const parent = world.kernel.addProcess(PARENT);
    const around = { ...RELATIVE, number: 12, childrenNumber: 12 };
    world.setTask(100, { ...around, keeps: true });
    world.trace(exec, parent);
    expect(world.taskOf(100)).toEqual({ ...around, keeps: true });
    // A script of its own, in that family, goes on to something else.
    world.setTask(100, { ...around, number: 9, script: true, keeps: true });
    world.trace(exec, parent);
    expect(world.taskOf(100)).toEqual({ ...around, keeps: true });
    world.setTask(100, around);
    world.trace(exec, parent);
    expect(world.taskOf(100)).toEqual(RELATIVE);
    world.setExecutable(PYTHON, { number: 5, childrenNumber: 11, keeps: true });
    world.trace(exec, parent);
    expect(world.taskOf(100)).toEqual({ ...RELATIVE, keeps: true });
  });

  it.each([
    ['the name', { name: 'python3', flags: NAMED_FAMILY }],
    ['the file, touched since', { file: { ...PYTHON, changeSeconds: 1n }, flags: NAMED_FAMILY }],
  ])('execProgram() begins a family that is asked about with what has %s of one', (_what, named) => {
    const world = new MarkingWorld(layout);
    world.setNamed(named);
    const parent = world.kernel.addProcess(PARENT);
    world.trace(exec, parent);
    const unknown = { number: 0, script: false, childrenNumber: 0, keeps: true };
    expect(world.taskOf(100)).toEqual({ ...unknown, startTicks: PARENT.startTicks });
    // What that starts is asked about too, and so on.
    world.trace(fork, parent, world.kernel.addProcess(CHILD));
    world.trace(exec, world.kernel.addProcess({ ...CHILD, executable: CURL }));
    expect(world.taskOf(200)).toEqual({ ...unknown, startTicks: CHILD.startTicks });
    world.trace(exec, world.kernel.addProcess({ ...CHILD, pids: [300], executable: CURL }));
    expect(world.taskOf(300)).toBeUndefined();
  });

  it('execProgram() begins nothing with what is called as a program without a family, or is known', () => {
    const world = new MarkingWorld(layout);
    world.setNamed({ name: 'python3', file: PYTHON });
    world.trace(exec, world.kernel.addProcess(PARENT));
    world.setNamed({ name: 'python3', flags: NAMED_FAMILY });
    world.setExecutable(PYTHON, { number: PROGRAM_NONE_FIRST });
    world.trace(exec, world.kernel.addProcess(PARENT));
    expect(world.maps.size('tasks')).toBe(0);
  });

  const SEEN = { seen: true, seenBeforeNs: 500n, daemonPid: 40 };

  it.each(['python3', 'python3.11', 'bash', 'R', 'perl5.36-x86_64-linux-gnu'])(
    'execProgram() notes since when a process runs an interpreter where policies name scripts: %s',
    (called) => {
      const world = new MarkingWorld(layout, { scripts: SEEN });
      const task = world.kernel.addProcess({ ...PARENT, executable: { ...PYTHON, name: called } });
      world.trace(exec, task, 0n, world.kernel.addExec({ interpreted: false }));
      const alone = { number: 0, script: false, interpreterNs: world.nowNs };
      expect(world.taskOf(100)).toEqual({ ...alone, startTicks: PARENT.startTicks });
      world.trace(fork, task, world.kernel.addProcess(CHILD));
      expect(world.taskOf(200)).toEqual({ ...alone, startTicks: CHILD.startTicks });
      // It becomes something else.
      world.trace(exec, world.kernel.addProcess({ ...PARENT, executable: CURL }), 0n, 0n);
      expect(world.taskOf(100)).toBeUndefined();
    },
  );

  it('execProgram() notes whatever the kernel took from the first line of what was to be run', () => {
    const world = new MarkingWorld(layout, { scripts: SEEN });
    const task = world.kernel.addProcess({ ...PARENT, executable: CURL });
    world.trace(exec, task, 0n, world.kernel.addExec({ interpreted: true }));
    expect(world.taskOf(100)?.interpreterNs).toBe(world.nowNs);
    world.trace(exec, task, 0n, world.kernel.addExec({ interpreted: false }));
    expect(world.taskOf(100)).toBeUndefined();
  });

  it.each(['bashful', 'shutdown', 'Rscript', 'javac', 'curl', 'p'])(
    'execProgram() notes no program that is called otherwise: %s',
    (called) => {
      const world = new MarkingWorld(layout, { scripts: SEEN });
      const task = world.kernel.addProcess({ ...PARENT, executable: { ...PYTHON, name: called } });
      world.trace(exec, task, 0n, world.kernel.addExec({ interpreted: false }));
      expect(world.maps.size('tasks')).toBe(0);
    },
  );

  it('execProgram() notes no interpreter where no policy names a script', () => {
    const world = new MarkingWorld(layout);
    world.trace(exec, world.kernel.addProcess(PARENT), 0n, world.kernel.addExec({ interpreted: true }));
    expect(world.maps.size('tasks')).toBe(0);
  });

  it.each([
    ['a child', { ...RELATIVE, number: 12 }, { ...RELATIVE, number: 12 }],
    ['a script with children', { ...SCRIPT, childrenNumber: 11 }, RELATIVE],
    ['a script', SCRIPT, { number: 0, script: false, startTicks: PARENT.startTicks }],
    [
      'an interpreter',
      { ...SCRIPT, number: 0, script: false, interpreterNs: 3n },
      { ...SCRIPT, number: 0, script: false },
    ],
  ])('execProgram() notes an interpreter beside what else is known: of %s', (_what, before, after) => {
    const world = new MarkingWorld(layout, { scripts: SEEN });
    world.setTask(100, before);
    world.trace(exec, world.kernel.addProcess(PARENT), 0n, world.kernel.addExec({ interpreted: false }));
    expect(world.taskOf(100)).toEqual({ ...after, interpreterNs: world.nowNs });
  });

  it('exitProgram() notes that nobody sees scripts start once the first thread of the daemon ends, and no other', () => {
    const world = new MarkingWorld(layout, { scripts: SEEN });
    const daemon = world.kernel.addProcess({ ...PARENT, pids: [SEEN.daemonPid], liveThreads: 3 });
    world.trace(exit, world.kernel.addThread(daemon, [41]));
    world.trace(exit, world.kernel.addProcess({ ...PARENT, liveThreads: 0 }));
    expect(world.scripts).toEqual(SEEN);
    world.trace(exit, daemon);
    expect(world.scripts).toEqual({ ...SEEN, seen: false });
  });

  it.each([undefined, SCRIPT, { ...RELATIVE, number: 12 }, { ...RELATIVE, startTicks: 1 }])(
    'execProgram() writes down what a named program is when it is started, after %o',
    (before) => {
      const world = new MarkingWorld(layout);
      world.setExecutable(PYTHON, { number: 5 });
      if (before !== undefined) world.setTask(100, before);
      const parent = world.kernel.addProcess(PARENT);
      world.trace(exec, parent);
      const isChild = before !== undefined && before.startTicks === PARENT.startTicks && 'childrenNumber' in before;
      const record = { number: 5, script: false, started: true, ...(isChild && { childrenNumber: 11 }) };
      expect(world.taskOf(100)).toEqual({ ...record, startTicks: PARENT.startTicks });
      world.trace(fork, parent, world.kernel.addProcess(CHILD));
      expect(world.taskOf(200)).toEqual({ ...record, startTicks: CHILD.startTicks });
    },
  );

  const asked = { number: 0, script: false, started: true, startTicks: PARENT.startTicks };
  it.each([
    ['a file that was a named program', {}, { number: 5, former: true }, asked],
    ['one whose children counted with it', {}, { number: 5, childrenNumber: 11, former: true }, undefined],
    ['the name that it was started by', { name: 'command' }, undefined, asked],
    ['that name, of a file that is known', { name: 'command' }, { number: PROGRAM_NONE_FIRST }, undefined],
    ['that name, where a link leads', { name: 'command', flags: NAMED_BY_LINK }, { number: PROGRAM_NONE_FIRST }, asked],
    ['its name, where a link leads', { name: 'python3', flags: NAMED_BY_LINK }, { number: PROGRAM_NONE_FIRST }, asked],
    ['a name of something else', { name: 'other', flags: NAMED_BY_LINK }, { number: PROGRAM_NONE_FIRST }, undefined],
  ] as const)('execProgram() has asked about what is started by %s', (_what, named, record, want) => {
    const world = new MarkingWorld(layout);
    world.setNamed(named);
    if (record !== undefined) world.setExecutable(PYTHON, record);
    world.trace(exec, world.kernel.addProcess(PARENT));
    const isFamily = record !== undefined && 'childrenNumber' in record;
    const family = { number: 0, script: false, childrenNumber: 0, keeps: true, startTicks: PARENT.startTicks };
    expect(world.taskOf(100)).toEqual(isFamily ? family : want);
  });

  it('execProgram() writes nothing of a process that the daemon cannot see', () => {
    const world = new MarkingWorld(layout, { pidLevel: 1 });
    world.setExecutable(PYTHON, { number: 5, childrenNumber: 11 });
    world.trace(exec, world.kernel.addProcess(PARENT));
    expect(world.maps.size('tasks')).toBe(0);
  });

  it('exitProgram() forgets a process with its last thread', () => {
    const world = new MarkingWorld(layout);
    world.setTask(100, SCRIPT);
    world.setTask(200, SCRIPT);
    world.trace(exit, world.kernel.addProcess({ ...PARENT, liveThreads: 1 }));
    expect(world.taskOf(100)).toEqual(SCRIPT);
    const leader = world.kernel.addProcess({ ...PARENT, liveThreads: 0 });
    world.trace(exit, world.kernel.addThread(leader, [101]));
    expect(world.taskOf(100)).toBeUndefined();
    expect(world.taskOf(200)).toEqual(SCRIPT);
  });

  it.each([
    ['forkProgram()', fork],
    ['exitProgram()', exit],
    ['execProgram()', exec],
  ])('%s does nothing before the daemon has said which pid namespace is its own', (_name, program) => {
    const world = new MarkingWorld(layout);
    world.setTask(100, SCRIPT);
    world.maps.set('config', encodeU32(0), new Uint8Array(CONFIG_BYTES));
    const dead = { liveThreads: 0 };
    world.trace(
      program,
      world.kernel.addProcess({ ...PARENT, ...dead }),
      world.kernel.addProcess({ ...CHILD, ...dead }),
    );
    expect(world.taskOf(100)).toEqual(SCRIPT);
    expect(world.maps.size('tasks')).toBe(1);
  });
});
