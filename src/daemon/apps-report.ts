/** `GET /v1/apps`: every process of this network, who it is by policy, and how many internet sockets it has open. */
import type { AppsReport, RunningProgram, ToldBy } from '../api/apps.ts';
import type { PolicyNames } from '../identify/policy-names.ts';
import type { SocketTables } from '../identify/socket-diag.ts';
import type { Facts } from '../policy/facts.ts';
import type { ProcessOwner } from '../policy/identity.ts';
import { type AppIndex, type AppMatch, claimsExecutable, matchApp } from '../policy/match-app.ts';
import { compareText } from '../policy/policy-source.ts';
import { HeldSockets, unhurried } from './held-sockets.ts';
import { openSockets } from './open-sockets.ts';
import { ownerOfProcess, type ProcessOwnerSources, runsNothing } from './process-owner.ts';

/** Further processes are not looked at. */
export const MAX_PROCESSES = 20_000;
/** Pids named for each program. */
export const MAX_PIDS = 16;
/** Executables named for each application. */
export const MAX_EXECUTABLES = 16;
export interface AppsSources extends ProcessOwnerSources {
  readonly tables: SocketTables;
  readonly index: AppIndex;
  readonly facts: Facts;
  readonly names: PolicyNames;
  /** The daemon, about which there is nothing to say. */
  readonly ownPid: number;
  readonly isInOurNetwork: (pid: number) => boolean;
  /** Other bounds for tests. */
  readonly maxProcesses?: number;
  readonly maxDescriptors?: number;
}

interface Group {
  readonly match: AppMatch | undefined;
  readonly note: string | undefined;
  readonly pids: number[];
  readonly executables: Set<string>;
  readonly toldBy: Set<ToldBy>;
  readonly inodes: Set<number>;
}

/** Kernel threads and processes that have ended are left out. */
export async function appsReport(sources: AppsSources): Promise<AppsReport> {
  const { proc, maxProcesses = MAX_PROCESSES } = sources;
  const inodes = new Set(openSockets(sources.tables, proc).map(({ inode }) => inode));
  const pids = proc.pids().sort((a, b) => a - b);
  const groups = new Map<string, Group>();
  const held = new HeldSockets(proc, sources.maxDescriptors);
  let elsewhere = 0;
  for await (const pid of unhurried(pids.slice(0, maxProcesses))) {
    if (pid === sources.ownPid) continue;
    if (!sources.isInOurNetwork(pid)) {
      elsewhere += 1;
      continue;
    }
    const owner = ownerOfProcess(sources, pid, sources.names);
    if (owner === undefined || runsNothing(owner)) continue;
    const group = groupOf(groups, owner, sources);
    group.pids.push(pid);
    if (owner.executable !== undefined) group.executables.add(owner.executable);
    for (const inode of held.of(pid)) if (inodes.has(inode)) group.inodes.add(inode);
  }
  const incomplete = [
    ...(pids.length > maxProcesses
      ? [`${pids.length - maxProcesses} of ${pids.length} processes were not looked at`]
      : []),
    ...(held.isCut ? ['so many descriptors are open that not all sockets were counted'] : []),
  ].join('; ');
  return {
    programs: [...groups.values()].map(programOf).sort(compareProgram),
    elsewhere,
    ...(incomplete !== '' && { incomplete }),
  };
}

function groupOf(groups: Map<string, Group>, owner: ProcessOwner, { index, facts }: AppsSources): Group {
  const match = matchApp(index, owner, facts);
  const { executable } = owner;
  const note = claimsExecutable(index, owner)
    ? 'it is not the file of that name that the policy is about'
    : executable === undefined
      ? 'what it runs cannot be read'
      : undefined;
  const key = match === undefined ? `program ${executable ?? ''} ${note ?? ''}` : `app ${match.policy.app}`;
  const known = groups.get(key);
  const group = known ?? {
    match,
    note: match === undefined ? note : undefined,
    pids: [],
    executables: new Set(),
    toldBy: new Set(),
    inodes: new Set(),
  };
  if (known === undefined) groups.set(key, group);
  if (match !== undefined) group.toldBy.add(match.match.kind);
  return group;
}

function programOf({ match, note, pids, executables, toldBy, inodes }: Group): RunningProgram {
  return {
    ...(match !== undefined && { app: match.policy.app }),
    executables: [...executables].sort(compareText).slice(0, MAX_EXECUTABLES),
    toldBy: [...toldBy],
    processes: pids.length,
    pids: pids.slice(0, MAX_PIDS),
    sockets: inodes.size,
    files: match === undefined ? [] : match.policy.files.map(({ file }) => file),
    ...(note !== undefined && { note }),
  };
}

function compareProgram(a: RunningProgram, b: RunningProgram): number {
  if ((a.app === undefined) !== (b.app === undefined)) return a.app === undefined ? 1 : -1;
  const [keyA = '', keyB = ''] = [a.app ?? a.executables[0], b.app ?? b.executables[0]];
  return compareText(keyA, keyB);
}
