/** Programs that applications with `children: same` had started before anybody followed them. */

import { ExecutableFiles } from '../identify/executable-files.ts';
import { parentApp } from '../identify/parent-app.ts';
import { policyNames } from '../identify/policy-names.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { Proc } from '../kernel/proc.ts';
import type { SocketMarks } from '../kernel/socket-marks.ts';
import { programName } from '../plan/program.ts';
import type { InForce } from './enforce.ts';

export interface BindDescendantsParts {
  readonly marks: SocketMarks;
  readonly proc: Proc;
}

/** Looks at every process once. One that starts meanwhile inherits from a parent that is bound, or is found by its parent. */
export function bindDescendants({ marks, proc }: BindDescendantsParts, { index, ids }: InForce): void {
  if (index.byParent.size === 0 || !marks.inheritance) return;
  const names = policyNames(index, ids.programs);
  const executables = new ExecutableFiles(proc);
  // Parents before children, so that a child that is born meanwhile has a bound parent.
  for (const pid of proc.pids().sort((a, b) => a - b)) {
    const startTicks = proc.stat(pid)?.startTimeTicks;
    const app = startTicks === undefined ? undefined : parentApp({ proc, executables }, pid, names);
    const number = app === undefined ? undefined : ids.programs.numbers.get(programName({ kind: 'children', app }));
    if (startTicks === undefined || number === undefined) continue;
    try {
      marks.bindTask(pid, startTicks, { number, script: false, childrenNumber: number });
    } catch (error) {
      // Ended meanwhile, or no room: the slow path tells by its parents.
      if (!(error instanceof KernelError)) throw error;
    }
  }
}
