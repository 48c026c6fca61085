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

  /** Where no process is known. */
  cgroupOfSocket(socketCgroupId: bigint | undefined): string | undefined {
    if (socketCgroupId === undefined || this.#cgroups === undefined) return undefined;
    const known = this.#cgroupPaths.get(socketCgroupId);
    if (known !== undefined) return known;
    const nowMs = this.#monotonicMs();
    const missedAtMs = this.#missedCgroups.get(socketCgroupId);
    if (missedAtMs !== undefined && nowMs - missedAtMs < MISSED_CGROUP_MS) return undefined;
    const path = this.#cgroups.pathOfId(socketCgroupId);
    if (path === undefined) this.#missedCgroups.set(socketCgroupId, nowMs);
    else this.#cgroupPaths.set(socketCgroupId, path);
    return path;
  }
}
