/**
 * Processes of named programs are bound to what they are when they are started, by the kernel itself where it knows their file. Of
 * those that ran before, and of those whose file had to be asked about, it is told here: from then on whatever becomes of the file, or of
 * a link that led to it, changes nothing for them.
 */
import type { ExecutableKey } from '../bpf/records.ts';
import { asNobodys, asStarted } from '../bpf/task-state.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { ExecutableProgram, TaskProgram } from '../kernel/socket-marks.ts';
import { programName, programOfEntry } from '../plan/program.ts';
import { yieldsToFamilies } from '../policy/match-app.ts';
import type { BindDescendantsParts } from './bind-descendants.ts';
import type { InForce } from './in-force.ts';

/** Looks at every process once. `pathOf`: by what path policies name the file with a key. */
export function bindStarted(
  parts: BindDescendantsParts,
  { index, ids }: InForce,
  pathOf: (key: ExecutableKey) => string | undefined,
): void {
  const { marks, proc } = parts;
  if (!marks.inheritance || index.byExecutable.size === 0) return;
  for (const pid of proc.pids()) {
    const link = proc.executable(pid);
    const match = link === undefined ? undefined : index.byExecutable.get(link);
    if (link === undefined || match === undefined) continue;
    const key = marks.keyOfFile(proc.executableLink(pid));
    const number = ids.programs.numbers.get(programName(programOfEntry('exec', link, match)));
    const isFamily = index.byParent.has(match.policy.app);
    if (key === undefined || number === undefined || isFamily || pathOf(key) !== link) continue;
    startedAs(parts, pid, { number, ...(yieldsToFamilies(match) && { yields: true }) });
  }
}

export function startedAs(parts: BindDescendantsParts, pid: number, program: ExecutableProgram): void {
  rewrite(parts, pid, (before) => asStarted(before, program));
}

/** It had to be asked about, and belongs to nobody. */
export function startedAsNobody(parts: BindDescendantsParts, pid: number): void {
  rewrite(parts, pid, asNobodys);
}

/** `undefined` stands for what stays as it is. */
function rewrite(
  { marks, proc }: BindDescendantsParts,
  pid: number,
  change: (before: TaskProgram | undefined) => TaskProgram | 'nothing' | undefined,
): void {
  const startTicks = proc.stat(pid)?.startTimeTicks;
  if (startTicks === undefined) return;
  try {
    const now = change(marks.taskOf(pid, startTicks));
    if (now === 'nothing') marks.unbindTask(pid);
    else if (now !== undefined) marks.bindTask(pid, startTicks, now);
  } catch (error) {
    // Ended meanwhile, or no room: then its file tells.
    if (!(error instanceof KernelError)) throw error;
  }
}
