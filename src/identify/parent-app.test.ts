import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeMachine } from '../../test/contract/fake-machine.ts';
import type { FakeProcess } from '../kernel/fake/fake-socket-marks.ts';
import type { Proc } from '../kernel/proc.ts';
import { indexApps } from '../policy/match-app.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { ExecutableFiles } from './executable-files.ts';
import { MAX_GENERATIONS, parentApp } from './parent-app.ts';
import { policyNames } from './policy-names.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };
const same = { value: { are: 'same', at }, layer: 'administrator' } as const;

let machine: FakeMachine;
let paths: Record<'mail' | 'term' | 'plain' | 'other' | 'python3' | 'script', string>;

beforeEach(() => {
  machine = new FakeMachine();
  const path = (name: string): string => machine.path(name);
  paths = {
    mail: path('mail'),
    term: path('term'),
    plain: path('plain'),
    other: path('other'),
    python3: path('python3'),
    script: path('x.py'),
  };
  for (const each of Object.values(paths)) machine.writeFile(each);
});

afterEach(() => machine[Symbol.dispose]());

function appOf({ pid }: FakeProcess, proc: Proc = machine.proc, shipped: readonly string[] = []): string | undefined {
  const app = (name: string, kind: 'exec' | 'script', value: string, isFollowed: boolean) => ({
    app: name,
    match: [{ kind, value, at, ...(shipped.includes(name) && { shipped: true as const }) }],
    rules: [],
    files: [],
    ...(isFollowed && { children: same }),
  });
  const index = indexApps({
    apps: [
      app('mail', 'exec', paths.mail, true),
      app('term', 'exec', paths.term, true),
      app('plain', 'exec', paths.plain, false),
      app('script', 'script', paths.script, true),
    ],
    systemDefault: builtinSystemDefault,
    uplinks: [],
  });
  return parentApp({ proc, executables: new ExecutableFiles(proc) }, pid, policyNames(index, undefined));
}

const childOf = (parent: FakeProcess, path: string): FakeProcess => machine.exec(machine.fork(parent), path);

describe('parentApp', () => {
  it('parentApp() finds the nearest ancestor whose children count as it, past those whose do not', () => {
    const mail = machine.start(paths.mail);
    const term = childOf(childOf(mail, paths.other), paths.term);
    expect(appOf(term)).toBe('mail');
    expect(appOf(childOf(childOf(term, paths.plain), paths.other))).toBe('term');
  });

  it('parentApp() passes by what only packages name inside of a family that keeps its own, and finds it elsewhere', () => {
    const { proc } = machine;
    const mail = machine.start(paths.mail);
    const term = childOf(mail, paths.term);
    const inner = childOf(childOf(term, paths.script), paths.other);
    expect(appOf(inner, proc, ['term', 'script'])).toBe('mail');
    expect(appOf(inner, proc, ['script'])).toBe('term');
    const alone = childOf(machine.start(paths.term), paths.other);
    expect(appOf(alone, proc, ['term', 'script'])).toBe('term');
  });

  it('parentApp() does not take a process for its own child, nor anything for the child of init', () => {
    expect(appOf(machine.start(paths.mail))).toBeUndefined();
    expect(appOf(machine.start(paths.other, { parentPid: 1 }))).toBeUndefined();
    expect(appOf(childOf(machine.start(paths.plain), paths.other))).toBeUndefined();
    // Whatever init is: all that lost their parents are its children.
    const { proc } = machine;
    const running = machine.start(paths.mail);
    const asInit =
      <T>(look: (pid: number) => T) =>
      (pid: number) =>
        look(pid === 1 ? running.pid : pid);
    const { stat, executable, executableFile } = proc;
    const init: Proc = {
      ...proc,
      stat: asInit(stat),
      executable: asInit(executable),
      executableFile: asInit(executableFile),
    };
    expect(appOf(machine.start(paths.other, { parentPid: 1 }), init)).toBeUndefined();
  });

  it('parentApp() sees a script that is followed', () => {
    const python = machine.start(paths.python3, { args: ['python3', paths.script] });
    expect(appOf(childOf(python, paths.other))).toBe('script');
    expect(appOf(childOf(machine.start(paths.python3, { args: ['python3', '-c', '1'] }), paths.other))).toBeUndefined();
  });

  it('parentApp() does not believe an ancestor’s name, and finds the application by another name of its file', () => {
    expect(appOf(childOf(machine.start(paths.other, { link: paths.mail }), paths.other))).toBeUndefined();
    expect(appOf(childOf(machine.start(paths.mail, { link: '/home/eve/x' }), paths.other))).toBe('mail');
  });

  it('parentApp() sees no further than an ancestor that has ended', () => {
    const shell = childOf(machine.start(paths.mail), paths.other);
    const child = childOf(shell, paths.other);
    expect(appOf(child)).toBe('mail');
    machine.end(shell);
    expect(appOf(child)).toBeUndefined();
  });

  it('parentApp() ends at its bound, and where processes are each other’s parents', () => {
    let process = machine.start(paths.mail);
    for (let i = 0; i < MAX_GENERATIONS; i++) process = childOf(process, paths.other);
    expect(appOf(process)).toBe('mail');
    expect(appOf(childOf(process, paths.other))).toBeUndefined();
    const next = machine.start(paths.other).pid + 1;
    const odd = machine.start(paths.other, { parentPid: next });
    expect(odd.pid).toBe(next);
    expect(appOf(odd)).toBeUndefined();
  });
});
