import { constants } from 'node:os';
import { startsAsInterpreter } from '../../bpf/interpreter-start.ts';
import {
  type CreatorRecord,
  commandNameOf,
  EXECUTABLE_KEY_BYTES,
  type ExecutableKey,
  FILE_ID_BYTES,
  type FileId,
  type FileName,
  fileIdOf,
  type Nobody,
  type ProgramFile,
  type ReleasedSocket,
  USER_RELEASED_MASK,
  type UserReleased,
} from '../../bpf/records.ts';
import {
  afterExec,
  afterFork,
  isInterpreterAlone,
  type KnownFile,
  type Named,
  noteOfSocket,
  type SocketNote,
  type TaskState,
  withNumbers,
  written,
} from '../../bpf/task-state.ts';
import { MARK_FOREIGN, programMark } from '../../plan/reserved.ts';
import { nameAtPath } from '../file-name.ts';
import { KernelError } from '../kernel-error.ts';
import type {
  BoundTask,
  ExecutableProgram,
  NamedFiles,
  ScriptStartsSeen,
  SharedSocketMarks,
  SocketMarkCounts,
  SocketMarks,
  SocketMarksHandle,
  TaskProgram,
  WayBits,
} from '../socket-marks.ts';

const KEY_DIGITS = 2 * EXECUTABLE_KEY_BYTES;
/** The first ones say which file it is. */
const FILE_DIGITS = 2 * FILE_ID_BYTES;
const FIRST_PID = 1000;
const FIRST_COOKIE = 1n;
/** As the kernel keeps them. */
const RELEASED_OF_A_PORT = 2;

/** A process that is pretended. `executable` is what it runs, whatever has become of the path since. */
export interface FakeProcess {
  readonly pid: number;
  readonly startTicks: number;
  readonly executable: ExecutableKey;
  /** Of the file that it runs. */
  readonly name: FileName;
  readonly uid: number;
  readonly gid: number;
  readonly cgroupId: bigint;
  readonly command: string;
}

export interface FakeProcessOptions {
  readonly uid?: number;
  readonly gid?: number;
  readonly cgroupId?: bigint;
  readonly command?: string;
}

export interface FakeSocket {
  readonly cookie: bigint;
  readonly mark: number;
}

export interface FakeClosing {
  readonly protocol: number;
  readonly port: number;
  readonly atNs?: bigint;
  readonly remotePort?: number;
}

export interface FakeSocketMarksOptions {
  /** Set where the kernel refuses to tell what processes start. */
  readonly inheritanceRefusal?: KernelError;
  /** Set where files and what processes run are kept elsewhere: then they are not made here. */
  readonly files?: FakeFiles;
  /** Processes that may be written down as children and scripts; any number unless stated. */
  readonly maxTasks?: number;
}

/** Keys as they are now: that of a running file changes when it is linked or renamed. */
export interface FakeFiles {
  programFile(path: string): ProgramFile | undefined;
  fileOf(pid: number): RunningFile | undefined;
}

export interface RunningFile extends ProgramFile {
  /** How many names it has. */
  readonly links: number;
}

interface Task {
  readonly startTicks: number;
  readonly state: TaskState;
}

/** A kernel in memory that marks sockets of pretended processes: it does what `bpf/task-state.ts` says, as the real one. */
export class FakeSocketMarks implements SocketMarks {
  readonly inheritanceRefusal: KernelError | undefined;
  readonly #kept: FakeFiles | undefined;
  readonly #maxTasks: number;
  readonly #files = new Map<string, ProgramFile>();
  /** Paths that are names of their files, and no symbolic links. */
  readonly #names = new Set<string>();
  readonly #processes = new Map<number, FakeProcess>();
  readonly #executables = new Map<ExecutableKey, ExecutableProgram>();
  readonly #tasks = new Map<number, Task>();
  readonly #cgroups = new Map<bigint, number>();
  readonly #creators = new Map<bigint, CreatorRecord>();
  readonly #strangers = new Map<ExecutableKey, CreatorRecord>();
  readonly #released = new Map<string, readonly ReleasedSocket[]>();
  readonly #releasedBy = new Map<string, UserReleased>();
  #ways: ReadonlyMap<number, WayBits> = new Map();
  #named: NamedFiles = { names: new Map(), files: new Map() };
  #nobody: Nobody | undefined;
  #cgroupEpoch = 0;
  #counts: SocketMarkCounts = { marked: 0, unmarked: 0, foreign: 0, tasksLost: 0 };
  #isKept = false;
  #scriptStarts: ScriptStartsSeen = 'not named';
  /** Its whole life is a moment: none of its interpreters is so old that its script has been seen for certain. */
  readonly #nowNs = 1n;
  #lastFile = 0;
  #nextPid = FIRST_PID;
  #clockTicks = 0;
  #nextCookie = FIRST_COOKIE;

  constructor(options: FakeSocketMarksOptions = {}) {
    this.inheritanceRefusal = options.inheritanceRefusal;
    this.#kept = options.files;
    this.#maxTasks = options.maxTasks ?? Number.POSITIVE_INFINITY;
  }

  /** A new file at the path, in the place of any other. */
  writeFile(path: string): ExecutableKey {
    this.#lastFile += 1;
    // The one cast: nothing else makes keys here.
    const key = this.#lastFile.toString(16).padStart(FILE_DIGITS, '0').padEnd(KEY_DIGITS, '0') as ExecutableKey;
    this.#files.set(path, { key, name: nameAtPath(path) });
    this.#names.add(path);
    return key;
  }

  /** A hard link: another name for the file. */
  linkFile(path: string, existing: string): void {
    this.#files.set(path, { ...this.#fileAt(existing), name: nameAtPath(path) });
    this.#names.add(path);
  }

  /** A symbolic link, as if it led for ever to what is there now. */
  pointTo(path: string, existing: string): void {
    this.#files.set(path, this.#fileAt(existing));
    this.#names.delete(path);
  }

  removeFile(path: string): void {
    this.#files.delete(path);
    this.#names.delete(path);
  }

  /** A process that was started by nobody we know, and that runs the file at the path. */
  start(path: string, options: FakeProcessOptions = {}): FakeProcess {
    const { uid = 0, gid = 0, cgroupId = 1n, command = path.slice(path.lastIndexOf('/') + 1) } = options;
    const started = this.#addProcess({ uid, gid, cgroupId, command, ...this.#runs(path) });
    this.#afterExec(started);
    return started;
  }

  fork(parent: FakeProcess): FakeProcess {
    const { pid: _, startTicks: __, ...same } = this.#living(parent);
    const child = this.#addProcess(same);
    const state = afterFork(this.#stateOf(parent));
    if (state !== undefined && this.inheritance) this.#keepTask(child, state);
    return child;
  }

  /** The same process, with another program. */
  exec(process: FakeProcess, path: string): FakeProcess {
    const changed = { ...this.#living(process), ...this.#runs(path), command: path.slice(path.lastIndexOf('/') + 1) };
    this.#processes.set(process.pid, changed);
    this.#afterExec(changed);
    return changed;
  }

  end(process: FakeProcess): void {
    this.#processes.delete(process.pid);
    if (this.inheritance) this.#tasks.delete(process.pid);
  }

  /** `markedBefore`: what somebody else has written into the mark already. */
  makeSocket(process: FakeProcess, family: 4 | 6, markedBefore = 0): FakeSocket {
    const living = this.#living(process);
    const { pid, startTicks, executable, uid, gid, cgroupId, command } = living;
    const note = this.#noteOf(living);
    const { number } = note;
    const cookie = this.#nextCookie;
    this.#nextCookie += 1n;
    const creator: CreatorRecord = {
      ...{ pid, startTicks, executable, uid, gid, cgroupId, cgroupIds: [cgroupId], command },
      ...note,
    };
    this.#creators.set(cookie, creator);
    if (number === 0) this.#strangers.set(executable, creator);
    const mark = this.#markOf(number, family, markedBefore);
    return { cookie, mark };
  }

  closeSocket(
    { cookie }: Pick<FakeSocket, 'cookie'>,
    { protocol, port, atNs = 0n, remotePort = 0 }: FakeClosing,
  ): void {
    const before = this.released(protocol, port);
    this.#released.set(`${protocol} ${port}`, [{ cookie, atNs, remotePort }, ...before].slice(0, RELEASED_OF_A_PORT));
    const creator = this.#creators.get(cookie);
    if (creator === undefined) return;
    const last = { cookie, atNs, remotePort, protocol, port, creator };
    this.#releasedBy.set(`${creator.uid} ${port & USER_RELEASED_MASK}`, last);
  }

  get inheritance(): boolean {
    return this.inheritanceRefusal === undefined;
  }

  programFile(path: string): ProgramFile | undefined {
    return this.#kept === undefined ? this.#files.get(path) : this.#kept.programFile(path);
  }

  keyOfFile(path: string): ExecutableKey | undefined {
    return this.programFile(path)?.key;
  }

  setExecutable(key: ExecutableKey, program: ExecutableProgram): void {
    this.#executables.set(key, program);
  }

  forgetExecutable(key: ExecutableKey): void {
    this.#executables.delete(key);
  }

  takeStrangers(): readonly CreatorRecord[] {
    const taken = [...this.#strangers.values()];
    this.#strangers.clear();
    return taken;
  }

  executables(): ReadonlyMap<ExecutableKey, number> {
    return new Map([...this.#executables].map(([key, { number }]) => [key, number]));
  }

  setWays(ways: ReadonlyMap<number, WayBits>): void {
    this.#ways = new Map(ways);
  }

  ways(): ReadonlyMap<number, WayBits> | undefined {
    return this.#ways;
  }

  programOf(key: ExecutableKey): number | undefined {
    const program = this.#executables.get(key);
    return program?.former === true ? undefined : program?.number;
  }

  programOfFile(id: FileId): number | undefined {
    return this.#named.numbers?.get(id);
  }

  keepStarted(numbers: ReadonlySet<number>): void {
    for (const [pid, { startTicks, state: before }] of this.#tasks) {
      const state = withNumbers(before, numbers);
      if (state === undefined) this.#tasks.delete(pid);
      else this.#tasks.set(pid, { startTicks, state });
    }
  }

  numberOf(file: ProgramFile): number | undefined {
    const number = this.programOf(file.key);
    if (number !== undefined) return number;
    const { names, files } = this.#named;
    return names.has(file.name) || files.has(fileIdOf(file.key)) ? undefined : this.#nobody?.number;
  }

  bindTask(pid: number, startTicks: number, task: BoundTask): void {
    const process = { pid, startTicks };
    if (!this.inheritance || this.#keepTask(process, written(this.#stateOf(process), task))) return;
    throw new KernelError('update BPF map', constants.errno.E2BIG, 'E2BIG', 'pm_tasks', 'no room for another process');
  }

  unbindTask(pid: number): void {
    this.#tasks.delete(pid);
  }

  taskOf(pid: number, startTicks: number): TaskProgram | undefined {
    const state = this.#stateOf({ pid, startTicks });
    if (state === undefined || isInterpreterAlone(state)) return undefined;
    const { interpreterNs: _, ...program } = state;
    return program;
  }

  setNamed({ names, files, byLink = new Set(), numbers = new Map() }: NamedFiles): void {
    this.#named = { names: new Map(names), files: new Map(files), byLink: new Set(byLink), numbers: new Map(numbers) };
  }

  setNobody(nobody: Nobody | undefined): void {
    this.#nobody = nobody;
  }

  setCgroupEpoch(epoch: number): void {
    this.#cgroupEpoch = epoch;
  }

  addCgroup(id: bigint, epoch: number): void {
    this.#cgroups.set(id, epoch);
  }

  creatorOf(cookie: bigint): CreatorRecord | undefined {
    return this.#creators.get(cookie);
  }

  releasedBy(uid: number, protocol: number, port: number): UserReleased | undefined {
    const last = this.#releasedBy.get(`${uid} ${port & USER_RELEASED_MASK}`);
    return last?.protocol === protocol && last.port === port ? last : undefined;
  }

  released(protocol: number, port: number): readonly ReleasedSocket[] {
    return this.#released.get(`${protocol} ${port}`) ?? [];
  }

  counts(): SocketMarkCounts {
    return this.#counts;
  }

  get handle(): SocketMarksHandle {
    return { maps: {}, inheritance: this.inheritance };
  }

  /** As another thread has it. */
  borrow(): SharedSocketMarks {
    return this;
  }

  /** Whether it would outlive its process. */
  get isKept(): boolean {
    return this.#isKept;
  }

  keep(): void {
    this.#isKept = true;
  }

  /** The last word about them. */
  get scriptStarts(): ScriptStartsSeen {
    return this.#scriptStarts;
  }

  setScriptStarts(starts: ScriptStartsSeen): void {
    this.#scriptStarts = starts;
  }

  [Symbol.dispose](): void {}

  #fileAt(path: string): ProgramFile {
    const file = this.programFile(path);
    if (file === undefined) throw new Error(`the fake has no file ${path}`);
    return file;
  }

  #runs(path: string): Pick<FakeProcess, 'executable' | 'name'> {
    const { key, name } = this.#fileAt(path);
    return { executable: key, name };
  }

  #addProcess(process: Omit<FakeProcess, 'pid' | 'startTicks'>): FakeProcess {
    const added = { ...process, pid: this.#nextPid, startTicks: this.#clockTicks };
    this.#nextPid += 1;
    this.#clockTicks += 1;
    this.#processes.set(added.pid, added);
    return added;
  }

  #living({ pid }: FakeProcess): FakeProcess {
    const process = this.#processes.get(pid);
    if (process === undefined) throw new Error(`process ${pid} of the fake has ended`);
    const file = this.#kept?.fileOf(pid);
    return file === undefined ? process : { ...process, executable: file.key, name: file.name };
  }

  /** Whether there was room. */
  #keepTask({ pid, startTicks }: Pick<FakeProcess, 'pid' | 'startTicks'>, state: TaskState): boolean {
    const isKept = this.#tasks.has(pid) || this.#tasks.size < this.#maxTasks;
    if (isKept) this.#tasks.set(pid, { startTicks, state });
    else this.#counts = { ...this.#counts, tasksLost: this.#counts.tasksLost + 1 };
    return isKept;
  }

  #stateOf({ pid, startTicks }: Pick<FakeProcess, 'pid' | 'startTicks'>): TaskState | undefined {
    const task = this.#tasks.get(pid);
    return task?.startTicks === startTicks ? task.state : undefined;
  }

  #afterExec(process: FakeProcess): void {
    if (!this.inheritance) return;
    const isInterpreter = this.#scriptStarts !== 'not named' && startsAsInterpreter(process.name);
    const state = afterExec(this.#stateOf(process), {
      ...this.#knownFile(process),
      called: this.#namedAs(commandNameOf(process.command as FileName)),
      interpreterNs: isInterpreter ? this.#nowNs : undefined,
    });
    if (state !== undefined) this.#keepTask(process, state);
    else if (this.#stateOf(process) !== undefined) this.#tasks.delete(process.pid);
  }

  #knownFile({ executable, name }: FakeProcess): KnownFile {
    const hasFamily = this.#named.files.get(fileIdOf(executable));
    return {
      program: this.#executables.get(executable),
      file: hasFamily === undefined ? undefined : { hasFamily, byLink: false },
      name: this.#namedAs(name),
    };
  }

  #namedAs(name: FileName): Named | undefined {
    const hasFamily = this.#named.names.get(name);
    return hasFamily === undefined ? undefined : { hasFamily, byLink: this.#named.byLink?.has(name) === true };
  }

  #linksOf({ pid, executable }: FakeProcess): number {
    const kept = this.#kept?.fileOf(pid);
    if (kept !== undefined) return kept.links;
    return [...this.#names].filter((path) => this.#files.get(path)?.key === executable).length;
  }

  #noteOf(process: FakeProcess): SocketNote {
    const { pid, cgroupId } = process;
    const isSeen = this.#scriptStarts === 'seen';
    return noteOfSocket(
      {
        ...this.#knownFile(process),
        task: this.#stateOf(process),
        links: this.#linksOf(process),
        isCalledInterpreter: startsAsInterpreter(process.name),
        isInit: pid === 1,
        isCgroupKnown: this.#cgroups.get(cgroupId) === this.#cgroupEpoch,
      },
      {
        nobody: this.#nobody,
        scripts: this.#scriptStarts === 'not named' ? undefined : { seen: isSeen, seenBeforeNs: 0n, daemonPid: 0 },
        areTasksLost: this.#counts.tasksLost > 0,
      },
    );
  }

  #markOf(number: number, family: 4 | 6, markedBefore: number): number {
    const isForeign = (markedBefore & ~MARK_FOREIGN) !== 0;
    const outcome = number === 0 ? 'unmarked' : isForeign ? 'foreign' : 'marked';
    this.#counts = { ...this.#counts, [outcome]: this.#counts[outcome] + 1 };
    if (outcome !== 'marked') return markedBefore;
    const ways = this.#ways.get(number);
    const way = family === 4 ? ways?.v4 : ways?.v6;
    return (markedBefore | programMark(number) | (way ?? 0)) >>> 0;
  }
}
