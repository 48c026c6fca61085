import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeMachine } from '../../test/contract/fake-machine.ts';
import type { FakeProcess } from '../kernel/fake/fake-socket-marks.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { Proc } from '../kernel/proc.ts';
import { PROGRAM_NONE_FIRST } from '../plan/reserved.ts';
import { indexApps } from '../policy/match-app.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { bindDescendants } from './bind-descendants.ts';
import type { InForce } from './in-force.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };
const gone = new KernelError('bpf', 3, 'ESRCH', 'task', 'no such process');
const NUMBERS = new Map([
  ['children:mail', 1],
  ['children:term', 2],
]);

let machine: FakeMachine;
let mail: string;
let term: string;
let other: string;

beforeEach(() => {
  machine = new FakeMachine();
  [mail, term, other] = [machine.path('mail'), machine.path('term'), machine.path('other')];
  for (const path of [mail, term, other]) machine.writeFile(path);
});

afterEach(() => machine[Symbol.dispose]());

function inForce(numbers: ReadonlyMap<string, number> = NUMBERS, shipped: readonly string[] = []): InForce {
  const app = (name: string, path: string) => ({
    app: name,
    match: [{ kind: 'exec', value: path, at, ...(shipped.includes(name) && { shipped: true as const }) } as const],
    rules: [],
    files: [],
    children: { value: { are: 'same', at }, layer: 'administrator' } as const,
  });
  const index = indexApps({
    apps: [app('mail', mail), app('term', term)],
    systemDefault: builtinSystemDefault,
    uplinks: [],
  });
  // As much of it as is looked at.
  return { index, ids: { programs: { numbers, none: PROGRAM_NONE_FIRST } } } as unknown as InForce;
}

const childOf = (parent: FakeProcess, path: string): FakeProcess => machine.exec(machine.fork(parent), path);
const numberOf = ({ pid, startTicks }: FakeProcess): number | undefined =>
  machine.marks.taskOf(pid, startTicks)?.number;

describe('bindDescendants', () => {
  it('bindDescendants() binds what runs already to the nearest application, and the application itself', () => {
    const running = machine.start(mail);
    const shell = childOf(running, other);
    const inner = childOf(shell, term);
    const innermost = childOf(inner, other);
    const stranger = machine.start(other);
    bindDescendants(machine, inForce());
    expect([running, shell, inner, innermost, stranger].map(numberOf)).toEqual([1, 1, 2, 2, undefined]);
    // Whatever they start from now on.
    expect([running, shell, inner, innermost].map((parent) => numberOf(childOf(parent, other)))).toEqual([1, 1, 2, 2]);
  });

  it('bindDescendants() leaves what only packages name to the family in which it runs', () => {
    const running = machine.start(mail);
    const inner = childOf(childOf(running, term), other);
    const alone = machine.start(term);
    bindDescendants(machine, inForce(NUMBERS, ['term']));
    expect([running, inner, alone].map(numberOf)).toEqual([1, 1, 2]);
    expect(numberOf(childOf(running, other))).toBe(1);
  });

  it('bindDescendants() does not believe a process that it is the application', () => {
    const liar = machine.start(other, { link: mail });
    const child = childOf(liar, other);
    bindDescendants(machine, inForce());
    expect([liar, child].map(numberOf)).toEqual([undefined, undefined]);
  });

  it('bindDescendants() binds a child that was born while it looked', () => {
    const running = machine.start(mail);
    const born: FakeProcess[] = [];
    const proc: Proc = {
      ...machine.proc,
      stat: (pid) => {
        if (born.length < 3) born.push(childOf(born.at(-1) ?? running, other));
        return machine.proc.stat(pid);
      },
    };
    bindDescendants({ marks: machine.marks, proc }, inForce());
    expect(born.map(numberOf)).toEqual([1, 1, 1]);
  });

  it('bindDescendants() goes on past a process that has ended meanwhile', () => {
    const [first, second] = [machine.start(mail), machine.start(mail)];
    const { bindTask } = machine.marks;
    Reflect.set(machine.marks, 'bindTask', (...of: Parameters<typeof bindTask>) => {
      if (of[0] === first.pid) throw gone;
      bindTask.call(machine.marks, ...of);
    });
    bindDescendants(machine, inForce());
    expect([first, second].map(numberOf)).toEqual([undefined, 1]);
  });

  it('bindDescendants() leaves processes of an application without a number to the slow path', () => {
    const [one, two] = [machine.start(mail), machine.start(term)];
    bindDescendants(machine, inForce(new Map([['children:term', 2]])));
    expect([one, two].map(numberOf)).toEqual([undefined, 2]);
  });
});
