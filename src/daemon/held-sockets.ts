/** Which sockets processes hold: proc(5) `fd` links. */
import { setImmediate } from 'node:timers/promises';
import type { Proc } from '../kernel/proc.ts';

/** Descriptors read for one answer: 3 us each. */
export const MAX_DESCRIPTORS = 200_000;
/** Of one process. */
export const MAX_DESCRIPTORS_OF_ONE = 20_000;
/** Other work of the daemon comes between. */
const PROCESSES_AT_ONCE = 16;

/** For one answer: it counts what it has read. */
export class HeldSockets {
  readonly #proc: Pick<Proc, 'descriptors' | 'socketInode'>;
  #left: number;
  #isCut = false;

  constructor(proc: Pick<Proc, 'descriptors' | 'socketInode'>, maxDescriptors: number = MAX_DESCRIPTORS) {
    this.#proc = proc;
    this.#left = maxDescriptors;
  }

  /** Some descriptors were not read. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** Inodes; one that was duplicated is there more than once. */
  of(pid: number): readonly number[] {
    const most = Math.min(this.#left, MAX_DESCRIPTORS_OF_ONE);
    const descriptors = this.#proc.descriptors(pid, most + 1) ?? [];
    if (descriptors.length > most) this.#isCut = true;
    this.#left -= Math.min(descriptors.length, most);
    return descriptors.slice(0, most).flatMap((descriptor) => this.#proc.socketInode(pid, descriptor) ?? []);
  }
}

/** Inode -> the processes that hold it, of these sockets only. */
export async function holdersOf(
  proc: Pick<Proc, 'pids' | 'descriptors' | 'socketInode'>,
  inodes: ReadonlySet<number>,
): Promise<{ readonly holders: ReadonlyMap<number, readonly number[]>; readonly isCut: boolean }> {
  const held = new HeldSockets(proc);
  const holders = new Map<number, number[]>();
  if (inodes.size === 0) return { holders, isCut: false };
  for await (const pid of unhurried(proc.pids().sort((a, b) => a - b))) {
    for (const inode of new Set(held.of(pid))) {
      if (!inodes.has(inode)) continue;
      const known = holders.get(inode);
      if (known === undefined) holders.set(inode, [pid]);
      else known.push(pid);
    }
  }
  return { holders, isCut: held.isCut };
}

/** The same pids, with turns for others in between. */
export async function* unhurried(pids: readonly number[]): AsyncGenerator<number> {
  for (const [count, pid] of pids.entries()) {
    if (count % PROCESSES_AT_ONCE === PROCESSES_AT_ONCE - 1) await setImmediate();
    yield pid;
  }
}
