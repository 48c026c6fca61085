/**
 * Searches descriptors of processes for a socket. Reading one costs about 3 us, and anybody may have many: what is read for
 * one socket is bounded, and processes of other users are read with what is left only.
 */
import type { Proc } from '../kernel/proc.ts';

/** Descriptors read in one search. */
export const MAX_DESCRIPTORS_PER_SEARCH = 20_000;
/** Of one process, before all others of its user had their turn. */
export const MAX_DESCRIPTORS_PER_PROCESS = 4000;
/** Threads of one process that are asked for descriptors of their own. */
export const MAX_THREADS_PER_PROCESS = 64;

/** `pid` is the process also where one of its threads holds the socket alone. */
export interface Holding {
  readonly pid: number;
  readonly descriptor: number;
}

export interface DescriptorSearchOptions {
  readonly maxDescriptors: number;
  readonly maxPerProcess: number;
  /** Told of each socket that is seen on the way. */
  readonly note?: (inode: number, holding: Holding) => void;
}

/** One search: it counts what it has read. */
export class DescriptorSearch {
  readonly #proc: Proc;
  readonly #inode: number;
  readonly #maxPerProcess: number;
  readonly #note: NonNullable<DescriptorSearchOptions['note']>;
  readonly #seen = new Set<number>();
  readonly #cut: number[] = [];
  #left: number;

  constructor(
    proc: Proc,
    inode: number,
    { maxDescriptors, maxPerProcess, note = () => undefined }: DescriptorSearchOptions,
  ) {
    this.#proc = proc;
    this.#inode = inode;
    this.#left = maxDescriptors;
    this.#maxPerProcess = maxPerProcess;
    this.#note = note;
  }

  /** Some were not read: those of a large process, or all that came after the bound. */
  get gaveUp(): boolean {
    return this.#left <= 0;
  }

  /**
   * Processes of the socket's uid first, `recent` before the newest; then what of them was left out, and descriptors that
   * a thread has for itself; then everybody else's, for a process may have changed its uid since it made the socket.
   */
  first(uid: number, recent: readonly number[]): Holding | undefined {
    const own: number[] = [];
    const others: number[] = [];
    for (const pid of [...recent, ...newestFirst(this.#proc)])
      (this.#proc.directoryUid(pid) === uid ? own : others).push(pid);
    return this.#inAny(own) ?? this.#inCut() ?? this.#inThreads(own) ?? this.#inAny(others);
  }

  /** All processes of a uid that hold it. */
  *holders(uid: number): Generator<Holding> {
    for (const pid of newestFirst(this.#proc)) {
      if (this.gaveUp) return;
      const found = this.#proc.directoryUid(pid) === uid ? this.inProcess(pid) : undefined;
      if (found !== undefined) yield found;
    }
  }

  inProcess(pid: number, limit: number = this.#maxPerProcess): Holding | undefined {
    if (this.gaveUp) return undefined;
    const most = Math.min(limit, this.#left);
    const descriptors = this.#proc.descriptors(pid, most);
    if (descriptors === undefined) return undefined;
    const found = this.#among(pid, descriptors, (inode, descriptor) => this.#note(inode, { pid, descriptor }));
    if (found === undefined && descriptors.length === most) this.#cut.push(pid);
    return found === undefined ? undefined : { pid, descriptor: found };
  }

  #among(
    id: number,
    descriptors: readonly number[],
    note?: (inode: number, descriptor: number) => void,
  ): number | undefined {
    return descriptors.find((descriptor) => {
      if (this.#left <= 0) return false;
      this.#left--;
      const inode = this.#proc.socketInode(id, descriptor);
      if (inode !== undefined) note?.(inode, descriptor);
      return inode === this.#inode;
    });
  }

  #inAny(pids: readonly number[]): Holding | undefined {
    for (const pid of pids) {
      if (this.#seen.has(pid)) continue;
      this.#seen.add(pid);
      const found = this.inProcess(pid);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** From the start again: where it was cut, descriptors may have come and gone since. */
  #inCut(): Holding | undefined {
    for (const pid of this.#cut.splice(0)) {
      const found = this.inProcess(pid, this.#left);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** After unshare(CLONE_FILES) the process's directory does not show what its thread opens. */
  #inThreads(pids: readonly number[]): Holding | undefined {
    for (const pid of pids) {
      if (this.gaveUp) return undefined;
      const threads = this.#proc.threads(pid, MAX_THREADS_PER_PROCESS) ?? [];
      if (threads.length < 2) continue;
      const shared = this.#proc.descriptors(pid, this.#maxPerProcess)?.join();
      for (const thread of threads) {
        if (thread === pid || this.gaveUp) continue;
        const own = this.#proc.descriptors(thread, Math.min(this.#maxPerProcess, this.#left)) ?? [];
        const isShared = own.join() === shared && this.#isSame(pid, thread, own);
        const descriptor = isShared ? undefined : this.#among(thread, own);
        if (descriptor !== undefined) return { pid, descriptor };
      }
    }
    return undefined;
  }

  /** Threads nearly always share one table. The highest descriptor tells a copy that has opened another under the same number. */
  #isSame(pid: number, thread: number, [highest]: readonly number[]): boolean {
    if (highest === undefined) return true;
    return this.#proc.socketInode(pid, highest) === this.#proc.socketInode(thread, highest);
  }
}

/** Pids grow until they wrap around, so the order is a good guess and costs nothing. */
function newestFirst(proc: Proc): number[] {
  return proc.pids().sort((a, b) => b - a);
}
