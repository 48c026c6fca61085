/** Programs of applications with `children: same`, and what they had started, before anybody followed them. */

import { asMember } from '../bpf/task-state.ts';
import { ExecutableFiles } from '../identify/executable-files.ts';
import { type Family, familyAmong } from '../identify/family.ts';
import { MAX_GENERATIONS } from '../identify/parent-app.ts';
import { type PolicyNames, policyNames } from '../identify/policy-names.ts';
import { scriptOfProcess } from '../identify/script-of-process.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { Proc } from '../kernel/proc.ts';
import type { SocketMarks } from '../kernel/socket-marks.ts';
import { programName } from '../plan/program.ts';
import { type AppIndex, yieldsToFamilies } from '../policy/match-app.ts';
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
  const names = policyNames(index, ids.programs);
  const familyOf = nearestFamilies(parts, names);
  const seen = new Set<number>();
  for (let looks = 0; looks < MAX_LOOKS; looks++) {
    const fresh = proc.pids().filter((pid) => !seen.has(pid));
    if (fresh.length === 0) return;
    // Parents before children, so that a child that is born meanwhile has a bound parent.
    for (const pid of fresh.sort((a, b) => a - b)) {
      seen.add(pid);
      const startTicks = proc.stat(pid)?.startTimeTicks;
      const family = startTicks === undefined ? undefined : familyOf(pid);
      if (startTicks === undefined || family === undefined) continue;
      const number = ids.programs.numbers.get(programName({ kind: 'children', app: family.app }));
      if (number !== undefined)
        bind(marks, { pid, startTicks }, { ...family, number }, (script) => yields(script, family, names, index));
    }
  }
}

function bind(
  marks: SocketMarks,
  { pid, startTicks }: { readonly pid: number; readonly startTicks: number },
  family: { readonly number: number; readonly keeps: boolean },
  isYielding: (script: number) => boolean,
): void {
  try {
    const member = asMember(marks.taskOf(pid, startTicks), family, isYielding);
    if (member !== undefined) marks.bindTask(pid, startTicks, member);
  } catch (error) {
    // Ended meanwhile; or no memory, then it stays unbound until its application is looked at anew.
    if (!(error instanceof KernelError)) throw error;
  }
}

/** Whether the program of this number gives way to the family in which it runs. */
function yields(
  number: number,
  { app, keeps }: Family,
  names: PolicyNames,
  { byScript, byExecutable }: AppIndex,
): boolean {
  const program = names.programOf(number);
  if (program === undefined || program.kind === 'children') return false;
  const match = (program.kind === 'script' ? byScript : byExecutable).get(program.path);
  return match !== undefined && keeps && yieldsToFamilies(match) && match.policy.app !== app;
}

/** What a process begins, where its application has `children: same`, or else what it is in. */
function nearestFamilies(
  { marks, proc }: BindDescendantsParts,
  names: PolicyNames,
): (pid: number) => Family | undefined {
  const executables = new ExecutableFiles(proc);
  const known = new Map<number, Family | undefined>();
  const begunBy = (pid: number): Family | undefined => {
    const link = proc.executable(pid);
    if (link === undefined) return undefined;
    // By its number also where the file has been replaced since.
    const key = marks.keyOfFile(proc.executableLink(pid));
    const program = names.programOf((key === undefined ? undefined : marks.programOf(key)) ?? 0);
    const executable = program?.kind === 'exec' ? program.path : executables.namedPathOf(pid, link, names);
    const script = scriptOfProcess(proc, pid, names.scripts);
    return names.familyOf({
      ...(executable !== undefined && { executable }),
      ...(script !== undefined && { script }),
    });
  };
  return (pid) => {
    const begun: Family[] = [];
    let current: number | undefined = pid;
    for (let generation = 0; generation <= MAX_GENERATIONS && current !== undefined && current > 1; generation++) {
      if (!known.has(current)) known.set(current, begunBy(current));
      const family = known.get(current);
      if (family !== undefined) begun.push(family);
      if (family?.yields === false) break;
      current = proc.stat(current)?.parentPid;
    }
    return familyAmong(begun);
  };
}
