/**
 * Processes of named programs are bound to what they are when they are started, by the kernel itself where it knows their file. Of
 * those that ran before, and of those whose file had to be asked about, it is told here: from then on whatever becomes of the file, or of
 * a link that led to it, changes nothing for them.
 */
import type { ExecutableKey } from '../bpf/records.ts';
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

/** What an application with `children: same` starts has its number already: that says as much. */
export function startedAs({ marks, proc }: BindDescendantsParts, pid: number, program: ExecutableProgram): void {
  const startTicks = proc.stat(pid)?.startTimeTicks;
  if (startTicks === undefined || program.childrenNumber !== undefined) return;
  try {
    const before = marks.taskOf(pid, startTicks);
    if (before?.script === true || (before?.started === true && before.number !== 0)) return;
    const family = familyOf(before);
    if (family?.keeps && program.yields) {
      // It is nothing of its own there; of a family that is not known, either, it goes on being asked about.
      if (before?.started && family.childrenNumber !== 0)
        marks.bindTask(pid, startTicks, { number: family.childrenNumber, script: false, ...family });
      return;
    }
    marks.bindTask(pid, startTicks, { number: program.number, script: false, started: true, ...family });
  } catch (error) {
    // Ended meanwhile, or no room: then its file tells.
    if (!(error instanceof KernelError)) throw error;
  }
}

/** It had to be asked about, and belongs to nobody. */
export function startedAsNobody({ marks, proc }: BindDescendantsParts, pid: number): void {
  const startTicks = proc.stat(pid)?.startTimeTicks;
  const before = startTicks === undefined ? undefined : marks.taskOf(pid, startTicks);
  if (startTicks === undefined || before?.started !== true || before.number !== 0) return;
  const family = familyOf(before);
  if (family === undefined) marks.unbindTask(pid);
  else marks.bindTask(pid, startTicks, { number: family.childrenNumber, script: false, ...family });
}

type InFamily = Required<Pick<TaskProgram, 'childrenNumber'>> & Pick<TaskProgram, 'keeps'>;

function familyOf(task: TaskProgram | undefined): InFamily | undefined {
  const { childrenNumber, keeps } = task ?? {};
  return childrenNumber === undefined ? undefined : { childrenNumber, ...(keeps && { keeps }) };
}
