import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DESCRIPTORS } from '../../test/bpf/interpreter.ts';
import {
  CGROUP,
  CGROUP_IDS,
  CURL,
  EPOCH,
  GID,
  KERNELS,
  keyOf,
  layoutOf,
  MarkingWorld,
  type MarkingWorldOptions,
  PYTHON,
  UID,
} from '../../test/bpf/marking-world.ts';
import { COUNTER_TASKS_LOST } from './maps.ts';
import { PROGRAM_NONE_FIRST } from './mark.ts';
import {
  CONFIG_BYTES,
  decodeHelloRecord,
  decodeProgramFile,
  encodeExecutableKey,
  encodeU32,
  encodeU64,
  encodeWaysRecord,
  HELLO_PROTOCOL,
  HELLO_SOCKET_TYPE,
  NO_EXECUTABLE,
} from './records.ts';
import { socketProgram } from './socket-program.ts';

const AF_UNIX = 1;
const AF_INET6 = 10;
const PID = 4242;
const START_TICKS = 31_415;
const PROCESS = { executable: PYTHON, pids: [PID], startTicks: START_TICKS };
const NONE = 0x7f03;
const NOBODY = { number: 0x7f09, inAnyCgroup: false };
const LONG = { ...CURL, inode: 9n, name: 'l'.repeat(255) };

describe.each(KERNELS)('socketProgram() for %s', (name) => {
  const layout = layoutOf(name);
  const program = socketProgram(layout, DESCRIPTORS);

  /** A world with one process, and a socket that it makes. */
  function openWorld(options?: MarkingWorldOptions) {
    const world = new MarkingWorld(layout, options);
    const task = world.kernel.addProcess(PROCESS);
    const mark = (socket?: Parameters<MarkingWorld['makeSocket']>[2]) => world.makeSocket(program, task, socket);
    return { world, task, mark };
  }

  it('socketProgram() leaves a socket unmarked whose program is not known, and writes down who made it', () => {
    const { world, mark } = openWorld();
    expect(mark()).toBe(0);
    expect(world.creator()).toEqual({
      executable: keyOf(PYTHON),
      startTicks: START_TICKS,
      cgroupId: CGROUP,
      cgroupIds: CGROUP_IDS,
      pid: PID,
      number: 0,
      uid: UID,
      gid: GID,
      command: 'command',
    });
    expect(world.counts()).toEqual([0, 1, 0]);
  });

  it('socketProgram() marks the sockets of an executable that has a number, and no others', () => {
    const { world, mark } = openWorld();
    world.setExecutable(PYTHON, { number: 5 });
    expect(mark()).toBe(0x80008005);
    expect(world.creator()?.number).toBe(5);
    expect(world.makeSocket(program, world.kernel.addProcess({ ...PROCESS, executable: CURL }))).toBe(0);
    expect(world.counts()).toEqual([1, 1, 0]);
  });

  it.each([
    ['inode', { inode: 7n }],
    ['device', { device: 1 }],
    ['generation', { generation: 4 }],
    ['second of its change', { changeSeconds: 1n }],
    ['nanosecond of its change', { changeNanoseconds: 5 }],
  ])('socketProgram() takes a file with another %s for another', (_what, difference) => {
    const { world, mark } = openWorld();
    world.setExecutable({ ...PYTHON, ...difference }, { number: 5 });
    expect(mark()).toBe(0);
  });

  it('socketProgram() puts the way of the socket’s family into the mark, and nothing but way bits', () => {
    const { world, mark } = openWorld();
    world.setExecutable(PYTHON, { number: 5 });
    world.maps.set('ways', encodeU32(5), encodeWaysRecord({ v4: 0x03000000, v6: 0xffffffff }));
    expect(mark()).toBe(0x83008005);
    expect(mark({ family: AF_INET6 })).toBe(0xff008005);
    expect(mark({ family: AF_UNIX })).toBe(0x80008005);
  });

  it.each([
    [0x00420000, 0x80428005, [1, 0, 0]],
    [0x00000001, 0x00000001, [0, 0, 1]],
    [0x01000000, 0x01000000, [0, 0, 1]],
    [0x80000000, 0x80000000, [0, 0, 1]],
  ])('socketProgram() leaves alone what is not ours in the mark 0x%s', (before, after, counts) => {
    const { world, mark } = openWorld();
    world.setExecutable(PYTHON, { number: 5 });
    expect(mark({ mark: before })).toBe(after);
    expect(world.counts()).toEqual(counts);
  });

  it('socketProgram() says nobody of no process once one could not be written down', () => {
    const { world, mark } = openWorld({ nobody: { number: PROGRAM_NONE_FIRST, inAnyCgroup: true } });
    expect(mark()).toBe(0x80008000 + PROGRAM_NONE_FIRST);
    world.maps.set('counters', encodeU32(COUNTER_TASKS_LOST), encodeU64(1n));
    expect(mark()).toBe(0);
    // What is named is, and what is written down.
    world.setTask(PID, { number: 9, script: false, startTicks: START_TICKS });
    expect(mark()).toBe(0x80008009);
    world.setExecutable(PYTHON, { number: 5 });
    expect(mark()).toBe(0x80008005);
  });

  it('socketProgram() does nothing in another network namespace, or before the daemon has said which is its own', () => {
    const { world, task, mark } = openWorld();
    world.setExecutable(PYTHON, { number: 5 });
    expect(mark({ netnsCookie: 78n })).toBe(0);
    world.maps.set('config', encodeU32(0), new Uint8Array(CONFIG_BYTES));
    expect(world.makeSocket(program, task)).toBe(0);
    expect(world.creator()).toBeUndefined();
    expect(world.counts()).toEqual([0, 0, 0]);
  });

  it('socketProgram() does not believe the entry of a process that had the number before', () => {
    const { world, mark } = openWorld();
    world.setTask(PID, { number: 9, script: true, startTicks: START_TICKS - 1 });
    expect(mark()).toBe(0);
    world.setTask(PID, { number: 9, script: true, startTicks: START_TICKS });
    expect(mark()).toBe(0x80008009);
  });

  it('socketProgram() takes a thread for its process', () => {
    const { world, task } = openWorld();
    world.setTask(PID, { number: 9, script: true, startTicks: START_TICKS });
    expect(world.makeSocket(program, world.kernel.addThread(task, [PID + 1]))).toBe(0x80008009);
    expect(world.creator()).toMatchObject({ pid: PID, startTicks: START_TICKS, executable: keyOf(PYTHON) });
  });

  it('socketProgram() knows a thread of the kernel by having no executable', () => {
    const { world } = openWorld();
    const thread = world.kernel.addProcess({ ...PROCESS, executable: undefined });
    expect(world.makeSocket(program, thread)).toBe(0);
    expect(world.creator()?.executable).toBe(NO_EXECUTABLE);
  });

  it('socketProgram() numbers processes as the daemon does, in its own pid namespace', () => {
    const { world } = openWorld({ pidLevel: 1 });
    const pidOf = (pids: readonly number[]) => {
      world.makeSocket(program, world.kernel.addProcess({ ...PROCESS, pids }));
      return world.creator()?.pid;
    };
    expect(pidOf([300, 20])).toBe(20);
    expect(pidOf([300, 20, 1])).toBe(20);
    expect(pidOf([300])).toBe(0);
    // Its number is nobody's here, so the entry of another is not taken for its own.
    world.setTask(0, { number: 9, script: true, startTicks: START_TICKS });
    expect(world.makeSocket(program, world.kernel.addProcess({ ...PROCESS, pids: [300] }))).toBe(0);
  });

  it('socketProgram() does not take a pid namespace of the same depth for the daemon’s', () => {
    const { world, mark } = openWorld();
    const config = world.maps.get('config', encodeU32(0)) as Uint8Array;
    config.set(encodeU64(0xffff_ffff_1234_0000n), 8);
    expect(mark()).toBe(0);
    expect(world.creator()?.pid).toBe(0);
  });

  it('socketProgram() says the number that the rules say, whatever is known', () => {
    const number = fc.constantFrom(0, 1, 5, 0x7eff, 0x7f00, NONE, 0x7fff);
    const facts = { number, script: fc.boolean(), isThis: fc.boolean(), childrenNumber: fc.constant(3) };
    const task = fc.option(fc.record(facts, { requiredKeys: ['number', 'script', 'isThis'] }), { nil: undefined });
    const executable = fc.option(fc.record({ number }), { nil: undefined });
    const epoch = fc.constantFrom(undefined, EPOCH, EPOCH + 1);
    const seen = new Set<number>();
    fc.assert(
      fc.property(task, executable, epoch, (t, e, cgroupEpoch) => {
        const { world, mark } = openWorld();
        if (t !== undefined) world.setTask(PID, { ...t, startTicks: START_TICKS + (t.isThis ? 0 : 1) });
        if (e !== undefined) world.setExecutable(PYTHON, e);
        if (cgroupEpoch !== undefined) world.setCgroupEpoch(cgroupEpoch);
        const own = t?.isThis ? t : undefined;
        const named = e !== undefined && e.number < 0x7f00;
        const none = e !== undefined && cgroupEpoch === EPOCH ? e.number : 0;
        const want = own?.script ? own.number : named ? e.number : own !== undefined ? own.number : none;
        seen.add(want);
        expect(mark()).toBe(want === 0 ? 0 : 0x80008000 + want);
        expect(world.creator()?.number).toBe(want);
      }),
      { numRuns: 300 },
    );
    expect(seen.size).toBe(7);
  });

  it('socketProgram() says nobody of a program that has neither the name nor the file of a named one', () => {
    const { world, mark } = openWorld({ nobody: NOBODY });
    expect(mark()).toBe(0);
    world.setCgroupEpoch(EPOCH);
    expect(mark()).toBe(0x8000ff09);
    world.setNamed({ name: 'python', file: CURL });
    expect(mark()).toBe(0x8000ff09);
    world.setTask(PID, { number: 9, script: false, startTicks: START_TICKS });
    expect(mark()).toBe(0x80008009);
  });

  it.each([
    ['name', { name: 'python3' }],
    ['file, with another change time', { file: { ...PYTHON, changeSeconds: 1n } }],
  ])('socketProgram() asks about a program that has the %s of a named one', (_what, named) => {
    const { world, mark } = openWorld({ nobody: { ...NOBODY, inAnyCgroup: true } });
    expect(mark()).toBe(0x8000ff09);
    world.setNamed(named);
    expect(mark()).toBe(0);
    expect(world.creator()?.number).toBe(0);
    // What is known by its key is known.
    world.setExecutable(PYTHON, { number: 5 });
    expect(mark()).toBe(0x80008005);
  });

  const UNSEEN = { seen: false, seenBeforeNs: 500n, daemonPid: 40 };
  const STARTED = { number: 0, script: false, startTicks: START_TICKS, interpreterNs: 500n };

  it.each([
    ['none of an interpreter that may run a script', { scripts: UNSEEN, task: STARTED, number: 0 }],
    ['none of one in a family', { scripts: UNSEEN, task: { ...STARTED, number: 11, childrenNumber: 11 }, number: 0 }],
    ['that of one that was started before', { scripts: UNSEEN, task: { ...STARTED, interpreterNs: 499n }, number: 5 }],
    ['that of one while starts are seen', { scripts: { ...UNSEEN, seen: true }, task: STARTED, number: 5 }],
    ['that of a script', { scripts: UNSEEN, task: { ...STARTED, number: 9, script: true }, number: 9 }],
    ['that of a program that is none', { scripts: UNSEEN, task: undefined, number: 5 }],
  ] as const)('socketProgram() says a number without the daemon: %s', (_what, { scripts, task, number }) => {
    const { world, mark } = openWorld({ scripts });
    world.setExecutable(PYTHON, { number: 5 });
    if (task !== undefined) world.setTask(PID, task);
    mark();
    expect(world.creator()?.number).toBe(number);
  });

  it('socketProgram() says no number without the daemon once an interpreter could not be written down', () => {
    for (const [scripts, number] of [
      [{ ...UNSEEN, seen: true }, 5],
      [UNSEEN, 0],
    ] as const) {
      const { world, mark } = openWorld({ scripts });
      world.setExecutable(PYTHON, { number: 5 });
      world.maps.set('counters', encodeU32(COUNTER_TASKS_LOST), encodeU64(1n));
      mark();
      expect(world.creator()?.number).toBe(number);
    }
  });

  it('socketProgram() says a family’s number of an interpreter of it, and nobody of one without', () => {
    const { world, mark } = openWorld({ nobody: { ...NOBODY, inAnyCgroup: true }, scripts: { ...UNSEEN, seen: true } });
    world.setTask(PID, STARTED);
    mark();
    expect(world.creator()?.number).toBe(NOBODY.number);
    world.setTask(PID, { ...STARTED, number: 11, childrenNumber: 11 });
    mark();
    expect(world.creator()?.number).toBe(11);
  });

  it('socketProgram() compares as much of long names as it looks at', () => {
    const { world } = openWorld({ nobody: { ...NOBODY, inAnyCgroup: true } });
    world.setNamed({ name: `${'l'.repeat(63)}x` });
    const markOf = (executable: typeof LONG) =>
      world.makeSocket(program, world.kernel.addProcess({ ...PROCESS, executable }));
    expect(markOf(LONG)).toBe(0);
    expect(markOf({ ...LONG, name: 'l'.repeat(62) })).toBe(0x8000ff09);
  });

  it('socketProgram() never says nobody of process 1, of threads of the kernel, and of what has no name', () => {
    const { world } = openWorld({ nobody: { ...NOBODY, inAnyCgroup: true } });
    const markOf = (process: Partial<typeof PROCESS> | { readonly executable: undefined }) =>
      world.makeSocket(program, world.kernel.addProcess({ ...PROCESS, ...process }));
    expect(markOf({ pids: [1] })).toBe(0);
    world.setExecutable(PYTHON, NOBODY);
    expect(markOf({ pids: [1] })).toBe(0);
    expect(markOf({})).toBe(0x8000ff09);
    world.maps.delete('executables', encodeExecutableKey(keyOf(PYTHON)));
    expect(markOf({ executable: undefined })).toBe(0);
    const { name: _, ...nameless } = PYTHON;
    expect(markOf({ executable: nameless })).toBe(0);
    expect(markOf({ executable: { ...PYTHON, name: '' } })).toBe(0);
    expect(markOf({ executable: { ...PYTHON, name: 'p' } })).toBe(0x8000ff09);
  });

  it('socketProgram() tells the daemon’s thread who it is, while that is wanted, and marks its socket too', () => {
    const ask = (hello: boolean, socket: { type?: number; protocol?: number } = {}) => {
      const world = new MarkingWorld(layout, { hello, pidLevel: 9 });
      const leader = world.kernel.addProcess({ ...PROCESS, pids: [300, 20] });
      const thread = world.kernel.addThread(leader, [301, 21]);
      world.setExecutable(PYTHON, { number: 0x7eff });
      expect(world.makeSocket(program, thread, { type: HELLO_SOCKET_TYPE, protocol: HELLO_PROTOCOL, ...socket })).toBe(
        0x8000feff,
      );
      const record = world.maps.get('hello', encodeU32(0));
      return { thread, world, hello: record && decodeHelloRecord(record) };
    };
    const { hello, thread, world } = ask(true);
    expect(hello).toEqual({
      task: thread,
      pidNamespace: world.kernel.pidNamespace(1),
      pidLevel: 1,
      cgroupId: CGROUP,
      startTicks: START_TICKS,
      threadId: 21,
      pid: 20,
    });
    for (const other of [ask(false), ask(true, { type: 2 }), ask(true, { protocol: 254 })])
      expect(other.hello?.task).toBe(0n);
  });

  it('socketProgram() learns the key and the name of a file that the asking thread has open, for that thread alone', () => {
    const world = new MarkingWorld(layout);
    const openFiles = [PYTHON, undefined, CURL, LONG];
    const task = world.kernel.addProcess({ ...PROCESS, openFiles });
    world.setExecutable(PYTHON, { number: 5 });
    const learn = (fd: number) => {
      world.maps.set('learners', encodeU64(task), encodeU32(fd));
      expect(world.makeSocket(program, task)).toBe(0);
      const file = world.maps.get('learned', encodeU64(task));
      world.maps.delete('learned', encodeU64(task));
      return file && decodeProgramFile(file);
    };
    expect(learn(0)).toEqual({ key: keyOf(PYTHON), name: 'python3' });
    expect(learn(2)).toEqual({ key: keyOf(CURL), name: 'curl' });
    expect(learn(3)).toEqual({ key: keyOf(LONG), name: 'l'.repeat(63) });
    for (const notOpen of [1, 4, 0xffffffff]) expect(learn(notOpen)).toBeUndefined();
    const other = world.kernel.addProcess({ ...PROCESS, openFiles });
    expect(world.makeSocket(program, other)).toBe(0x80008005);
    expect(world.maps.get('learned', encodeU64(other))).toBeUndefined();
  });
});
