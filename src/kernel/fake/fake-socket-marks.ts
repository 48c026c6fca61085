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
} from '../../bpf/records.ts';
import { MARK_FOREIGN, PROGRAM_NONE_FIRST, programMark } from '../../plan/reserved.ts';
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
  fileOf(pid: number): ProgramFile | undefined;
}

interface Task extends BoundTask {
  readonly startTicks: number;
}

/** A kernel in memory that marks sockets of pretended processes, by the rules of the real one. */
export class FakeSocketMarks implements SocketMarks {
  readonly inheritanceRefusal: KernelError | undefined;
  readonly #kept: FakeFiles | undefined;
  readonly #maxTasks: number;
  readonly #files = new Map<string, ProgramFile>();
  readonly #processes = new Map<number, FakeProcess>();
  readonly #executables = new Map<ExecutableKey, ExecutableProgram>();
  readonly #tasks = new Map<number, Task>();
  readonly #cgroups = new Map<bigint, number>();
  readonly #creators = new Map<bigint, CreatorRecord>();
  readonly #strangers = new Map<ExecutableKey, CreatorRecord>();
  readonly #released = new Map<string, readonly ReleasedSocket[]>();
  #ways: ReadonlyMap<number, WayBits> = new Map();
  #named: NamedFiles = { names: new Map(), files: new Map() };
  #nobody: Nobody | undefined;
  #cgroupEpoch = 0;
  #counts: SocketMarkCounts = { marked: 0, unmarked: 0, foreign: 0, tasksLost: 0 };
  #isKept = false;
  #scriptStarts: ScriptStartsSeen = 'not named';
  /** Processes that run an interpreter since policies name scripts. */
  readonly #interpreters = new Set<number>();
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
    return key;
  }

  /** A hard link: another name for the file. */
  linkFile(path: string, existing: string): void {
    this.#files.set(path, { ...this.#fileAt(existing), name: nameAtPath(path) });
  }

  /** A symbolic link, as if it led for ever to what is there now. */
  pointTo(path: string, existing: string): void {
    this.#files.set(path, this.#fileAt(existing));
  }

  removeFile(path: string): void {
    this.#files.delete(path);
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
    const task = this.#validTask(parent);
    if (this.#interpreters.has(parent.pid)) this.#interpreters.add(child.pid);
    if (task !== undefined && this.inheritance) this.#keepTask(child.pid, { ...task, startTicks: child.startTicks });
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
    this.#interpreters.delete(process.pid);
    if (this.inheritance) this.#tasks.delete(process.pid);
  }

  /** `markedBefore`: what somebody else has written into the mark already. */
  makeSocket(process: FakeProcess, family: 4 | 6, markedBefore = 0): FakeSocket {
    const { pid, startTicks, executable, uid, gid, cgroupId, command } = this.#living(process);
    const number = this.#numberOf(process);
    const cookie = this.#nextCookie;
    this.#nextCookie += 1n;
    const creator: CreatorRecord = {
      ...{ pid, startTicks, executable, number, uid, gid, cgroupId, cgroupIds: [cgroupId], command },
      ...(this.#validTask(process)?.childrenNumber === 0 && { mayBeChild: true }),
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
    for (const [pid, task] of this.#tasks) {
      const { started, ...rest } = task;
      if (started === undefined || task.number === 0 || numbers.has(task.number)) continue;
      if (task.childrenNumber === undefined) this.#tasks.delete(pid);
      else this.#tasks.set(pid, { ...rest, number: task.childrenNumber });
    }
  }

  numberOf(file: ProgramFile): number | undefined {
    const number = this.programOf(file.key) ?? this.#nobodyOf(file);
    return number === 0 ? undefined : number;
  }

  bindTask(pid: number, startTicks: number, task: BoundTask): void {
    if (!this.inheritance || this.#keepTask(pid, { ...task, startTicks })) return;
    throw new KernelError('update BPF map', constants.errno.E2BIG, 'E2BIG', 'pm_tasks', 'no room for another process');
  }

  unbindTask(pid: number): void {
    this.#tasks.delete(pid);
  }

  taskOf(pid: number, startTicks: number): TaskProgram | undefined {
    const task = this.#validTask({ pid, startTicks });
    if (task === undefined) return undefined;
    const { startTicks: _, ...program } = task;
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
  #keepTask(pid: number, task: Task): boolean {
    const isKept = this.#tasks.has(pid) || this.#tasks.size < this.#maxTasks;
    if (isKept) this.#tasks.set(pid, task);
    else this.#counts = { ...this.#counts, tasksLost: this.#counts.tasksLost + 1 };
    return isKept;
  }

  #validTask({ pid, startTicks }: Pick<FakeProcess, 'pid' | 'startTicks'>): Task | undefined {
    const task = this.#tasks.get(pid);
    return task?.startTicks === startTicks ? task : undefined;
  }

  #afterExec(process: FakeProcess): void {
    if (!this.inheritance) return;
    const { pid, startTicks } = process;
    if (this.#scriptStarts !== 'not named' && startsAsInterpreter(process.name)) this.#interpreters.add(pid);
    else this.#interpreters.delete(pid);
    const task = this.#validTask(process);
    const isYielding = task?.keeps === true && this.#executables.get(process.executable)?.yields === true;
    const family = isYielding ? undefined : this.#familyBegunBy(process);
    const started = isYielding || family !== undefined ? undefined : this.#startedAs(process);
    const { childrenNumber, keeps } = family ?? task ?? {};
    const kept = {
      ...(childrenNumber !== undefined && { childrenNumber }),
      ...(childrenNumber !== undefined && keeps && { keeps }),
    };
    if (started !== undefined)
      this.#keepTask(pid, { number: started, script: false, started: true, startTicks, ...kept });
    else if (childrenNumber === undefined) this.#tasks.delete(pid);
    else this.#keepTask(pid, { number: childrenNumber, script: false, startTicks, ...kept });
  }

  #familyBegunBy(process: FakeProcess): Pick<Task, 'childrenNumber' | 'keeps'> | undefined {
    const program = this.#executables.get(process.executable);
    const mayBegin = program?.former ? program.childrenNumber !== undefined : this.#mayHaveFamily(process, program);
    if (mayBegin) return { childrenNumber: 0, keeps: true };
    return program?.childrenNumber === undefined ? undefined : program;
  }

  /** The number that it has from its start on; `undefined`: whatever its executable has. */
  #startedAs(process: FakeProcess): number | undefined {
    const program = this.#executables.get(process.executable);
    if (program?.former === true) return 0;
    if (program !== undefined && program.number < PROGRAM_NONE_FIRST) return program.number;
    const { called, own } = this.#namesThatCount(process, program);
    return called !== undefined || (program !== undefined && own !== undefined) ? 0 : undefined;
  }

  #mayHaveFamily(process: FakeProcess, program: ExecutableProgram | undefined): boolean {
    if (program !== undefined && program.number < PROGRAM_NONE_FIRST) return false;
    if (program === undefined && this.#named.files.get(fileIdOf(process.executable)) === true) return true;
    const { called, own } = this.#namesThatCount(process, program);
    return called ?? own ?? false;
  }

  /** Of a file that is known to be nobody's only names to which links lead. */
  #namesThatCount(
    { name, command }: FakeProcess,
    program: ExecutableProgram | undefined,
  ): { readonly called: boolean | undefined; readonly own: boolean | undefined } {
    const { names, byLink } = this.#named;
    const flagOf = (each: FileName): boolean | undefined =>
      program === undefined || byLink?.has(each) === true ? names.get(each) : undefined;
    return { called: flagOf(commandNameOf(command as FileName)), own: flagOf(name) };
  }

  #numberOf(process: FakeProcess): number {
    const living = this.#living(process);
    const known = this.#executables.get(living.executable);
    const executable = known?.number;
    const task = this.#validTask(process);
    if (task?.script) return task.number;
    if (this.#scriptStarts === 'not seen' && this.#interpreters.has(process.pid)) return 0;
    if (task?.started) return task.number;
    if (known?.former === true) return 0;
    if (executable !== undefined && executable < PROGRAM_NONE_FIRST) {
      if (!known?.yields) return executable;
      if (task === undefined) return this.#counts.tasksLost > 0 ? 0 : executable;
      const isOther = task.keeps && task.childrenNumber !== (known.childrenNumber ?? 0);
      return isOther ? task.number : executable;
    }
    if (task !== undefined) return task.number;
    if (this.#counts.tasksLost > 0) return 0;
    const none = living.pid === 1 ? 0 : (executable ?? this.#nobodyOf({ key: living.executable, name: living.name }));
    const isKnown = this.#nobody?.inAnyCgroup === true || this.#cgroups.get(process.cgroupId) === this.#cgroupEpoch;
    return isKnown ? none : 0;
  }

  #nobodyOf({ key, name }: ProgramFile): number {
    const { names, files } = this.#named;
    return names.has(name) || files.has(fileIdOf(key)) ? 0 : (this.#nobody?.number ?? 0);
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
