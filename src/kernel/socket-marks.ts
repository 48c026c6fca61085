/**
 * Marks on sockets from the moment they are made, by the program that makes them. `bpf/linux-socket-marks.ts` has the kernel
 * do it, `fake/fake-socket-marks.ts` does it in memory; `test/contract/socket-marks-contract.ts` is the suite that both pass.
 * Every failure is a KernelError.
 *
 * Only sockets of the network namespace in which it was opened are marked and noted, whatever process makes them. A number
 * is one of a program (`plan/reserved.ts`).
 */
import type {
  CreatorRecord,
  ExecutableKey,
  ExecutableRecord,
  FileId,
  FileName,
  Nobody,
  ProgramFile,
  ReleasedSocket,
  UserReleased,
} from '../bpf/records.ts';
import type { TaskState } from '../bpf/task-state.ts';
import type { KernelError } from './kernel-error.ts';

export type ExecutableProgram = ExecutableRecord;

/** What is known of a process, but for since when it runs an interpreter. */
export type TaskProgram = Omit<TaskState, 'interpreterNs'>;

export type BoundTask = TaskProgram;

/** Bits of the mark, at their place, that say where a socket's packets go: by the socket's address family. */
export interface WayBits {
  readonly v4: number;
  readonly v6: number;
}

/**
 * What may be a file that policies name, although its key has no number: what has such a name, or is such a file. `true`: children of
 * the application count as its own.
 */
export interface NamedFiles {
  readonly names: ReadonlyMap<FileName, boolean>;
  readonly files: ReadonlyMap<FileId, boolean>;
  /** Of the names those to which links lead: what is called so is asked about also where it is known to be nobody's. */
  readonly byLink?: ReadonlySet<FileName>;
  /** The program that a file is, or was. */
  readonly numbers?: ReadonlyMap<FileId, number>;
}

export type ScriptStartsSeen = 'not named' | 'seen' | 'not seen';

export interface SocketMarkCounts {
  /** Sockets that were marked. */
  readonly marked: number;
  /** Sockets without a mark: nobody named what made them. */
  readonly unmarked: number;
  /** Sockets of named programs that had a mark of somebody else's when they were made, and kept it. */
  readonly foreign: number;
  /** Processes that could not be written down as a child or a script: from the first on, what is not known is asked about. */
  readonly tasksLost: number;
}

/** What other threads of the process may do as well. */
export interface SharedSocketMarks {
  /**
   * Whether what processes start inherits from them. Where not, tasks are not bound: a binding would outlive the program.
   */
  readonly inheritance: boolean;
  /**
   * The kernel's own key of the regular file at a path, links followed; also where stat(2) shows other numbers than the
   * kernel has (overlayfs, btrfs). Changes when the file is written, renamed, linked or replaced. `undefined` where there is
   * none, or it cannot be opened.
   */
  keyOfFile(path: string): ExecutableKey | undefined;
  /** The same with the name that the file has there: of its own, not of a link that leads to it. */
  programFile(path: string): ProgramFile | undefined;
  setExecutable(key: ExecutableKey, program: ExecutableProgram): void;
  forgetExecutable(key: ExecutableKey): void;
  /** The number that this executable has: none where it is a former one's. */
  programOf(key: ExecutableKey): number | undefined;
  /** The program that the file is, or was, in whatever state: of `setNamed`. */
  programOfFile(id: FileId): number | undefined;
  /** The number of a program that runs this file, in a cgroup that is known, where no more is known of its process. */
  numberOf(file: ProgramFile): number | undefined;
  /** `startTicks`: field 22 of /proc/PID/stat. Nothing where there is no inheritance. What there is no room for counts as lost (E2BIG). */
  bindTask(pid: number, startTicks: number, task: BoundTask): void;
  unbindTask(pid: number): void;
  taskOf(pid: number, startTicks: number): TaskProgram | undefined;
  /** Of the cgroup it is known in this epoch what policies say. */
  addCgroup(id: bigint, epoch: number): void;
  /** Who made the socket with this cookie (SO_COOKIE, sock_diag): of the youngest ones. */
  creatorOf(cookie: bigint): CreatorRecord | undefined;
  /**
   * The last sockets, of any program, that had this port when they were closed, the latest first, two at most. `port`: the echo identifier
   * of a ping socket, the protocol of a raw one.
   */
  released(protocol: number, port: number): readonly ReleasedSocket[];
  /** The last one that this user has closed there, whatever others do; `undefined` where he has closed one at a port that takes its place. */
  releasedBy(uid: number, protocol: number, port: number): UserReleased | undefined;
  /** Since it was opened. */
  counts(): SocketMarkCounts;
}

export interface SocketMarks extends SharedSocketMarks, Disposable {
  /** Why there is no inheritance. */
  readonly inheritanceRefusal: KernelError | undefined;
  /**
   * Makers of sockets of whose executables nothing was known, one for each executable, since this was last asked: of the
   * youngest ones.
   */
  takeStrangers(): readonly CreatorRecord[];
  /** Of bound processes only those go on being what they were started as whose number is one of these. */
  keepStarted(numbers: ReadonlySet<number>): void;
  /** All that have a number, or had one, read from the kernel: milliseconds for thousands. */
  executables(): ReadonlyMap<ExecutableKey, number>;
  /** Way bits by program number: exactly these from now on, and none for all others. Only what changed is written. */
  setWays(ways: ReadonlyMap<number, WayBits>): void;
  /** What the kernel has by `setWays`; `undefined` where it refused one in the middle. */
  ways(): ReadonlyMap<number, WayBits> | undefined;
  /**
   * Exactly these from now on. Only what changed is written. What starts as one whose children count as its own, without a number, is
   * asked about, and so is all that it starts.
   */
  setNamed(named: NamedFiles): void;
  /**
   * What programs count as, from their first socket on, that have no number, and neither the name nor the file of anything in
   * `setNamed`; `undefined`: nothing is known of them. Process 1 is never such a program.
   */
  setNobody(nobody: Nobody | undefined): void;
  /** The epoch that counts from now on: cgroups added for another one are not known. */
  setCgroupEpoch(epoch: number): void;
  /**
   * Whether policies name scripts, and somebody sees each that starts: to be said again and again while it is so. Where nobody does, and once this
   * process ends, an interpreter that is started, or was a moment before that was said last, has no number.
   */
  setScriptStarts(starts: ScriptStartsSeen): void;
  /**
   * From now on all of it outlives this process, however that ends: sockets go on being marked. Nothing where nobody said where it is to be
   * kept. Throws KernelError: then nothing is kept.
   */
  keep(): void;
  /** For `borrowSocketMarks` in another thread; plain data. Of no use once this is disposed of. */
  readonly handle: SocketMarksHandle;
}

export interface SocketMarksHandle {
  /** Descriptors of the maps, by name. */
  readonly maps: Readonly<Record<string, number>>;
  readonly inheritance: boolean;
}
