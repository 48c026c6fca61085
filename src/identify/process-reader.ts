/** What identity needs to know of a process, read once for a busy program. */
import type { CgroupTree } from '../kernel/cgroup.ts';
import type { Proc } from '../kernel/proc.ts';
import { BoundedMap } from './bounded-map.ts';
import type { SocketProcess } from './process-of-socket.ts';

/** Programs and cgroups whose facts are remembered. */
export const MAX_PROCESSES_REMEMBERED = 1024;
export const MAX_CGROUPS_REMEMBERED = 1024;
/** A cgroup that was not found is looked for again after this: a walk takes milliseconds, and anybody can ask for one. */
export const MISSED_CGROUP_MS = 1000;

/** `executable` is absent where it could not be read: kernel threads have none, and /proc may hide other users' processes. */
export interface ProcessFacts {
  readonly executable?: string;
}

interface Remembered extends ProcessFacts {
  readonly startTimeTicks: number;
}

/** Remembers answers, so one for each thread that asks. */
export class ProcessReader {
  readonly #proc: Proc;
  readonly #cgroups: CgroupTree | undefined;
  readonly #processes = new BoundedMap<number, Remembered>(MAX_PROCESSES_REMEMBERED);
  /** An id is never given to another cgroup, and a cgroup cannot be renamed: entries stay true. */
  readonly #cgroupPaths = new BoundedMap<bigint, string>(MAX_CGROUPS_REMEMBERED);
  readonly #missedCgroups = new BoundedMap<bigint, number>(MAX_CGROUPS_REMEMBERED);
  readonly #monotonicMs: () => number;

  constructor(proc: Proc, cgroups: CgroupTree | undefined, monotonicMs: () => number = () => performance.now()) {
    this.#proc = proc;
    this.#cgroups = cgroups;
    this.#monotonicMs = monotonicMs;
  }

  /** `undefined` where this process has ended. */
  read(process: SocketProcess): ProcessFacts | undefined {
    const { pid, startTimeTicks } = process;
    // exec(2) keeps pid and start time: only the executable, read each time, tells that the program is another.
    const executable = this.#proc.executable(pid);
    const known = this.#processes.get(pid);
    if (known?.startTimeTicks === startTimeTicks && known.executable === executable && executable !== undefined)
      return known;
    if (this.#proc.stat(pid)?.startTimeTicks !== startTimeTicks) return undefined;
    const facts = { startTimeTicks, ...(executable !== undefined && { executable }) };
    this.#processes.set(pid, facts);
    return facts;
  }

  /** Whether `cgroup` says what it is called without looking at any process. */
  remembersCgroup(id: bigint): boolean {
    return this.#cgroupPaths.get(id) !== undefined;
  }

  /** The socket's cgroup, in which it was made, before the process's, which may have moved since. */
  cgroup(pid: number, socketCgroupId: bigint | undefined): string | undefined {
    const known = socketCgroupId === undefined ? undefined : this.#cgroupPaths.get(socketCgroupId);
    if (known !== undefined) return known;
    const current = this.#proc.cgroup(pid);
    if (socketCgroupId === undefined || this.#cgroups === undefined) return current;
    if (current !== undefined && this.#cgroups.idOfPath(current) === socketCgroupId) {
      this.#cgroupPaths.set(socketCgroupId, current);
      return current;
    }
    // One that is gone, or was not found: where the process is now says more than nothing.
    return this.cgroupOfSocket(socketCgroupId) ?? current;
  }

  /**
   * The cgroup whose id is the last of these, which are those of the cgroups above it, the outermost first; where it is gone, the deepest
   * of those that are left.
   */
  cgroupWithIds(ids: readonly bigint[]): { readonly path: string; readonly isGone: boolean } | undefined {
    if (this.#cgroups === undefined) return undefined;
    let path = '/';
    for (const id of ids) {
      const child = this.#childWithId(path, id);
      if (child === undefined) return { path, isGone: true };
      path = child;
    }
    return { path, isGone: false };
  }

  #childWithId(path: string, id: bigint): string | undefined {
    const known = this.#cgroupPaths.get(id);
    if (known !== undefined || this.#isMissed(id)) return known;
    const child = this.#cgroups?.childWithId(path, id);
    if (child === undefined) this.#missedCgroups.set(id, this.#monotonicMs());
    else this.#cgroupPaths.set(id, child);
    return child;
  }

  #isMissed(id: bigint): boolean {
    const missedAtMs = this.#missedCgroups.get(id);
    return missedAtMs !== undefined && this.#monotonicMs() - missedAtMs < MISSED_CGROUP_MS;
  }

  /** Where no process is known. */
  cgroupOfSocket(socketCgroupId: bigint | undefined): string | undefined {
    if (socketCgroupId === undefined || this.#cgroups === undefined) return undefined;
    const known = this.#cgroupPaths.get(socketCgroupId);
    if (known !== undefined) return known;
    if (this.#isMissed(socketCgroupId)) return undefined;
    const path = this.#cgroups.pathOfId(socketCgroupId);
    if (path === undefined) this.#missedCgroups.set(socketCgroupId, this.#monotonicMs());
    else this.#cgroupPaths.set(socketCgroupId, path);
    return path;
  }
}
