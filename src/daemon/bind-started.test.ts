import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeMachine } from '../../test/contract/fake-machine.ts';
import type { TaskProgram } from '../kernel/socket-marks.ts';
import { startedAs, startedAsNobody } from './bind-started.ts';
import { bindScript, unbindScript } from './script-gate.ts';

let machine: FakeMachine;

beforeEach(() => {
  machine = new FakeMachine();
});

afterEach(() => machine[Symbol.dispose]());

/** What is known of a process of which that was known, after `change`. */
function taskAfter(before: TaskProgram, change: (pid: number, startTicks: number) => void): TaskProgram | undefined {
  const path = machine.path('program');
  machine.writeFile(path);
  const { pid, startTicks } = machine.start(path);
  machine.marks.bindTask(pid, startTicks, before);
  change(pid, startTicks);
  return machine.marks.taskOf(pid, startTicks);
}

const ASKED = { number: 0, script: false, started: true } as const;
const KEEPING = { childrenNumber: 9, keeps: true } as const;

describe('bindStarted', () => {
  it('startedAs() leaves a process in the family that it is in', () => {
    const bind = (before: TaskProgram) => taskAfter(before, (pid) => startedAs(machine, pid, { number: 2 }));
    expect(bind({ ...ASKED, ...KEEPING })).toEqual({ number: 2, script: false, started: true, ...KEEPING });
    expect(bind({ ...ASKED, childrenNumber: 9 })).toMatchObject({ number: 2, childrenNumber: 9 });
    expect(bind(ASKED)).toEqual({ number: 2, script: false, started: true });
  });

  it('startedAs() makes what yields nothing of its own in a family that keeps its own', () => {
    const bind = (before: TaskProgram) =>
      taskAfter(before, (pid) => startedAs(machine, pid, { number: 2, yields: true }));
    expect(bind({ ...ASKED, ...KEEPING })).toEqual({ number: 9, script: false, ...KEEPING });
    expect(bind({ ...ASKED, childrenNumber: 0, keeps: true })).toMatchObject({ number: 0 });
    expect(bind({ ...ASKED, childrenNumber: 9 })).toMatchObject({ number: 2, childrenNumber: 9 });
  });

  it('startedAsNobody() leaves a process in the family that it is in', () => {
    const bind = (before: TaskProgram) => taskAfter(before, (pid) => startedAsNobody(machine, pid));
    expect(bind({ ...ASKED, ...KEEPING })).toEqual({ number: 9, script: false, ...KEEPING });
    expect(bind(ASKED)).toBeUndefined();
  });

  it('bindScript() leaves a script in the family that it is in, however often it is bound', () => {
    const twice = taskAfter({ number: 9, script: false, ...KEEPING }, (pid, startTimeTicks) => {
      for (let times = 0; times < 2; times++) bindScript(machine.marks, { pid, startTimeTicks }, { number: 5 });
    });
    expect(twice).toEqual({ number: 5, script: true, ...KEEPING });
  });

  it('unbindScript() gives back what a process was, and takes nothing that was written since', () => {
    const before = { number: 9, script: false, ...KEEPING };
    const script = { number: 5 };
    const boundByMistake = (then: (pid: number, startTimeTicks: number) => void, was?: TaskProgram) =>
      taskAfter(before, (pid, startTimeTicks) => {
        bindScript(machine.marks, { pid, startTimeTicks }, script);
        then(pid, startTimeTicks);
        unbindScript(machine.marks, { pid, startTimeTicks }, script, was);
      });
    expect(boundByMistake(() => undefined, before)).toEqual(before);
    expect(boundByMistake(() => undefined)).toBeUndefined();
    const since = { number: 2, script: false, started: true, ...KEEPING } as const;
    expect(boundByMistake((pid, ticks) => machine.marks.bindTask(pid, ticks, since), before)).toEqual(since);
  });
});
