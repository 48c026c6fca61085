/** Everything that tells who a process is now. */
import { uptime } from 'node:os';
import type {
  AncestorEvidence,
  ApplicationEvidence,
  Evidence,
  ExecutableEvidence,
  ProcessEvidence,
  ProgramEvidence,
  ServedEvidence,
} from '../api/who.ts';
import { MAX_GENERATIONS } from '../identify/parent-app.ts';
import type { Proc } from '../kernel/proc.ts';
import type { WallMs } from '../net/clock.ts';
import { PROGRAM_NONE_FIRST } from '../plan/reserved.ts';
import { scopesOfCgroup } from '../policy/cgroup-scope.ts';
import { servesNamespace } from '../policy/decide.ts';
import { describeMatch } from '../policy/describe-decision.ts';
import type { ProcessOwner, SingleOwner } from '../policy/identity.ts';
import { cgroupAncestry, claimsExecutable, matchApp, matchKernel } from '../policy/match-app.ts';
import { isUserModeNetwork } from '../policy/user-mode-networks.ts';
import { servedNamespaces } from '../watch/served-namespaces.ts';
import type { EvidenceSources } from './evidence-sources.ts';
import { programEvidence } from './mark-in-words.ts';
import { packagesOfFile } from './packages-of-file.ts';
import { runsNothing } from './process-owner.ts';
import { account } from './unix-accounts.ts';

/** USER_HZ of proc(5): what ticks are counted in, on every architecture that we run on. */
const TICKS_PER_SECOND = 100;
/** The parent of all kernel threads (kernel/kthread.c). */
const KTHREADD = 2;
/** Never nobody's: it makes sockets for others. */
const INIT_PID = 1;
/** Digits of a container's id, as `docker ps` shows them. */
const SHOWN_CONTAINER_ID = 12;

const NOT_MARKED = 'sockets are not marked on this machine; pointsman status says why';
const NO_PROGRAM =
  'it may be a program that a policy names, or makes sockets for others: the daemon is asked about its flows';

/** `owner`: of a process that was there just now. `undefined` where it has ended meanwhile. */
export async function processEvidence(
  sources: EvidenceSources,
  owner: ProcessOwner,
): Promise<ProcessEvidence | undefined> {
  const { proc, nowMs } = sources;
  const { pid, uid, gid, script, childOf, commandLine = [] } = owner;
  const stat = proc.stat(pid);
  if (stat === undefined) return undefined;
  const path = proc.executable(pid);
  return {
    pid,
    startedMs: startedMs(stat.startTimeTicks, nowMs),
    executable:
      path === undefined
        ? { because: withoutExecutable(owner, stat.parentPid) }
        : await executableEvidence(sources, owner, path),
    commandLine,
    ...(script !== undefined && { script }),
    ...(childOf !== undefined && { childOf }),
    parents: parentsOf(proc, pid),
    cgroup: owner.cgroup === undefined ? { because: 'this machine has no cgroup2 hierarchy' } : { path: owner.cgroup },
    scopes: scopesOf(owner.cgroup, sources.facts.containers),
    user: account('user', uid),
    group: gid === undefined ? { because: 'it cannot be read' } : account('group', gid),
    program: programOfProcess(sources, pid, stat.startTimeTicks),
    ...(isUserModeNetwork(path ?? '') && { serves: servedBy(proc, pid) }),
    ...(!sources.isInOurNetwork(pid) && { isElsewhere: true }),
  };
}

const servedBy = (proc: Proc, pid: number): readonly ServedEvidence[] =>
  servedNamespaces(proc, pid).map(({ inode, processes, more }) => ({
    namespace: inode,
    processes: processes.map((inside) => ancestorOf(proc, inside)),
    more,
  }));

/** Milliseconds since 1970 of a time in ticks since boot. */
export function startedMs(ticks: number, nowMs: WallMs): WallMs {
  return Math.round(nowMs - uptime() * 1000 + (ticks * 1000) / TICKS_PER_SECOND);
}

function withoutExecutable(owner: ProcessOwner, parentPid: number): string {
  if (!runsNothing(owner)) return 'it cannot be read';
  const isOfKernel = owner.pid === KTHREADD || parentPid === KTHREADD;
  return isOfKernel ? 'it is a thread of the kernel' : 'it has ended, and its parent has not asked how';
}

async function executableEvidence(
  { proc, names }: EvidenceSources,
  { pid, executable, executableUnproven }: ProcessOwner,
  path: string,
): Promise<ExecutableEvidence> {
  const isNamed = executable !== undefined && executableUnproven !== true;
  return {
    path,
    file: isNamed ? 'named' : names.hasExecutable(path) ? 'other' : 'not named',
    ...(isNamed && { named: executable }),
    ...(proc.isExecutableDeleted(pid) && { isDeleted: true }),
    packages: await packagesOfFile(path),
  };
}

/** Up to init, or to the parent that took it over. */
export function parentsOf(proc: Proc, pid: number): readonly AncestorEvidence[] {
  const parents: AncestorEvidence[] = [];
  let child = pid;
  while (parents.length < MAX_GENERATIONS) {
    const parent = proc.stat(child)?.parentPid ?? 0;
    if (parent <= 0) break;
    parents.push(ancestorOf(proc, parent));
    child = parent;
  }
  return parents;
}

export function ancestorOf(proc: Proc, pid: number): AncestorEvidence {
  const executable = proc.executable(pid);
  return { pid, ...(executable !== undefined && { executable }) };
}

/** The nearest first. */
function scopesOf(cgroup: string | undefined, containers: EvidenceSources['facts']['containers']): readonly string[] {
  if (cgroup === undefined) return [];
  const words = cgroupAncestry(cgroup).flatMap((path) => {
    const { unit, containerId, machine, flatpak, snap, desktop } = scopesOfCgroup(path);
    const container = containerId === undefined ? undefined : containerText(containerId, containers.get(containerId));
    const named = { unit, container, machine, flatpak, snap, desktop };
    return Object.entries(named).flatMap(([kind, name]) => (name === undefined ? [] : [`${kind} ${name}`]));
  });
  return [...new Set(words)].filter((word) => !word.endsWith('.slice'));
}

function containerText(id: string, names: readonly string[] = []): string {
  const shown = id.slice(0, SHOWN_CONTAINER_ID);
  return names.length === 0 ? shown : `${names.join(', ')} (${shown})`;
}

/** In the order in which the kernel looks: a script before the executable, then what it inherited, and "nobody" last. */
function programOfProcess(
  { proc, marks, numbers }: EvidenceSources,
  pid: number,
  startTicks: number,
): Evidence<ProgramEvidence> {
  if (marks === undefined) return { because: NOT_MARKED };
  const task = marks.taskOf(pid, startTicks);
  const file = marks.programFile(proc.executableLink(pid));
  const ofExecutable = file === undefined ? undefined : marks.numberOf(file);
  const isNamed = ofExecutable !== undefined && ofExecutable < PROGRAM_NONE_FIRST;
  const nobody = pid === INIT_PID ? undefined : ofExecutable;
  const isBound = task?.script === true || task?.started === true;
  const number = !isBound && isNamed ? ofExecutable : (task?.number ?? nobody ?? 0);
  return number === 0 ? { because: NO_PROGRAM } : programEvidence(number, numbers.programs);
}

/** The policy that holds for an owner, and the entry by which it does. */
export function applicationEvidence(
  { index, facts, ownPid }: Pick<EvidenceSources, 'index' | 'facts' | 'ownPid'>,
  owner: SingleOwner,
): ApplicationEvidence {
  if (owner.kind === 'kernel') {
    const match = matchKernel(index, owner.sender);
    if (match === undefined) return { because: 'the kernel itself sends it' };
    const { file, line, column } = match.match.at;
    return { app: match.policy.app, by: describeMatch(match.match), at: { file, line, column } };
  }
  if (owner.kind === 'process' && owner.pid === ownPid)
    return { because: 'it is the daemon itself, which may connect' };
  const found = matchApp(index, owner, facts);
  if (owner.kind === 'process' && servesNamespace(owner, found))
    return {
      because:
        'it is user-mode networking: the strictest holds of what may be behind it, or what the system default says',
    };
  if (found !== undefined) {
    const { file, line, column } = found.match.at;
    return { app: found.policy.app, by: describeMatch(found.match), at: { file, line, column } };
  }
  if (owner.kind === 'unknown') return { because: owner.because };
  const isForged = claimsExecutable(index, owner);
  return {
    because: isForged ? `its executable is not the file ${owner.executable} of this machine` : 'no policy is about it',
  };
}
