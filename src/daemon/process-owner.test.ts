import { describe, expect, it } from 'vitest';
import type { ExecutableKey } from '../bpf/records.ts';
import { ExecutableFiles } from '../identify/executable-files.ts';
import { policyNames } from '../identify/policy-names.ts';
import { ProcessReader } from '../identify/process-reader.ts';
import type { FileIdentity } from '../kernel/file-identity.ts';
import { openProc } from '../kernel/proc.ts';
import { indexApps } from '../policy/match-app.ts';
import type { Match } from '../policy/model.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { ownerOfProcess, type ProcessOwnerSources } from './process-owner.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };
const PID = 10;
const MAIL = '/bin/mail';
const KEY = '1'.repeat(64) as ExecutableKey;
const file = (inode: bigint): FileIdentity => ({ device: 1n, inode, uid: 0n, birthNs: inode, modifiedNs: 0n });

const match = (kind: Match['kind'], value: string): Match => ({ kind, value, at });
const children = { layer: 'administrator', value: { are: 'same', at } } as const;
const index = indexApps({
  apps: [
    { app: 'mail', match: [match('exec', MAIL)], rules: [], files: [] },
    { app: 'steam', match: [match('exec', '/bin/steam')], children, rules: [], files: [] },
    { app: 'x', match: [match('script', '/opt/x.py')], rules: [], files: [] },
  ],
  uplinks: [],
  systemDefault: builtinSystemDefault,
});
const numbers = new Map([
  [`exec:${MAIL}`, 1],
  ['script:/opt/x.py', 2],
  ['children:steam', 3],
]);
const names = policyNames(index, { numbers, none: 0x7f00 });

/** One process; each part can be changed. */
function world() {
  const state = {
    executable: MAIL as string | undefined,
    runs: file(1n),
    here: file(1n) as FileIdentity | undefined,
    isDeleted: false,
    startTicks: [5, 5],
    task: undefined as { number: number; script: boolean } | undefined,
    programOfKey: undefined as number | undefined,
  };
  const proc = {
    ...openProc('/nowhere'),
    stat: (pid: number) => {
      const startTimeTicks = state.startTicks.length > 1 ? state.startTicks.shift() : state.startTicks[0];
      return pid === PID && startTimeTicks !== undefined ? { parentPid: 1, startTimeTicks } : undefined;
    },
    uid: () => 1000,
    gid: () => 100,
    cgroup: () => '/a',
    executable: () => state.executable,
    executableFile: () => state.runs,
    isExecutableDeleted: () => state.isDeleted,
    commandLine: () => ['mail'],
    exactArguments: () => ['mail'],
  };
  const marks = {
    keyOfFile: () => KEY,
    programOf: () => state.programOfKey,
    taskOf: (_: number, startTicks: number) => (startTicks === 5 ? state.task : undefined),
  };
  const fileAt = (path: string): FileIdentity | undefined => (path === MAIL ? state.here : undefined);
  const executables = new ExecutableFiles(proc, { fileAt });
  const sources: ProcessOwnerSources = { proc, executables, reader: new ProcessReader(proc, undefined), marks };
  return { state, owner: () => ownerOfProcess(sources, PID, names) };
}

const known = { kind: 'process', pid: PID, uid: 1000, gid: 100, cgroup: '/a', commandLine: ['mail'] };

describe('ownerOfProcess', () => {
  it('ownerOfProcess names the file that a policy names', () => {
    expect(world().owner()).toEqual({ ...known, executable: MAIL });
  });

  it('ownerOfProcess does not believe a link to another file', () => {
    const { state, owner } = world();
    state.runs = file(2n);
    expect(owner()).toEqual({ ...known, executable: MAIL, executableUnproven: true });
  });

  it('ownerOfProcess knows a file that was replaced before anybody looked, where the kernel knows it', () => {
    const { state, owner } = world();
    [state.runs, state.isDeleted] = [file(2n), true];
    expect(owner()).toMatchObject({ executableUnproven: true });
    state.programOfKey = 1;
    expect(owner()).toEqual({ ...known, executable: MAIL });
    // Of a file that is there it has no say.
    state.isDeleted = false;
    expect(owner()).toMatchObject({ executableUnproven: true });
  });

  it('ownerOfProcess takes the kernel’s word for the script it runs and for who started it', () => {
    const { state, owner } = world();
    state.task = { number: 2, script: true };
    expect(owner()).toMatchObject({ script: '/opt/x.py' });
    state.task = { number: 3, script: false };
    expect(owner()).toMatchObject({ childOf: 'steam' });
  });

  it('ownerOfProcess mixes no two processes', () => {
    const { state, owner } = world();
    state.startTicks = [5, 6];
    expect(owner()).toBeUndefined();
    state.startTicks = [];
    expect(owner()).toBeUndefined();
  });
});
