/**
 * Which process a socket belongs to: proc(5) `fd` links, since the kernel keeps no way back from a socket to its holders.
 *
 * Of several holders the creator owns the socket: `fork` gives a child the same descriptor under the same number, so the
 * search climbs from the holder it finds to the parent for as long as the parent runs the same program and has that socket
 * under that number. It stops below pid 1 and listed brokers, which open sockets for others.
 *
 * Another program that holds the socket may be the one that sends: then there are several answers. Processes of the same
 * user are asked for it wherever a process could have inherited the socket, that is, where it held it when it was seen
 * first. What it opened later it can only have been given by a message (SCM_RIGHTS), and a holder of that kind is found
 * only where nobody else is.
 */
import { fileIdentity, isSameFile } from '../kernel/file-identity.ts';
import type { Proc } from '../kernel/proc.ts';
import { BoundedMap } from './bounded-map.ts';
import {
  DescriptorSearch,
  type Holding,
  MAX_DESCRIPTORS_PER_PROCESS,
  MAX_DESCRIPTORS_PER_SEARCH,
} from './descriptor-search.ts';
import { isBroker } from './socket-broker.ts';

/** Sockets whose processes are remembered. */
export const MAX_SOCKETS_REMEMBERED = 4096;
/** Processes that are looked at before any others. */
export const MAX_RECENT_PROCESSES = 64;
/** Of these, so many may be opening one socket after the other. */
export const MAX_BUSY_PROCESSES = 4;
/** Programs whose first sockets are remembered. */
export const MAX_PROGRAMS_SEEN = 256;
/** Descriptors read to find further holders. */
export const MAX_DESCRIPTORS_FOR_OTHERS = 8000;
/** Programs that share a socket; further ones are not asked about. */
export const MAX_HOLDERS = 8;
/** Sockets that were seen while another was looked for: a program that has one of thousands asked about has others. */
export const MAX_SOCKETS_NOTED = 16_384;
const MAX_ANCESTORS = 32;

export interface SocketProcess {
  readonly pid: number;
  readonly startTimeTicks: number;
}

export type SocketProcessSearch =
  /** Several where they run different programs. */
  | { readonly kind: 'found'; readonly processes: readonly [SocketProcess, ...SocketProcess[]] }
  /** `gaveUp`: the bound was reached before every process had been looked at. */
  | { readonly kind: 'not found'; readonly gaveUp: boolean };

export interface ProcessOfSocketOptions {
  readonly maxDescriptors?: number;
  readonly maxPerProcess?: number;
  readonly fileAt?: typeof fileIdentity;
}

interface RecentProcess {
  readonly startTimeTicks: number;
  /** Where its last socket was: a closed descriptor's number is given out again first. */
  readonly lastDescriptor: number;
}

/** `sockets`: what it held when it was seen first. */
interface SeenProgram {
  readonly startTimeTicks: number;
  readonly executable: string | undefined;
  readonly sockets: ReadonlySet<number>;
}

/** Remembers answers, so one for each thread that asks. */
export class ProcessOfSocket {
  readonly #proc: Proc;
  readonly #sockets = new BoundedMap<number, readonly [SocketProcess, ...SocketProcess[]]>(MAX_SOCKETS_REMEMBERED);
  readonly #recent = new BoundedMap<number, RecentProcess>(MAX_RECENT_PROCESSES);
  readonly #noted = new BoundedMap<number, Holding>(MAX_SOCKETS_NOTED);
  readonly #seen = new BoundedMap<number, SeenProgram>(MAX_PROGRAMS_SEEN);
  readonly #maxDescriptors: number;
  readonly #maxPerProcess: number;
  readonly #fileAt: typeof fileIdentity;

  constructor(proc: Proc, options: ProcessOfSocketOptions = {}) {
    this.#proc = proc;
    this.#maxDescriptors = options.maxDescriptors ?? MAX_DESCRIPTORS_PER_SEARCH;
    this.#maxPerProcess = options.maxPerProcess ?? MAX_DESCRIPTORS_PER_PROCESS;
    this.#fileAt = options.fileAt ?? fileIdentity;
  }

  /**
   * `uid` is the socket's; a process may have changed its own since. `matters`: whether it makes a difference that a
   * process runs this executable, so that being mistaken for it would pay.
   */
  find(inode: number, uid: number, matters: (executable: string) => boolean = () => true): SocketProcessSearch {
    const known = this.#remembered(inode);
    if (known !== undefined) return { kind: 'found', processes: known };
    const search = this.#search(inode, this.#maxDescriptors);
    const holding = this.#whereNoted(inode) ?? this.#atLastDescriptor(inode) ?? search.first(uid, this.#livingRecent());
    if (holding === undefined) return { kind: 'not found', gaveUp: search.gaveUp };
    const line = this.#line(inode, holding);
    const [first] = line;
    if (first === undefined) return { kind: 'not found', gaveUp: false };
    const others = this.#mayBeInherited(inode, first, matters) ? this.#otherHolders(inode, uid, line) : line.slice(1);
    const processes = [first, ...others] as const;
    this.#sockets.set(inode, processes);
    this.#recent.set(first.pid, { startTimeTicks: first.startTimeTicks, lastDescriptor: holding.descriptor });
    return { kind: 'found', processes };
  }

  #search(inode: number, maxDescriptors: number): DescriptorSearch {
    return new DescriptorSearch(this.#proc, inode, {
      maxDescriptors,
      maxPerProcess: this.#maxPerProcess,
      note: (seen, holding) => this.#noted.get(seen) ?? this.#noted.set(seen, holding),
    });
  }

  #remembered(inode: number): readonly [SocketProcess, ...SocketProcess[]] | undefined {
    const known = this.#sockets.get(inode);
    // One of them may have ended while another keeps the socket open.
    if (known?.every((process) => this.#isLiving(process))) return known;
    this.#sockets.delete(inode);
    return undefined;
  }

  #isLiving({ pid, startTimeTicks }: SocketProcess): boolean {
    return this.#proc.stat(pid)?.startTimeTicks === startTimeTicks;
  }

  /** Asked again: it may have been closed, and the process may have ended. */
  #whereNoted(inode: number): Holding | undefined {
    const noted = this.#noted.get(inode);
    if (noted === undefined || this.#proc.probeSocketInode(noted.pid, noted.descriptor) === inode) return noted;
    this.#noted.delete(inode);
    return undefined;
  }

  /**
   * One link each, whosever they are, before all links of any: most programs open the next socket where the last one was; of
   * the busiest also the one beside it, where the last one is still open.
   */
  #atLastDescriptor(inode: number): Holding | undefined {
    for (const [i, [pid, { lastDescriptor }]] of this.#recent.recent().entries()) {
      const beside = i < MAX_BUSY_PROCESSES ? [lastDescriptor + 1] : [];
      for (const descriptor of [lastDescriptor, ...beside])
        if (this.#proc.probeSocketInode(pid, descriptor) === inode) return { pid, descriptor };
    }
    return undefined;
  }

  #livingRecent(): number[] {
    return this.#recent.recent().flatMap(([pid, { startTimeTicks }]) => {
      if (this.#isLiving({ pid, startTimeTicks })) return [pid];
      this.#recent.delete(pid);
      return [];
    });
  }

  /**
   * The eldest ancestor of the same program with this socket under this number, then other programs above it that have it
   * there, too. Empty where the holder has ended. A parent whose executable cannot be read is not a better answer.
   */
  #line(inode: number, { pid, descriptor }: Holding): SocketProcess[] {
    const stat = this.#proc.stat(pid);
    if (stat === undefined) return [];
    const line: SocketProcess[] = [{ pid, startTimeTicks: stat.startTimeTicks }];
    let { parentPid } = stat;
    for (let climbed = 0; climbed < MAX_ANCESTORS && parentPid > 1; climbed++) {
      if (this.#proc.probeSocketInode(parentPid, descriptor) !== inode || !this.#mayOwn(parentPid)) break;
      const parent = this.#proc.stat(parentPid);
      if (parent === undefined) break;
      const eldest = { pid: parentPid, startTimeTicks: parent.startTimeTicks };
      const child = line.at(-1);
      if (child !== undefined && this.#isSameProgram(child.pid, parentPid)) line[line.length - 1] = eldest;
      else if (line.length < MAX_HOLDERS) line.push(eldest);
      parentPid = parent.parentPid;
    }
    return line;
  }

  #mayOwn(pid: number): boolean {
    const executable = this.#proc.executable(pid);
    return pid > 1 && executable !== undefined && !isBroker(executable, this.#proc, pid, this.#fileAt);
  }

  /** The same file, not only a path of the same name. */
  #isSameProgram(a: number, b: number): boolean {
    if (this.#proc.executable(a) !== this.#proc.executable(b)) return false;
    const [fileOfA, fileOfB] = [this.#proc.executableFile(a), this.#proc.executableFile(b)];
    return fileOfA !== undefined && fileOfB !== undefined && isSameFile(fileOfA, fileOfB);
  }

  #mayBeInherited(inode: number, process: SocketProcess, matters: (executable: string) => boolean): boolean {
    const { pid, startTimeTicks } = process;
    const executable = this.#proc.executable(pid);
    if (executable === undefined || !matters(executable)) return false;
    const seen = this.#seen.get(pid);
    if (seen?.startTimeTicks === startTimeTicks && seen.executable === executable) return seen.sockets.has(inode);
    const descriptors = this.#proc.descriptors(pid, this.#maxPerProcess) ?? [];
    const sockets = descriptors.flatMap((descriptor) => this.#proc.socketInode(pid, descriptor) ?? []);
    this.#seen.set(pid, { startTimeTicks, executable, sockets: new Set(sockets) });
    return true;
  }

  /** Besides the first of `line`, one for each program. */
  #otherHolders(inode: number, uid: number, line: readonly SocketProcess[]): SocketProcess[] {
    const found = [...line];
    for (const holding of this.#search(inode, MAX_DESCRIPTORS_FOR_OTHERS).holders(uid)) {
      if (found.length >= MAX_HOLDERS) break;
      if (!this.#mayOwn(holding.pid)) continue;
      for (const process of this.#line(inode, holding)) {
        if (!found.some(({ pid }) => pid === process.pid || this.#isSameProgram(pid, process.pid))) found.push(process);
      }
    }
    return found.slice(1);
  }
}
