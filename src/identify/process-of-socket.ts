/**
 * Which process a socket belongs to: proc(5) `fd` links, since the kernel keeps no way back from a socket to its holders.
 *
 * Of several holders the creator owns the socket: `fork` gives a child the same descriptor under the same number, so the
 * search climbs from the holder it finds to the parent for as long as the parent has that socket under that number.
 * It stops below pid 1 and listed brokers, which open sockets for others. A holder that got the socket by a message
 * (SCM_RIGHTS) owns it only where its maker has closed it.
 */
import { basename } from 'node:path';
import type { Proc } from '../kernel/proc.ts';
import { BoundedMap } from './bounded-map.ts';

/** Sockets whose process is remembered. */
export const MAX_SOCKETS_REMEMBERED = 4096;
/** Processes that are looked at before any others. */
export const MAX_RECENT_PROCESSES = 64;
/** Descriptors read in one search, about 3 us each: a program with a million of them must not stop everybody's packets. */
export const MAX_DESCRIPTORS_PER_SEARCH = 50_000;
const MAX_ANCESTORS = 32;
const BROKERS: readonly string[] = ['systemd', 'inetd', 'xinetd'];

export interface SocketProcess {
  readonly pid: number;
  readonly startTimeTicks: number;
}

export type SocketProcessSearch =
  | ({ readonly kind: 'found' } & SocketProcess)
  /** `gaveUp`: the bound was reached before every process had been looked at. */
  | { readonly kind: 'not found'; readonly gaveUp: boolean };

interface Holding {
  readonly pid: number;
  readonly descriptor: number;
}

interface RecentProcess {
  readonly startTimeTicks: number;
  /** Where its last socket was: a closed descriptor's number is given out again first. */
  readonly lastDescriptor: number;
}

/** Remembers answers, so one for each thread that asks. */
export class ProcessOfSocket {
  readonly #proc: Proc;
  readonly #sockets = new BoundedMap<number, SocketProcess>(MAX_SOCKETS_REMEMBERED);
  readonly #recent = new BoundedMap<number, RecentProcess>(MAX_RECENT_PROCESSES);
  readonly #maxDescriptors: number;
  #budget = 0;

  constructor(proc: Proc, options: { readonly maxDescriptors?: number } = {}) {
    this.#proc = proc;
    this.#maxDescriptors = options.maxDescriptors ?? MAX_DESCRIPTORS_PER_SEARCH;
  }

  /** `uid` only orders the search: it is the socket's, and a process may have changed its own since. */
  find(inode: number, uid: number): SocketProcessSearch {
    const known = this.#remembered(inode);
    if (known !== undefined) return { kind: 'found', ...known };
    this.#budget = this.#maxDescriptors;
    const holding = this.#inRecent(inode) ?? this.#inAll(inode, uid);
    if (holding === undefined) return { kind: 'not found', gaveUp: this.#budget <= 0 };
    const creator = this.#creator(inode, holding);
    if (creator === undefined) return { kind: 'not found', gaveUp: false };
    const { pid, startTimeTicks } = creator;
    const { descriptor } = holding;
    this.#sockets.set(inode, { pid, startTimeTicks });
    this.#recent.set(pid, { startTimeTicks, lastDescriptor: descriptor });
    return { kind: 'found', pid, startTimeTicks };
  }

  #remembered(inode: number): SocketProcess | undefined {
    const known = this.#sockets.get(inode);
    if (known === undefined) return undefined;
    // The creator may have ended while a child keeps the socket open.
    if (this.#proc.stat(known.pid)?.startTimeTicks === known.startTimeTicks) return known;
    this.#sockets.delete(inode);
    return undefined;
  }

  #inRecent(inode: number): Holding | undefined {
    const living = this.#recent.recent();
    // One link each before all links of any: most programs open the next socket where the last one was.
    for (const [pid, { lastDescriptor }] of living) {
      if (this.#proc.probeSocketInode(pid, lastDescriptor) === inode) return { pid, descriptor: lastDescriptor };
    }
    for (const [pid, { startTimeTicks }] of living) {
      if (this.#proc.stat(pid)?.startTimeTicks !== startTimeTicks) {
        this.#recent.delete(pid);
        continue;
      }
      const found = this.#inProcess(inode, pid);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Processes of the socket's uid, newest first, then all others. */
  #inAll(inode: number, uid: number): Holding | undefined {
    const others: number[] = [];
    for (const pid of this.#newestFirst()) {
      if (this.#proc.directoryUid(pid) !== uid) {
        others.push(pid);
        continue;
      }
      const found = this.#inProcess(inode, pid);
      if (found !== undefined) return found;
    }
    for (const pid of others) {
      const found = this.#inProcess(inode, pid);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Pids grow until they wrap around, so the order is a good guess and costs nothing. */
  #newestFirst(): number[] {
    return this.#proc.pids().sort((a, b) => b - a);
  }

  #inProcess(inode: number, pid: number): Holding | undefined {
    for (const descriptor of this.#proc.descriptors(pid) ?? []) {
      if (this.#budget-- <= 0) return undefined;
      if (this.#proc.socketInode(pid, descriptor) === inode) return { pid, descriptor };
    }
    return undefined;
  }

  /** `undefined` where the holder has ended. */
  #creator(inode: number, { pid, descriptor }: Holding): SocketProcess | undefined {
    const stat = this.#proc.stat(pid);
    if (stat === undefined) return undefined;
    let creator = { pid, startTimeTicks: stat.startTimeTicks };
    let { parentPid } = stat;
    for (let climbed = 0; climbed < MAX_ANCESTORS && parentPid > 1; climbed++) {
      if (this.#proc.probeSocketInode(parentPid, descriptor) !== inode || this.#isBroker(parentPid)) break;
      const parent = this.#proc.stat(parentPid);
      if (parent === undefined) break;
      creator = { pid: parentPid, startTimeTicks: parent.startTimeTicks };
      parentPid = parent.parentPid;
    }
    return creator;
  }

  #isBroker(pid: number): boolean {
    const executable = this.#proc.executable(pid);
    return executable !== undefined && BROKERS.includes(basename(executable));
  }
}
