/**
 * The owner of a socket from what the kernel noted when it was made: the process, the file it ran, its cgroup. Holds for
 * processes that have ended, too. The file is told by the kernel's own key, so neither a process's mounts nor another file
 * under the same path deceive it.
 */
import {
  type CreatorRecord,
  describeExecutableKey,
  type ExecutableKey,
  fileIdOf,
  isSameExecutable,
  NO_EXECUTABLE,
  parseExecutableKey,
} from '../bpf/records.ts';
import { type FileChange, fileChange, hasOtherNames } from '../kernel/file-identity.ts';
import type { Proc } from '../kernel/proc.ts';
import type { SharedSocketMarks } from '../kernel/socket-marks.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { Flow } from '../net/flow.ts';
import type { ProcessOwner, SingleOwner } from '../policy/identity.ts';
import { isUserModeNetwork } from '../policy/user-mode-networks.ts';
import { BoundedMap } from './bounded-map.ts';
import { ExecutableFiles } from './executable-files.ts';
import { isInterpreter } from './interpreter.ts';
import { NamedFiles } from './named-files.ts';
import type { PolicyNames } from './policy-names.ts';
import type { ProcessReader } from './process-reader.ts';
import { type FormerSocket, isReleasedSince, releasedSockets } from './released-sockets.ts';
import { isBroker } from './socket-broker.ts';
import type { SocketOwner } from './socket-owner.ts';

/** Files of which it is remembered what they are called. */
export const MAX_KEYS_REMEMBERED = 8192;

export type CreatorMarks = Pick<
  SharedSocketMarks,
  'counts' | 'creatorOf' | 'keyOfFile' | 'programOf' | 'programOfFile' | 'released' | 'releasedBy'
>;

export interface CreatorSources {
  readonly marks: CreatorMarks;
  readonly proc: Proc;
  readonly reader: ProcessReader;
  /** Shared with whoever finds holders; its own unless stated. */
  readonly executables?: ExecutableFiles;
  readonly monotonicMs?: () => number;
}

/** What policies call a file; no `path`: nothing. `formerly`: what they called it while it was there. */
interface Naming {
  readonly path?: string;
  readonly formerly?: string;
  /** A link may come to lead to it without it being touched. */
  readonly mayChange?: true;
}

/** `link`: what a process that ran the same file called it, where that is known. */
const mayBeInterpreter = ({ isNoInterpreter }: CreatorRecord, link: string | undefined): boolean =>
  link === undefined ? isNoInterpreter !== true : isInterpreter(link);

const UNNAMED: Naming = {};
const UNNAMED_YET: Naming = { mayChange: true };

/** A process that runs the very file; `link`: what it calls it. */
interface Running {
  readonly pid: number;
  readonly link: string;
}

/** Who used a file: `link` and `called` are what a process that ran it called it, and was called. */
interface Use {
  readonly running: Running | undefined;
  readonly link: string | undefined;
  readonly called: readonly string[];
}

/** stat(2) shows what the key holds, but on file systems with numbers of their own: then it has to be asked for. */
function isChangedAsKey(change: FileChange | undefined, key: ExecutableKey): boolean {
  if (change === undefined) return false;
  const { inode, changeSeconds, changeNanoseconds } = describeExecutableKey(key);
  return change.inode === inode && change.changedNs === changeSeconds * 1_000_000_000n + BigInt(changeNanoseconds);
}

/** Remembers answers, so one for each thread that asks. */
export class CreatorOwners {
  readonly #sources: CreatorSources;
  readonly #named = new BoundedMap<ExecutableKey, Naming>(MAX_KEYS_REMEMBERED);
  /** What a process that ran it called it. */
  readonly #links = new BoundedMap<ExecutableKey, string>(MAX_KEYS_REMEMBERED);
  #names: PolicyNames | undefined;
  readonly #files: NamedFiles;
  readonly #executables: ExecutableFiles;

  constructor(sources: CreatorSources) {
    this.#sources = sources;
    this.#executables = sources.executables ?? new ExecutableFiles(sources.proc);
    this.#files = new NamedFiles(sources.monotonicMs);
  }

  /** `undefined`: nothing was noted, or its creator opens sockets for others, so that those who hold it have to be asked. */
  ownerOf(socket: SocketOwner, names: PolicyNames): SingleOwner | undefined {
    const { cookie } = socket;
    const creator = (cookie === undefined ? undefined : this.#sources.marks.creatorOf(cookie)) ?? socket.creator;
    if (creator === undefined || creator.executable === NO_EXECUTABLE) return undefined;
    if (names !== this.#names) this.#forgetNames(names);
    return this.#describe(creator, socket, names);
  }

  /** Whether the kernel has noted who made it, as it does for every program. */
  isNoted({ cookie }: SocketOwner): boolean {
    return cookie !== undefined && this.#sources.marks.creatorOf(cookie) !== undefined;
  }

  /** Sockets that may have sent this flow of that user, and were closed since then. */
  released(flow: Flow, sinceMs: MonotonicMs, uid: number): readonly FormerSocket[] {
    return releasedSockets(this.#sources.marks, flow, uid).filter((socket) => isReleasedSince(socket, sinceMs));
  }

  /** Whether the kernel had no room to write down whose child a process is: then it says nothing of those that it lacks. */
  get hasLostFamilies(): boolean {
    return this.#sources.marks.counts().tasksLost > 0;
  }

  /**
   * An owner of `ownerOf` after its packet has been answered: where it turns out that the process has ended, or runs another
   * program by then, what that one is called is taken back. Nothing that policies look at changes.
   */
  confirm(owner: ProcessOwner): ProcessOwner {
    const key = parseExecutableKey(owner.executableKey ?? '');
    if (owner.foundBy !== 'creator' || key === undefined) return owner;
    const now = this.#sources.proc.executable(owner.pid);
    if (now !== undefined && this.#runs(owner.pid, now, key)) return owner;
    const { executable, executableUnproven, ...known } = owner;
    const link = executableUnproven === true ? this.#links.get(key) : executable;
    return {
      ...known,
      foundBy: 'former creator',
      ...(link !== undefined && { executable: link }),
      ...(link !== undefined && executableUnproven === true && { executableUnproven }),
    };
  }

  /** Files may be named now that were not, and the other way round. */
  #forgetNames(names: PolicyNames): void {
    for (const [key] of this.#named.recent()) this.#named.delete(key);
    this.#names = names;
    this.#files.forget();
  }

  #describe(creator: CreatorRecord, socket: SocketOwner, names: PolicyNames): SingleOwner | undefined {
    const { proc } = this.#sources;
    const { pid, executable: key } = creator;
    const running = this.#running(creator, names);
    const isSame = running !== undefined;
    // By what it called itself, where nobody can say more: that name makes it stricter, and nothing else.
    const serves = isUserModeNetwork(creator.command) ? creator.command : undefined;
    const link = running?.link ?? this.#links.get(key) ?? serves;
    if (pid === 1 || (link !== undefined && isBroker(link, proc, pid))) return undefined;
    const known = { uid: socket.uid, gid: creator.gid, ...this.#cgroupOf(creator, isSame) };
    const program = names.programOf(creator.number);
    const called = [link, creator.command].filter((name) => name !== undefined);
    const naming =
      program?.kind === 'exec' ? { path: program.path } : this.#naming(key, { link, running, called }, names);
    if (naming === undefined && program === undefined && serves === undefined) {
      const became = proc.stat(pid)?.startTimeTicks === creator.startTicks ? 'runs another program' : 'has ended';
      const because = `its process ${became}, and its executable is not known`;
      return { kind: 'unknown', because, ...known, command: creator.command };
    }
    const path = naming?.path;
    const executable = path ?? link;
    const mayHaveRunScript =
      program === undefined &&
      names.scripts.size > 0 &&
      (creator.mayRunScript === true || (!isSame && mayBeInterpreter(creator, link)));
    return {
      kind: 'process',
      pid,
      ...known,
      foundBy: isSame ? 'creator' : 'former creator',
      executableKey: key,
      ...(executable !== undefined && { executable }),
      // A file that policies call something else, or nothing: what its process calls it proves nothing.
      ...(executable !== undefined && executable !== path && { executableUnproven: true }),
      ...(naming?.formerly !== undefined && { formerly: naming.formerly }),
      ...(program?.kind === 'script' && { script: program.path }),
      ...(program?.kind === 'children' && { childOf: program.app }),
      ...(mayHaveRunScript && { mayHaveRunScript }),
      ...(creator.mayBeChild && program === undefined && { mayBeChild: true }),
      ...(!isSame && { command: creator.command }),
      ...(socket.accepted && { accepted: true }),
    };
  }

  #cgroupOf({ pid, cgroupId, cgroupIds }: CreatorRecord, isSame: boolean): Pick<ProcessOwner, 'cgroup' | 'cgroupGone'> {
    const { reader } = this.#sources;
    // Deeper than what is noted, or the root.
    const isAllNoted = cgroupIds.at(-1) === cgroupId;
    const found = isAllNoted && !reader.remembersCgroup(cgroupId) ? reader.cgroupWithIds(cgroupIds) : undefined;
    if (found !== undefined) return { cgroup: found.path, ...(found.isGone && { cgroupGone: true }) };
    const cgroup = isSame ? reader.cgroup(pid, cgroupId) : reader.cgroupOfSocket(cgroupId);
    const isKnown = reader.remembersCgroup(cgroupId) || cgroup === undefined;
    const above = isKnown ? undefined : reader.cgroupWithIds(cgroupIds);
    if (above !== undefined) return { cgroup: above.path, cgroupGone: true };
    return cgroup === undefined ? {} : { cgroup };
  }

  /**
   * `undefined` where the process has ended, or runs another program by now: then its links tell nothing about this socket.
   * Where nothing in the policies depends on that, the packet does not wait for the proof: see `confirm`.
   */
  #running({ pid, startTicks, cgroupId, executable: key }: CreatorRecord, names: PolicyNames): Running | undefined {
    const { proc, reader } = this.#sources;
    const link = pid > 0 ? proc.executable(pid) : undefined;
    if (link === undefined) return undefined;
    const mayRunScript = names.scripts.size > 0 && isInterpreter(link);
    const isSpokenOf = mayRunScript || names.anyChildren || names.hasExecutable(link);
    if (!isSpokenOf && reader.remembersCgroup(cgroupId)) return { pid, link };
    const isSame = this.#runs(pid, link, key) && proc.stat(pid)?.startTimeTicks === startTicks;
    return isSame ? { pid, link } : undefined;
  }

  #runs(pid: number, link: string, key: ExecutableKey): boolean {
    if (this.#links.get(key) === link) return true;
    const path = this.#sources.proc.executableLink(pid);
    if (!isChangedAsKey(fileChange(path), key) && this.#sources.marks.keyOfFile(path) !== key) return false;
    this.#links.set(key, link);
    return true;
  }

  /** `undefined` where it cannot be told now. */
  #naming(key: ExecutableKey, use: Use, names: PolicyNames): Naming | undefined {
    const number = this.#sources.marks.programOf(key);
    const program = number === undefined ? undefined : names.programOf(number);
    if (program?.kind === 'exec') return { path: program.path };
    const known = this.#named.get(key);
    if (known !== undefined && (known.mayChange !== true || use.running === undefined)) return known;
    const naming = this.#wasNamed(use.running, names) ?? this.#look(key, use, names);
    if (naming !== undefined) this.#named.set(key, naming);
    // A link to a named file that was made just now: as good as a copy of it.
    return naming ?? this.#formerly(key, names) ?? (use.running === undefined ? undefined : UNNAMED);
  }

  /** The file was a named one's, in this state or another. */
  #formerly(key: ExecutableKey, names: PolicyNames): Naming | undefined {
    const number = this.#sources.marks.programOfFile(fileIdOf(key));
    const program = number === undefined ? undefined : names.programOf(number);
    return program?.kind === 'exec' ? { formerly: program.path, mayChange: true } : undefined;
  }

  /** A file that was replaced or removed while it runs has another key since: it lost a link. */
  #wasNamed(running: Running | undefined, names: PolicyNames): Naming | undefined {
    const { proc } = this.#sources;
    if (running === undefined || !names.hasExecutable(running.link) || !proc.isExecutableDeleted(running.pid))
      return undefined;
    const path = this.#executables.namedPathOf(running.pid, running.link, names);
    return path === undefined ? undefined : { path };
  }

  #look(key: ExecutableKey, { link, running, called }: Use, names: PolicyNames): Naming | undefined {
    // It may have been touched since: it is the same file all the same.
    const isAt = (path: string): boolean => {
      const now = this.#sources.marks.keyOfFile(names.placeOf(path));
      return now !== undefined && isSameExecutable(now, key);
    };
    if (link !== undefined && names.hasExecutable(link) && isAt(link)) return { path: link };
    const { inode } = describeExecutableKey(key);
    // What has several names may have come under a named path without being renamed.
    const hasLinks = running !== undefined && hasOtherNames(this.#sources.proc.executableLink(running.pid));
    // Of one that has ended nobody can look again when its next packet comes: it may have sent its only one.
    const hasEnded = running === undefined;
    const { paths, isNow, hasNamesake } = this.#files.withInode(inode, names, { called, hasLinks, hasEnded });
    const path = paths.find(isAt);
    if (path !== undefined) return { path };
    const unnamed = hasNamesake ? UNNAMED_YET : UNNAMED;
    return this.#formerly(key, names) ?? (isNow ? unnamed : undefined);
  }
}
