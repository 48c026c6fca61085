/** Programs of applications with `children: same`, and what they had started, before anybody followed them. */

import { ExecutableFiles } from '../identify/executable-files.ts';
import { MAX_GENERATIONS } from '../identify/parent-app.ts';
import { type PolicyNames, policyNames } from '../identify/policy-names.ts';
import { scriptOfProcess } from '../identify/script-of-process.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { Proc } from '../kernel/proc.ts';
import type { SocketMarks } from '../kernel/socket-marks.ts';
import { programName } from '../plan/program.ts';
import type { InForce } from './in-force.ts';

/** Looks at the list of processes: each finds those that were started by one that the look before had not bound yet. */
const MAX_LOOKS = 8;

export interface BindDescendantsParts {
  readonly marks: SocketMarks;
  readonly proc: Proc;
}

/**
 * Looks at every process once. What a bound one starts inherits from it, as from one that the kernel saw start the
 * application: so the application's own processes are bound too.
 */
export function bindDescendants(parts: BindDescendantsParts, inForce: InForce): void {
  const { marks, proc } = parts;
  const { index, ids } = inForce;
  if (index.byParent.size === 0 || !marks.inheritance) return;
  const appOf = nearestApps(parts, policyNames(index, ids.programs));
  const seen = new Set<number>();
  for (let looks = 0; looks < MAX_LOOKS; looks++) {
    const fresh = proc.pids().filter((pid) => !seen.has(pid));
    if (fresh.length === 0) return;
    // Parents before children, so that a child that is born meanwhile has a bound parent.
    for (const pid of fresh.sort((a, b) => a - b)) {
      seen.add(pid);
      const startTicks = proc.stat(pid)?.startTimeTicks;
      const app = startTicks === undefined ? undefined : appOf(pid);
      const number = app === undefined ? undefined : ids.programs.numbers.get(programName({ kind: 'children', app }));
      if (startTicks !== undefined && number !== undefined) bind(marks, pid, startTicks, number);
    }
  }
}

function bind(marks: SocketMarks, pid: number, startTicks: number, number: number): void {
  try {
    // A script says more than who started it.
    if (marks.taskOf(pid, startTicks)?.script === true) return;
    marks.bindTask(pid, startTicks, { number, script: false, childrenNumber: number });
  } catch (error) {
    // Ended meanwhile; or no memory, then it stays unbound until its application is looked at anew.
    if (!(error instanceof KernelError)) throw error;
  }
}

/** The application with `children: same` that a process is, or else that the nearest of its ancestors is. */
function nearestApps({ marks, proc }: BindDescendantsParts, names: PolicyNames): (pid: number) => string | undefined {
  const executables = new ExecutableFiles(proc);
  const known = new Map<number, string | undefined>();
  const ownApp = (pid: number): string | undefined => {
    const link = proc.executable(pid);
    if (link === undefined) return undefined;
    // By its number also where the file has been replaced since.
    const key = marks.keyOfFile(proc.executableLink(pid));
    const program = names.programOf((key === undefined ? undefined : marks.programOf(key)) ?? 0);
    const executable = program?.kind === 'exec' ? program.path : executables.namedPathOf(pid, link, names);
    const script = scriptOfProcess(proc, pid, names.scripts);
    return names.childrenOf({
      ...(executable !== undefined && { executable }),
      ...(script !== undefined && { script }),
    });
  };
  return (pid) => {
    let current: number | undefined = pid;
    for (let generation = 0; generation <= MAX_GENERATIONS && current !== undefined && current > 1; generation++) {
      if (!known.has(current)) known.set(current, ownApp(current));
      const app = known.get(current);
      if (app !== undefined) return app;
      current = proc.stat(current)?.parentPid;
    }
    return undefined;
  };
}
