import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeMachine } from '../../test/contract/fake-machine.ts';
import type { FileIdentity } from '../kernel/file-identity.ts';
import { openProc } from '../kernel/proc.ts';
import { ExecutableFiles, PATH_VALID_MS } from './executable-files.ts';
import type { PolicyNames } from './policy-names.ts';

const PATH = '/usr/bin/mail';
const file = (inode: bigint, birthNs = inode): FileIdentity => ({
  device: 1n,
  inode,
  uid: 0n,
  birthNs,
  modifiedNs: 0n,
});

/** One path and one process; each part can be changed. */
function world() {
  const state = {
    nowMs: 0,
    looks: 0,
    here: file(1n) as FileIdentity | undefined,
    runs: file(1n) as FileIdentity | undefined,
    isDeleted: false,
  };
  const proc = {
    ...openProc('/nowhere'),
    executableFile: () => state.runs,
    isExecutableDeleted: () => state.isDeleted,
  };
  const fileAt = (): FileIdentity | undefined => {
    state.looks++;
    return state.here;
  };
  const files = new ExecutableFiles(proc, { fileAt, monotonicMs: () => state.nowMs });
  return { state, files, isProven: () => files.isProven(10, PATH) };
}

describe('ExecutableFiles', () => {
  it('ExecutableFiles believes the link of a process that runs the file of that path here', () => {
    expect(world().isProven()).toBe(true);
  });

  it('ExecutableFiles does not believe the link where the file of that path is another, is not there, or cannot be seen', () => {
    const { state, isProven } = world();
    state.runs = file(2n);
    expect(isProven()).toBe(false);
    state.here = undefined;
    expect(isProven()).toBe(false);
    state.runs = undefined;
    expect(isProven()).toBe(false);
  });

  it('ExecutableFiles looks at a path once for many decisions, and at once where the answer would be no', () => {
    const { state, isProven } = world();
    for (let i = 0; i < 10; i++) isProven();
    expect(state.looks).toBe(1);
    [state.here, state.runs] = [file(2n), file(2n)];
    expect(isProven()).toBe(true);
    state.nowMs += PATH_VALID_MS;
    isProven();
    expect(state.looks).toBe(3);
  });

  it('ExecutableFiles knows a program whose file was replaced while it runs, if it was seen before', () => {
    const { state, files, isProven } = world();
    files.learn([PATH]);
    [state.here, state.isDeleted] = [file(2n), true];
    expect(isProven()).toBe(true);
    state.here = undefined;
    state.nowMs += PATH_VALID_MS;
    expect(isProven()).toBe(true);
  });

  it('ExecutableFiles does not know a file that got the inode number of a removed one, or is not removed at all', () => {
    const { state, files, isProven } = world();
    files.learn([PATH]);
    [state.here, state.isDeleted, state.runs] = [file(2n), true, file(1n, 99n)];
    expect(isProven()).toBe(false);
    [state.isDeleted, state.runs] = [false, file(1n)];
    expect(isProven()).toBe(false);
  });

  it('ExecutableFiles learns a path once', () => {
    const { state, files } = world();
    files.learn([PATH]);
    files.learn([PATH]);
    expect(state.looks).toBe(1);
  });
});

describe('ExecutableFiles.namedPathOf', () => {
  let machine: FakeMachine;
  let clock: { ms: number };
  let mail: string;
  let other: string;

  beforeEach(() => {
    machine = new FakeMachine();
    clock = { ms: 0 };
    [mail, other] = [machine.path('mail'), machine.path('other')];
    for (const path of [mail, other]) machine.writeFile(path);
  });

  afterEach(() => machine[Symbol.dispose]());

  function namedPathOf(path: string, link?: string): string | undefined {
    const names = {
      hasExecutable: (named: string) => named === mail,
      executables: () => [mail],
      placeOf: (named: string) => named,
    } as unknown as PolicyNames;
    const { pid } = machine.start(path, link === undefined ? {} : { link });
    const files = new ExecutableFiles(machine.proc, { monotonicMs: () => clock.ms });
    return files.namedPathOf(pid, machine.proc.executable(pid) ?? '', names);
  }

  it('ExecutableFiles.namedPathOf() names what a policy names, whatever the process calls it', () => {
    const link = machine.path('link');
    machine.linkFile(link, mail);
    expect([namedPathOf(mail), namedPathOf(link), namedPathOf(mail, '/home/eve/x')]).toEqual([mail, mail, mail]);
    expect(namedPathOf(other)).toBeUndefined();
  });

  it('ExecutableFiles.namedPathOf() tells a file from one with its inode number on another device', () => {
    const { pid } = machine.start(other);
    const runs = machine.proc.executableFile(pid);
    if (runs === undefined) throw new Error();
    let device = runs.device;
    const files = new ExecutableFiles(machine.proc, { fileAt: () => ({ ...runs, device }) });
    const names = {
      hasExecutable: () => false,
      executables: () => [mail],
      placeOf: () => mail,
    } as unknown as PolicyNames;
    expect(files.namedPathOf(pid, other, names)).toBe(mail);
    device += 1n;
    expect(files.namedPathOf(pid, other, names)).toBeUndefined();
  });

  it('ExecutableFiles.namedPathOf() does not believe the name of a named file, nor names one that took its place', () => {
    expect(namedPathOf(other, mail)).toBeUndefined();
    const link = machine.path('link');
    machine.linkFile(link, mail);
    machine.writeFile(mail);
    expect(namedPathOf(link)).toBeUndefined();
    machine.removeFile(mail);
    expect(namedPathOf(link)).toBeUndefined();
  });
});
