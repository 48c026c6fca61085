/** Who a process is, without any packet of it: told as the slow path tells the owner of a flow. */
import type { ExecutableFiles } from '../identify/executable-files.ts';
import { parentApp } from '../identify/parent-app.ts';
import type { PolicyNames } from '../identify/policy-names.ts';
import type { ProcessReader } from '../identify/process-reader.ts';
import { scriptOfProcessByChain } from '../identify/script-of-process.ts';
import type { Proc } from '../kernel/proc.ts';
import type { SharedSocketMarks } from '../kernel/socket-marks.ts';
import { startOfScript } from '../kernel/start-of-script.ts';
import type { Program } from '../plan/program.ts';
import type { ProcessOwner } from '../policy/identity.ts';

export interface ProcessOwnerSources {
  readonly proc: Proc;
  readonly executables: ExecutableFiles;
  readonly reader: ProcessReader;
  /** Absent where the kernel notes nothing. */
  readonly marks?: Pick<SharedSocketMarks, 'keyOfFile' | 'programOf' | 'taskOf'>;
}

/** `undefined` where it has ended. */
export function ownerOfProcess(
  sources: ProcessOwnerSources,
  pid: number,
  names: PolicyNames,
): ProcessOwner | undefined {
  const { proc, reader, marks } = sources;
  const stat = proc.stat(pid);
  const uid = proc.uid(pid);
  if (stat === undefined || uid === undefined) return undefined;
  const { startTimeTicks } = stat;
  const facts = reader.read({ pid, startTimeTicks });
  if (facts === undefined) return undefined;
  const { executable: link } = facts;
  const commandLine = proc.commandLine(pid);
  const [gid, cgroup] = [proc.gid(pid), reader.cgroup(pid, undefined)];
  const task = marks?.taskOf(pid, startTimeTicks);
  const bound = task === undefined ? undefined : names.programOf(task.number);
  // What it was when it was started, whatever has become of its file.
  const started = task?.started === true && bound?.kind === 'exec' ? bound.path : undefined;
  const named = started ?? (link === undefined ? undefined : namedPathOf(sources, pid, link, names));
  const script = bound?.kind === 'script' ? bound.path : scriptIn(proc, pid, names);
  const childOf = bound?.kind === 'children' ? bound.app : parentIn(sources, pid, names);
  const executable = named ?? link;
  return {
    kind: 'process',
    pid,
    uid,
    ...(gid !== undefined && { gid }),
    ...(cgroup !== undefined && { cgroup }),
    ...(executable !== undefined && { executable }),
    ...(executable !== undefined && named === undefined && { executableUnproven: true }),
    ...(script !== undefined && { script }),
    ...(childOf !== undefined && { childOf }),
    ...(commandLine !== undefined && { commandLine }),
  };
}

/** A thread of the kernel, or a process that has ended and whose parent has not asked how. */
export function runsNothing({
  executable,
  commandLine = [],
}: Pick<ProcessOwner, 'executable' | 'commandLine'>): boolean {
  return executable === undefined && commandLine.length === 0;
}

/** By the file, or where it was replaced before anybody looked, by the kernel's memory of it. */
function namedPathOf(
  { executables, ...sources }: ProcessOwnerSources,
  pid: number,
  link: string,
  names: PolicyNames,
): string | undefined {
  const path = executables.namedPathOf(pid, link, names);
  if (path !== undefined || !sources.proc.isExecutableDeleted(pid)) return path;
  const known = knownExecutable(sources, pid, names);
  return known?.kind === 'exec' ? known.path : undefined;
}

/** The program as which the kernel knows the file that a process runs. */
function knownExecutable(
  { proc, marks }: Pick<ProcessOwnerSources, 'proc' | 'marks'>,
  pid: number,
  names: PolicyNames,
): Program | undefined {
  const key = marks?.keyOfFile(proc.executableLink(pid));
  const number = key === undefined ? undefined : marks?.programOf(key);
  return number === undefined ? undefined : names.programOf(number);
}

function scriptIn(proc: Proc, pid: number, { scripts }: PolicyNames): string | undefined {
  return scripts.size === 0 ? undefined : scriptOfProcessByChain(proc, pid, scripts, startOfScript);
}

function parentIn(sources: ProcessOwnerSources, pid: number, names: PolicyNames): string | undefined {
  return names.anyChildren ? parentApp(sources, pid, names) : undefined;
}
