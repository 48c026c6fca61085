/** Which network namespaces a process of user-mode networking serves, as far as anybody can see from outside: for people, never for a decision. */
import { readlinkSync } from 'node:fs';
import type { Proc } from '../kernel/proc.ts';

/** Of one process that are told. */
export const MAX_NAMESPACES_TOLD = 8;
/** Of one namespace that are named. */
export const MAX_PROCESSES_TOLD = 8;
const MAX_DESCRIPTORS_LOOKED_AT = 1024;
const MAX_GENERATIONS = 32;

export interface ServedNamespace {
  /** As `ls -l /proc/PID/ns/net` and `lsns` show it. */
  readonly inode: number;
  /** Processes in it, the first ones. None: it is only kept open. */
  readonly processes: readonly number[];
  /** Further ones. */
  readonly more: number;
}

/**
 * Those other than its own that it keeps open, in which something is that it started, or in which a process is that its arguments name
 * (`slirp4netns PID tap0`). Empty where nothing tells, as when a namespace came to it by a message.
 */
export function servedNamespaces(proc: Proc, pid: number): readonly ServedNamespace[] {
  const own = namespaceAt(`/proc/${pid}/ns/net`);
  if (own === undefined) return [];
  const inside = new Map<number, number[]>();
  for (const other of proc.pids()) {
    const inode = namespaceAt(`/proc/${other}/ns/net`);
    if (inode === undefined || inode === own) continue;
    const known = inside.get(inode);
    if (known === undefined) inside.set(inode, [other]);
    else known.push(other);
  }
  const served = new Set<number>();
  for (const descriptor of proc.descriptors(pid, MAX_DESCRIPTORS_LOOKED_AT) ?? []) {
    const inode = namespaceAt(`/proc/${pid}/fd/${descriptor}`);
    if (inode !== undefined && inode !== own) served.add(inode);
  }
  const named = new Set((proc.commandLine(pid) ?? []).filter((word) => /^\d+$/.test(word)).map(Number));
  for (const [inode, processes] of inside)
    if (processes.some((other) => named.has(other) || isStartedBy(proc, other, pid))) served.add(inode);
  return [...served].slice(0, MAX_NAMESPACES_TOLD).map((inode) => {
    const processes = inside.get(inode) ?? [];
    const told = processes.toSorted((a, b) => a - b).slice(0, MAX_PROCESSES_TOLD);
    return { inode, processes: told, more: processes.length - told.length };
  });
}

function isStartedBy(proc: Proc, pid: number, ancestor: number): boolean {
  let child = pid;
  for (let generation = 0; generation < MAX_GENERATIONS; generation++) {
    const parent = proc.stat(child)?.parentPid;
    if (parent === undefined || parent <= 1) return false;
    if (parent === ancestor) return true;
    child = parent;
  }
  return false;
}

/** The network namespace that a link stands for: `net:[4026531833]`. */
function namespaceAt(link: string): number | undefined {
  try {
    const [, inode] = /^net:\[(\d+)\]$/.exec(readlinkSync(link)) ?? [];
    return inode === undefined ? undefined : Number(inode);
  } catch {
    return undefined;
  }
}
