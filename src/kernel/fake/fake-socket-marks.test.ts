import { describe, expect, it } from 'vitest';
import {
  type MarkedProcess,
  type SocketMarksWorld,
  socketMarksContract,
} from '../../../test/contract/socket-marks-contract.ts';
import { programMark } from '../../plan/reserved.ts';
import { KernelError } from '../kernel-error.ts';
import { type FakeProcess, FakeSocketMarks } from './fake-socket-marks.ts';

socketMarksContract('fake', openWorld);

describe('FakeSocketMarks', () => {
  it('FakeSocketMarks binds and inherits nothing where the kernel refuses inheritance', () => {
    const marks = new FakeSocketMarks({
      inheritanceRefusal: new KernelError('open raw tracepoint', 1, 'EPERM', '', ''),
    });
    marks.setExecutable(marks.writeFile('/usr/bin/parent'), { number: 7, childrenNumber: 8 });
    marks.writeFile('/usr/bin/child');
    const parent = marks.start('/usr/bin/parent');
    marks.bindTask(parent.pid, parent.startTicks, { number: 9, script: true });
    expect(marks.inheritance).toBe(false);
    expect(marks.taskOf(parent.pid, parent.startTicks)).toBeUndefined();
    expect(marks.makeSocket(parent, 4).mark).toBe(programMark(7));
    expect(marks.makeSocket(marks.exec(marks.fork(parent), '/usr/bin/child'), 4).mark).toBe(0);
  });

  it('FakeSocketMarks has no sockets of processes that have ended', () => {
    const marks = new FakeSocketMarks();
    marks.writeFile('/usr/bin/a');
    const process = marks.start('/usr/bin/a', { uid: 5, command: 'other' });
    expect(marks.creatorOf(marks.makeSocket(process, 6).cookie)).toMatchObject({ uid: 5, command: 'other' });
    marks.end(process);
    expect(() => marks.makeSocket(process, 4)).toThrow('has ended');
  });
});

async function openWorld(options?: { readonly maxTasks: number }): Promise<SocketMarksWorld> {
  const marks = new FakeSocketMarks(options);
  let files = 0;
  const nextPath = (): string => {
    files += 1;
    return `/usr/bin/program${files}`;
  };
  const at = (link: (path: string, existing: string) => void) => (existing: string) => {
    const path = nextPath();
    link(path, existing);
    return path;
  };
  return {
    marks,
    borrow: () => marks.borrow(),
    addProgram: (name) => {
      const path = name === undefined ? nextPath() : `${nextPath()}/${name}`;
      marks.writeFile(path);
      return path;
    },
    hardLink: at((path, existing) => marks.linkFile(path, existing)),
    symbolicLink: at((path, existing) => marks.pointTo(path, existing)),
    replace: (path) => void marks.writeFile(path),
    remove: (path) => marks.removeFile(path),
    start: async (path, { markedBefore = 0 } = {}) => pretended(marks, marks.start(path), markedBefore),
    close: async () => marks[Symbol.dispose](),
  };
}

function pretended(marks: FakeSocketMarks, process: FakeProcess, markedBefore: number): MarkedProcess {
  const { pid, startTicks, cgroupId } = process;
  return {
    pid,
    startTicks,
    cgroupId,
    makeSocket: async (family) => marks.makeSocket(process, family, markedBefore),
    fork: async () => pretended(marks, marks.fork(process), markedBefore),
    exec: async (path) => void marks.exec(process, path),
    end: async () => marks.end(process),
  };
}
