import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FileId, type FileName, fileIdOf } from '../../src/bpf/records.ts';
import { nameAtPath } from '../../src/kernel/file-name.ts';
import type { SharedSocketMarks, SocketMarks } from '../../src/kernel/socket-marks.ts';
import { PROGRAM_NONE_FIRST, programMark } from '../../src/plan/reserved.ts';

export interface MadeSocket {
  readonly mark: number;
  readonly cookie: bigint;
}

export interface MarkedProcess {
  readonly pid: number;
  readonly startTicks: number;
  /** Of its cgroup of version 2. */
  readonly cgroupId: bigint;
  /** A datagram socket, closed again. */
  makeSocket(family: 4 | 6): Promise<MadeSocket>;
  fork(): Promise<MarkedProcess>;
  /** Another program in the same process. */
  exec(path: string): Promise<void>;
  /** It exits, and nothing is left of it. */
  end(): Promise<void>;
}

export interface SocketMarksWorld {
  readonly marks: SocketMarks;
  /** The same, as another thread has it. */
  borrow(): SharedSocketMarks;
  /** A program in a file of its own, called so; its path. */
  addProgram(name?: string): string;
  hardLink(path: string): string;
  symbolicLink(path: string): string;
  /** Another file takes the path; programs that run go on. */
  replace(path: string): void;
  remove(path: string): void;
  /** With `markedBefore`, somebody else has given its sockets this mark before we see them. */
  start(path: string, options?: { readonly markedBefore?: number }): Promise<MarkedProcess>;
  close(): Promise<void>;
}

const WAY4 = 0x05000000;
const WAY6 = 0x06000000;

/** What every SocketMarks does: run on the fake and on the real kernel, so that tests on the fake mean something. */
export function socketMarksContract(
  kernelName: string,
  openWorld: (options?: { readonly maxTasks: number }) => Promise<SocketMarksWorld>,
): void {
  describe(`SocketMarks contract, ${kernelName}`, () => {
    let world: SocketMarksWorld;
    let marks: SocketMarks;
    beforeEach(async () => {
      world = await openWorld();
      marks = world.marks;
    });
    afterEach(() => world.close());

    const keyOf = (path: string, from: SharedSocketMarks = marks): ReturnType<SocketMarks['keyOfFile']> & string => {
      const key = from.keyOfFile(path);
      if (key === undefined) throw new Error(`no key of ${path}`);
      return key;
    };
    const nameProgram = (path: string, number: number, childrenNumber?: number): void =>
      marks.setExecutable(keyOf(path), { number, ...(childrenNumber !== undefined && { childrenNumber }) });
    const markOf = async (process: MarkedProcess, family: 4 | 6 = 4): Promise<number> =>
      (await process.makeSocket(family)).mark;

    describe('keyOfFile()', () => {
      it('keyOfFile() is the same for links to a file, and another for another file', () => {
        const path = world.addProgram();
        const linked = world.hardLink(path);
        expect(keyOf(linked)).toBe(keyOf(path));
        expect(keyOf(world.symbolicLink(path))).toBe(keyOf(path));
        expect(keyOf(world.addProgram())).not.toBe(keyOf(path));
        expect(keyOf(path)).toMatch(/^[0-9a-f]{64}$/);
      });

      it('keyOfFile() changes when another file takes the path', () => {
        const path = world.addProgram();
        const before = keyOf(path);
        world.replace(path);
        expect(keyOf(path)).not.toBe(before);
      });

      it('keyOfFile() has nothing for what is no file', () => {
        const path = world.addProgram();
        world.remove(path);
        expect(marks.keyOfFile(path)).toBeUndefined();
        expect(marks.keyOfFile('/')).toBeUndefined();
        expect(marks.keyOfFile('/dev/null')).toBeUndefined();
        expect(marks.keyOfFile('')).toBeUndefined();
      });

      it('keyOfFile() leaves sockets of the caller as they are afterwards', async () => {
        const path = world.addProgram();
        const before = marks.counts();
        keyOf(path);
        expect(marks.counts()).toEqual(before);
      });

      it('keyOfFile() and all else work on borrowed maps too', async () => {
        const path = world.addProgram();
        const borrowed = world.borrow();
        expect(keyOf(path, borrowed)).toBe(keyOf(path));
        borrowed.setExecutable(keyOf(path, borrowed), { number: 9 });
        const process = await world.start(path);
        const { mark, cookie } = await process.makeSocket(4);
        expect(mark).toBe(programMark(9));
        expect(borrowed.creatorOf(cookie)).toEqual(marks.creatorOf(cookie));
        borrowed.bindTask(process.pid, process.startTicks, { number: 10, script: true });
        expect(marks.taskOf(process.pid, process.startTicks)).toEqual({ number: 10, script: true });
        expect(borrowed.taskOf(process.pid, process.startTicks)).toEqual({ number: 10, script: true });
        borrowed.unbindTask(process.pid);
        expect(marks.taskOf(process.pid, process.startTicks)).toBeUndefined();
        expect(borrowed.counts()).toEqual(marks.counts());
      });
    });

    describe('executables', () => {
      it('setExecutable() marks what a program makes from then on, forgetExecutable() ends it', async () => {
        const path = world.addProgram();
        const process = await world.start(path);
        expect(await markOf(process)).toBe(0);
        nameProgram(path, 7);
        expect(await markOf(process)).toBe(programMark(7));
        expect(await markOf(process, 6)).toBe(programMark(7));
        nameProgram(path, 8);
        expect(await markOf(process)).toBe(programMark(8));
        marks.forgetExecutable(keyOf(path));
        expect(await markOf(process)).toBe(0);
        marks.forgetExecutable(keyOf(path));
      });

      it('setExecutable() marks the first socket of a program that is started later', async () => {
        const path = world.addProgram();
        nameProgram(path, 7);
        expect(await markOf(await world.start(world.symbolicLink(path)))).toBe(programMark(7));
        expect(await markOf(await world.start(world.addProgram()))).toBe(0);
      });

      it('setExecutable() means the file, not the path: one that was replaced goes on, its successor is another', async () => {
        const path = world.addProgram();
        const process = await world.start(path);
        world.replace(path);
        const key = keyOf(path);
        marks.setExecutable(key, { number: 7 });
        expect(await markOf(process)).toBe(0);
        expect(await markOf(await world.start(path))).toBe(programMark(7));
      });

      it('executables() lists what was set, programOf() tells one', () => {
        const first = keyOf(world.addProgram());
        const second = keyOf(world.addProgram());
        expect(marks.executables()).toEqual(new Map());
        expect(marks.programOf(first)).toBeUndefined();
        marks.setExecutable(first, { number: 7 });
        marks.setExecutable(second, { number: PROGRAM_NONE_FIRST, childrenNumber: 3 });
        expect(marks.executables()).toEqual(
          new Map([
            [first, 7],
            [second, PROGRAM_NONE_FIRST],
          ]),
        );
        expect(marks.programOf(second)).toBe(PROGRAM_NONE_FIRST);
        marks.forgetExecutable(first);
        expect(marks.programOf(first)).toBeUndefined();
        expect(marks.executables()).toEqual(new Map([[second, PROGRAM_NONE_FIRST]]));
      });

      it('takeStrangers() tells once of each executable that nothing is known of', async () => {
        const [named, stranger] = [world.addProgram(), world.addProgram()];
        nameProgram(named, 7);
        const maker = await world.start(stranger);
        marks.takeStrangers();
        await markOf(await world.start(named));
        await markOf(maker);
        await markOf(maker);
        const taken = marks.takeStrangers().filter(({ executable }) => executable === keyOf(stranger));
        expect(taken.map(({ pid, number }) => ({ pid, number }))).toEqual([{ pid: maker.pid, number: 0 }]);
        expect(marks.takeStrangers().filter(({ executable }) => executable === keyOf(stranger))).toEqual([]);
        nameProgram(stranger, 8);
        await markOf(maker);
        expect(marks.takeStrangers().filter(({ executable }) => executable === keyOf(stranger))).toEqual([]);
      });

      it('counts() tells what became of sockets', async () => {
        const named = world.addProgram();
        nameProgram(named, 7);
        const before = marks.counts();
        await markOf(await world.start(named));
        await markOf(await world.start(world.addProgram()));
        await markOf(await world.start(world.addProgram()));
        const foreign = await world.start(named, { markedBefore: 0xca6c });
        expect(await markOf(foreign)).toBe(0xca6c);
        const { marked, unmarked, foreign: left } = marks.counts();
        expect({
          marked: marked - before.marked,
          unmarked: unmarked - before.unmarked,
          foreign: left - before.foreign,
        }).toEqual({ marked: 1, unmarked: 2, foreign: 1 });
      });

      it('marks leave bits that belong to others as they are', async () => {
        const path = world.addProgram();
        nameProgram(path, 7);
        const process = await world.start(path, { markedBefore: 0x00420000 });
        expect(await markOf(process)).toBe((programMark(7) | 0x00420000) >>> 0);
      });
    });

    describe('setWays()', () => {
      it('setWays() adds bits by family, and takes them away from all that it does not name', async () => {
        const path = world.addProgram();
        nameProgram(path, 7);
        const process = await world.start(path);
        expect(marks.ways()).toEqual(new Map());
        marks.setWays(new Map([[7, { v4: WAY4, v6: WAY6 }]]));
        expect(marks.ways()).toEqual(new Map([[7, { v4: WAY4, v6: WAY6 }]]));
        expect(await markOf(process, 4)).toBe((programMark(7) | WAY4) >>> 0);
        expect(await markOf(process, 6)).toBe((programMark(7) | WAY6) >>> 0);
        marks.setWays(new Map([[7, { v4: WAY6, v6: WAY6 }]]));
        expect(await markOf(process, 4)).toBe((programMark(7) | WAY6) >>> 0);
        marks.setWays(new Map([[8, { v4: WAY4, v6: WAY6 }]]));
        expect(await markOf(process, 4)).toBe(programMark(7));
        nameProgram(path, 8);
        const next = await world.start(path);
        expect(await markOf(next, 4)).toBe((programMark(8) | WAY4) >>> 0);
        marks.setWays(new Map());
        expect(await markOf(next, 4)).toBe(programMark(8));
      });

      it('setWays() takes every number there is', async () => {
        const path = world.addProgram();
        nameProgram(path, 0x7eff);
        const process = await world.start(path);
        const all = Array.from({ length: 0x7fff }, (_, i) => [i + 1, { v4: WAY4, v6: WAY6 }] as const);
        marks.setWays(new Map(all));
        expect(await markOf(process, 6)).toBe((programMark(0x7eff) | WAY6) >>> 0);
        marks.setWays(new Map());
        expect(await markOf(process, 6)).toBe(programMark(0x7eff));
      });
    });

    describe('programs without a name of their own', () => {
      it('a number that says "none" holds only in a cgroup that is known in this epoch', async () => {
        const path = world.addProgram();
        const none = PROGRAM_NONE_FIRST + 5;
        nameProgram(path, none);
        const process = await world.start(path);
        marks.setCgroupEpoch(5);
        expect(await markOf(process)).toBe(0);
        marks.addCgroup(process.cgroupId, 4);
        expect(await markOf(process)).toBe(0);
        marks.addCgroup(process.cgroupId, 5);
        expect(await markOf(process)).toBe(programMark(none));
        marks.setCgroupEpoch(6);
        expect(await markOf(process)).toBe(0);
      });

      const none = PROGRAM_NONE_FIRST + 7;
      const nobody = { number: none, inAnyCgroup: true };
      const nameOf = (path: string): FileName => {
        const name = marks.programFile(path)?.name;
        if (name === undefined) throw new Error(`no name of ${path}`);
        return name;
      };
      const fileOf = (path: string): FileId => fileIdOf(keyOf(path));
      const nothing = { names: new Map<FileName, boolean>(), files: new Map<FileId, boolean>() };

      it('setNobody() marks what has no number from its first socket on, and nothing any more', async () => {
        const path = world.addProgram();
        const process = await world.start(path);
        marks.setNobody(nobody);
        const { mark, cookie } = await process.makeSocket(4);
        expect(mark).toBe(programMark(none));
        expect(marks.creatorOf(cookie)).toMatchObject({ number: none, executable: keyOf(path) });
        expect(marks.takeStrangers().filter(({ executable }) => executable === keyOf(path))).toEqual([]);
        nameProgram(path, 7);
        expect(await markOf(process)).toBe(programMark(7));
        marks.forgetExecutable(keyOf(path));
        marks.setNobody(undefined);
        expect(await markOf(process)).toBe(0);
      });

      it('setNobody() holds in known cgroups, or in all', async () => {
        const process = await world.start(world.addProgram());
        marks.setCgroupEpoch(5);
        marks.setNobody({ ...nobody, inAnyCgroup: false });
        expect(await markOf(process)).toBe(0);
        marks.addCgroup(process.cgroupId, 5);
        expect(await markOf(process)).toBe(programMark(none));
        marks.setCgroupEpoch(6);
        expect(await markOf(process)).toBe(0);
        marks.setNobody(nobody);
        expect(await markOf(process)).toBe(programMark(none));
      });

      it('setNobody() comes after what is known of a process', async () => {
        const process = await world.start(world.addProgram());
        marks.setNobody(nobody);
        marks.bindTask(process.pid, process.startTicks, { number: 11, script: false });
        expect(await markOf(process)).toBe(programMark(11));
      });

      it('setNamed() has those asked about that have a name, exactly as said last', async () => {
        const [path, other] = [world.addProgram(), world.addProgram()];
        const [process, unnamed] = [await world.start(path), await world.start(other)];
        marks.setNobody(nobody);
        marks.setNamed({ ...nothing, names: new Map([[nameOf(path), false]]) });
        expect(await markOf(process)).toBe(0);
        expect(await markOf(unnamed)).toBe(programMark(none));
        expect(await markOf(await process.fork())).toBe(0);
        world.replace(path);
        expect(await markOf(await world.start(path))).toBe(0);
        marks.setNamed({ ...nothing, names: new Map([[nameOf(other), false]]) });
        expect(await markOf(process)).toBe(programMark(none));
        expect(await markOf(unnamed)).toBe(0);
        marks.setNamed(nothing);
        expect(await markOf(unnamed)).toBe(programMark(none));
      });

      it('setNamed() has files asked about under any name', async () => {
        const path = world.addProgram();
        marks.setNobody(nobody);
        marks.setNamed({ ...nothing, files: new Map([[fileOf(path), false]]) });
        expect(await markOf(await world.start(world.hardLink(path)))).toBe(0);
        expect(await markOf(await world.start(world.addProgram()))).toBe(programMark(none));
      });

      it('setNamed() has those asked about that may be what children count with, and all that they start', async () => {
        const [launcher, other] = [world.addProgram(), world.addProgram()];
        const named = { names: new Map([[nameOf(launcher), true]]), files: new Map([[fileOf(launcher), true]]) };
        marks.setNobody(nobody);
        marks.setNamed(named);
        const byName = await world.start(launcher);
        const byFile = await world.start(world.hardLink(launcher));
        for (const process of [byName, byFile]) {
          const child = await process.fork();
          await child.exec(other);
          const { cookie, mark } = await child.makeSocket(4);
          expect(mark).toBe(0);
          // Its parents may be gone before anybody asks whose child it is.
          expect(marks.creatorOf(cookie)).toMatchObject({ number: 0, mayBeChild: true });
        }
        expect(await markOf(await world.start(other))).toBe(programMark(none));
        marks.setNamed({ ...named, names: new Map([[nameOf(launcher), false]]), files: new Map() });
        const alone = await world.start(launcher);
        await alone.exec(other);
        expect(await markOf(alone)).toBe(programMark(none));
      });

      it('numberOf() tells what a file would get', async () => {
        const file = (path: string) => marks.programFile(path) ?? fail(path);
        const [named, other] = [world.addProgram(), world.addProgram()];
        expect(marks.numberOf(file(other))).toBeUndefined();
        marks.setNobody(nobody);
        marks.setNamed({ ...nothing, names: new Map([[nameOf(named), false]]) });
        expect(marks.numberOf(file(other))).toBe(none);
        expect(world.borrow().numberOf(file(other))).toBe(none);
        expect(marks.numberOf(file(named))).toBeUndefined();
        nameProgram(named, 7);
        expect(marks.numberOf(file(named))).toBe(7);
      });

      it('programFile() has the name of a file, not of a link that leads to it', async () => {
        const path = world.addProgram();
        expect(marks.programFile(world.symbolicLink(path))).toEqual(marks.programFile(path));
        expect(path.endsWith(`/${nameOf(path)}`)).toBe(true);
        const linked = world.hardLink(path);
        expect(nameOf(linked)).not.toBe(nameOf(path));
        expect(keyOf(linked)).toBe(keyOf(path));
        world.remove(path);
        expect(marks.programFile(path)).toBeUndefined();
      });

      it('setNamed() takes thousands', async () => {
        const names = Array.from({ length: 20_000 }, (_, i): [FileName, boolean] => [
          nameAtPath(`/usr/bin/a-name-of-its-own-${i}`),
          false,
        ]);
        marks.setNobody(nobody);
        const path = world.addProgram();
        marks.setNamed({ ...nothing, names: new Map([...names, [nameOf(path), false]]) });
        expect(await markOf(await world.start(path))).toBe(0);
        marks.setNamed(nothing);
        expect(await markOf(await world.start(path))).toBe(programMark(none));
      });
    });

    describe('tasks', () => {
      it('bindTask() names a process; a script goes before its executable, all else after it', async () => {
        const path = world.addProgram();
        const process = await world.start(path);
        const { pid, startTicks } = process;
        marks.bindTask(pid, startTicks, { number: 11, script: false });
        expect(await markOf(process)).toBe(programMark(11));
        nameProgram(path, 7);
        expect(await markOf(process)).toBe(programMark(7));
        marks.bindTask(pid, startTicks, { number: 12, script: true });
        expect(await markOf(process)).toBe(programMark(12));
        marks.unbindTask(pid);
        expect(await markOf(process)).toBe(programMark(7));
        marks.unbindTask(pid);
      });

      it('bindTask() goes before a number that says "none"', async () => {
        const path = world.addProgram();
        const process = await world.start(path);
        nameProgram(path, PROGRAM_NONE_FIRST);
        marks.setCgroupEpoch(1);
        marks.addCgroup(process.cgroupId, 1);
        expect(await markOf(process)).toBe(programMark(PROGRAM_NONE_FIRST));
        marks.bindTask(process.pid, process.startTicks, { number: 11, script: false });
        expect(await markOf(process)).toBe(programMark(11));
      });

      it('taskOf() and marks know a process by its start too: a pid is given out again', async () => {
        const process = await world.start(world.addProgram());
        marks.bindTask(process.pid, process.startTicks - 1, { number: 11, script: true });
        expect(await markOf(process)).toBe(0);
        expect(marks.taskOf(process.pid, process.startTicks)).toBeUndefined();
        expect(marks.taskOf(process.pid, process.startTicks - 1)).toEqual({ number: 11, script: true });
      });

      it('setScriptStarts() leaves an interpreter without a number that nobody has seen open its script', async () => {
        const interpreter = world.addProgram('python3.11');
        const program = world.addProgram();
        nameProgram(interpreter, 7);
        nameProgram(program, 8);
        const before = await world.start(interpreter);
        marks.setScriptStarts('seen');
        const started = await world.start(interpreter);
        const child = await started.fork();
        const other = await world.start(program);
        for (const each of [before, started, child]) expect(await markOf(each)).toBe(programMark(7));
        expect(marks.taskOf(started.pid, started.startTicks)).toMatchObject({ number: 7, started: true });
        marks.setScriptStarts('not seen');
        expect(await markOf(before)).toBe(programMark(7));
        expect(await markOf(started)).toBe(0);
        expect(await markOf(child)).toBe(0);
        expect(await markOf(other)).toBe(programMark(8));
        marks.bindTask(child.pid, child.startTicks, { number: 9, script: false, childrenNumber: 9 });
        expect(await markOf(child)).toBe(0);
        marks.bindTask(child.pid, child.startTicks, { number: 9, script: true });
        expect(await markOf(child)).toBe(programMark(9));
        await started.exec(program);
        expect(await markOf(started)).toBe(programMark(8));
        const later = await world.start(interpreter);
        expect(await markOf(later)).toBe(0);
        marks.setScriptStarts('not named');
        expect(await markOf(later)).toBe(programMark(7));
      });

      it('a child of a bound process is bound as its parent was when it was made', async () => {
        const parent = await world.start(world.addProgram());
        const before = await parent.fork();
        marks.bindTask(parent.pid, parent.startTicks, { number: 11, script: true });
        const after = await parent.fork();
        const grandchild = await after.fork();
        expect(await markOf(before)).toBe(0);
        expect(await markOf(after)).toBe(programMark(11));
        expect(await markOf(grandchild)).toBe(programMark(11));
        marks.unbindTask(parent.pid);
        expect(await markOf(grandchild)).toBe(programMark(11));
        expect(marks.taskOf(grandchild.pid, grandchild.startTicks)).toEqual({ number: 11, script: true });
      });

      it('a process that starts another program is no longer the script that it was', async () => {
        const process = await world.start(world.addProgram());
        marks.bindTask(process.pid, process.startTicks, { number: 11, script: true });
        expect(await markOf(process)).toBe(programMark(11));
        await process.exec(world.addProgram());
        expect(await markOf(process)).toBe(0);
        expect(marks.taskOf(process.pid, process.startTicks)).toBeUndefined();
      });

      it('what a script with children starts counts as those, and so does what that starts', async () => {
        const process = await world.start(world.addProgram());
        marks.bindTask(process.pid, process.startTicks, { number: 11, script: true, childrenNumber: 13 });
        expect(await markOf(process)).toBe(programMark(11));
        const child = await process.fork();
        expect(await markOf(child)).toBe(programMark(11));
        const other = world.addProgram();
        await child.exec(other);
        expect(await markOf(child)).toBe(programMark(13));
        const named = world.addProgram();
        nameProgram(named, 7);
        const grandchild = await child.fork();
        await grandchild.exec(named);
        expect(await markOf(grandchild)).toBe(programMark(7));
        await grandchild.exec(other);
        expect(await markOf(grandchild)).toBe(programMark(13));
        expect(await markOf(process)).toBe(programMark(11));
      });

      it('what an executable with children starts counts as those', async () => {
        const parent = world.addProgram();
        nameProgram(parent, 7, 13);
        const process = await world.start(parent);
        expect(await markOf(process)).toBe(programMark(7));
        const child = await process.fork();
        expect(await markOf(child)).toBe(programMark(7));
        await child.exec(world.addProgram());
        expect(await markOf(child)).toBe(programMark(13));
        expect(marks.taskOf(child.pid, child.startTicks)).toEqual({ number: 13, script: false, childrenNumber: 13 });
      });

      it('in a family that keeps its own what yields counts as that, and begins nothing', async () => {
        const [keeping, other, shipped] = [world.addProgram(), world.addProgram(), world.addProgram()];
        marks.setExecutable(keyOf(keeping), { number: 7, childrenNumber: 13, keeps: true });
        nameProgram(other, 8, 14);
        marks.setExecutable(keyOf(shipped), { number: 9, childrenNumber: 15, yields: true });
        const process = await world.start(keeping);
        expect(await markOf(process)).toBe(programMark(7));
        const child = await process.fork();
        await child.exec(shipped);
        expect(await markOf(child)).toBe(programMark(13));
        await child.exec(world.addProgram());
        expect(await markOf(child)).toBe(programMark(13));
        // Another's that keeps nothing, or nobody's.
        await process.exec(other);
        await process.exec(shipped);
        expect(await markOf(process)).toBe(programMark(9));
        const stranger = await world.start(shipped);
        expect(await markOf(stranger)).toBe(programMark(9));
      });

      it('an application whose own executable yields counts as itself in its family', async () => {
        const program = world.addProgram();
        marks.setExecutable(keyOf(program), { number: 7, childrenNumber: 13, keeps: true, yields: true });
        const process = await world.start(program);
        expect(await markOf(process)).toBe(programMark(7));
      });

      it('children of an executable that go on to another with children belong to that', async () => {
        const first = world.addProgram();
        const second = world.addProgram();
        nameProgram(first, 7, 13);
        nameProgram(second, 8, 14);
        const process = await world.start(first);
        await process.exec(second);
        expect(await markOf(process)).toBe(programMark(8));
        await process.exec(world.addProgram());
        expect(await markOf(process)).toBe(programMark(14));
      });

      it('a child for which there is no room is asked about, and so is whoever else would be nobody', async () => {
        await world.close();
        world = await openWorld({ maxTasks: 2 });
        marks = world.marks;
        marks.setNobody({ number: PROGRAM_NONE_FIRST, inAnyCgroup: true });
        const parent = world.addProgram();
        const other = world.addProgram();
        nameProgram(parent, 7, 13);
        const stranger = await world.start(world.addProgram());
        const process = await world.start(parent);
        const child = await process.fork();
        expect(await markOf(stranger)).toBe(programMark(PROGRAM_NONE_FIRST));
        expect(marks.counts().tasksLost).toBe(0);

        const beyond = await process.fork();
        expect(marks.counts().tasksLost).toBe(1);
        await beyond.exec(other);
        await child.exec(other);
        expect(await markOf(beyond)).toBe(0);
        expect(await markOf(child)).toBe(programMark(13));
        expect(await markOf(process)).toBe(programMark(7));
        expect(await markOf(stranger)).toBe(0);
        // Who goes makes room, and what was lost stays lost.
        await child.end();
        expect(await markOf(stranger)).toBe(0);
        await process.fork();
        expect(() => marks.bindTask(stranger.pid, stranger.startTicks, { number: 9, script: true })).toThrow(
          expect.objectContaining({ code: 'E2BIG' }),
        );
        expect(marks.counts().tasksLost).toBe(2);
      });

      it('nothing is left of a process that has ended', async () => {
        const parent = await world.start(world.addProgram());
        const child = await parent.fork();
        marks.bindTask(child.pid, child.startTicks, { number: 11, script: true });
        await child.end();
        expect(marks.taskOf(child.pid, child.startTicks)).toBeUndefined();
      });
    });

    describe('creatorOf()', () => {
      it('creatorOf() tells who made a socket, also when it has ended', async () => {
        const path = world.addProgram();
        nameProgram(path, 7);
        const parent = await world.start(path);
        const process = await parent.fork();
        const { cookie } = await process.makeSocket(6);
        const expected = {
          pid: process.pid,
          startTicks: process.startTicks,
          executable: keyOf(path),
          number: 7,
          uid: 0,
          gid: 0,
          cgroupId: process.cgroupId,
        };
        expect(marks.creatorOf(cookie)).toMatchObject(expected);
        await process.end();
        expect(marks.creatorOf(cookie)).toMatchObject(expected);
        expect(marks.creatorOf(cookie + 1_000_000n)).toBeUndefined();
      });

      it('creatorOf() has those that nobody named, too', async () => {
        const path = world.addProgram();
        const process = await world.start(path);
        const { cookie } = await process.makeSocket(4);
        expect(marks.creatorOf(cookie)).toMatchObject({ pid: process.pid, executable: keyOf(path), number: 0 });
      });
    });
  });
}

function fail(path: string): never {
  throw new Error(`there is no file ${path}`);
}
