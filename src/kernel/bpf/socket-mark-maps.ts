/** The maps behind SocketMarks, and all that needs nothing but them: any thread of the process can do it. */
import {
  COUNTER_FOREIGN,
  COUNTER_MARKED,
  COUNTER_TASKS_LOST,
  COUNTER_UNMARKED,
  MAPS,
  type MapName,
} from '../../bpf/maps.ts';
import {
  type CreatorRecord,
  decodeConfig,
  decodeCreatorRecord,
  decodeExecutableRecord,
  decodeFileRecord,
  decodeReleasedRecord,
  decodeTaskRecord,
  decodeU64,
  decodeUserReleasedRecord,
  type ExecutableKey,
  encodeExecutableKey,
  encodeExecutableRecord,
  encodeFileId,
  encodeFileName,
  encodeReleasedKey,
  encodeTaskRecord,
  encodeU32,
  encodeU64,
  encodeUserReleasedKey,
  type FileId,
  fileIdOf,
  type ProgramFile,
  type ReleasedSocket,
  type TaskRecord,
  type UserReleased,
} from '../../bpf/records.ts';
import { isInterpreterAlone, written } from '../../bpf/task-state.ts';
import { KernelError } from '../kernel-error.ts';
import type {
  BoundTask,
  ExecutableProgram,
  SharedSocketMarks,
  SocketMarkCounts,
  SocketMarksHandle,
  TaskProgram,
} from '../socket-marks.ts';
import { BpfMap } from './bpf-map.ts';
import { ProgramFiles, sayHello } from './program-files.ts';

export type SocketMarkMaps = Readonly<Record<MapName, BpfMap>>;

const MAP_NAMES = Object.keys(MAPS) as MapName[];

/** Throws KernelError; nothing is left then. */
export function createMaps({ maxTasks }: { readonly maxTasks?: number } = {}): SocketMarkMaps {
  const created: [MapName, BpfMap][] = [];
  try {
    for (const name of MAP_NAMES) {
      const description = MAPS[name];
      const isBounded = name === 'tasks' && maxTasks !== undefined;
      created.push([name, BpfMap.create(isBounded ? { ...description, maxEntries: maxTasks } : description)]);
    }
  } catch (error) {
    for (const [, map] of created) map[Symbol.dispose]();
    throw error;
  }
  return Object.fromEntries(created) as SocketMarkMaps;
}

export function closeMaps(maps: SocketMarkMaps): void {
  for (const name of MAP_NAMES) maps[name][Symbol.dispose]();
}

/** Descriptors by name. */
export function descriptorsOf(maps: SocketMarkMaps): Readonly<Record<MapName, number>> {
  return Object.fromEntries(MAP_NAMES.map((name) => [name, maps[name].fd])) as Record<MapName, number>;
}

/**
 * What another thread of this process opened, for the calling thread. It owns nothing: there is nothing to close. Throws
 * KernelError.
 */
export function borrowSocketMarks(handle: SocketMarksHandle): SharedSocketMarks {
  const borrowed = MAP_NAMES.map((name) => {
    const fd = handle.maps[name];
    if (fd === undefined) throw new KernelError('borrow socket marks', 0, '', name, 'the handle lacks this map');
    return [name, BpfMap.borrow(fd, MAPS[name])];
  });
  const maps = Object.fromEntries(borrowed) as SocketMarkMaps;
  return new MappedSocketMarks(maps, new ProgramFiles(maps, sayHello(maps.hello).task), handle.inheritance);
}

export class MappedSocketMarks implements SharedSocketMarks {
  readonly inheritance: boolean;
  protected readonly maps: SocketMarkMaps;
  readonly #programFiles: ProgramFiles;

  constructor(maps: SocketMarkMaps, programFiles: ProgramFiles, inheritance: boolean) {
    this.maps = maps;
    this.#programFiles = programFiles;
    this.inheritance = inheritance;
  }

  programFile(path: string): ProgramFile | undefined {
    return this.#programFiles.at(path);
  }

  keyOfFile(path: string): ExecutableKey | undefined {
    return this.programFile(path)?.key;
  }

  setExecutable(key: ExecutableKey, program: ExecutableProgram): void {
    this.maps.executables.update(encodeExecutableKey(key), encodeExecutableRecord(program));
  }

  forgetExecutable(key: ExecutableKey): void {
    this.maps.executables.delete(encodeExecutableKey(key));
  }

  programOf(key: ExecutableKey): number | undefined {
    const bytes = this.maps.executables.lookup(encodeExecutableKey(key));
    const record = bytes && decodeExecutableRecord(bytes);
    return record?.former === true ? undefined : record?.number;
  }

  programOfFile(id: FileId): number | undefined {
    const bytes = this.maps.files.lookup(encodeFileId(id));
    const number = bytes === undefined ? 0 : decodeFileRecord(bytes).number;
    return number === 0 ? undefined : number;
  }

  numberOf(file: ProgramFile): number | undefined {
    const number = this.programOf(file.key);
    if (number !== undefined) return number;
    const config = this.maps.config.lookup(encodeU32(0));
    const nobody = config && decodeConfig(config).nobody?.number;
    const mayBeNamed =
      this.maps.names.lookup(encodeFileName(file.name)) ?? this.maps.files.lookup(encodeFileId(fileIdOf(file.key)));
    return mayBeNamed === undefined ? nobody : undefined;
  }

  bindTask(pid: number, startTicks: number, task: BoundTask): void {
    if (!this.inheritance) return;
    try {
      const state = written(this.#taskRecord(pid, startTicks), task);
      this.maps.tasks.update(encodeU32(pid), encodeTaskRecord({ ...state, startTicks }));
    } catch (error) {
      // As where the kernel itself finds no room for what a process starts.
      this.maps.counters.update(encodeU32(COUNTER_TASKS_LOST), encodeU64(BigInt(this.#count(COUNTER_TASKS_LOST) + 1)));
      throw error;
    }
  }

  unbindTask(pid: number): void {
    this.maps.tasks.delete(encodeU32(pid));
  }

  taskOf(pid: number, startTicks: number): TaskProgram | undefined {
    const record = this.#taskRecord(pid, startTicks);
    if (record === undefined) return undefined;
    const { startTicks: _, interpreterNs: __, ...program } = record;
    return isInterpreterAlone(record) ? undefined : program;
  }

  addCgroup(id: bigint, epoch: number): void {
    this.maps.cgroups.update(encodeU64(id), encodeU32(epoch));
  }

  creatorOf(cookie: bigint): CreatorRecord | undefined {
    const bytes = this.maps.creators.lookup(encodeU64(cookie));
    return bytes && decodeCreatorRecord(bytes);
  }

  released(protocol: number, port: number): readonly ReleasedSocket[] {
    const bytes = this.maps.released.lookup(encodeReleasedKey(protocol, port));
    return bytes === undefined ? [] : decodeReleasedRecord(bytes);
  }

  releasedBy(uid: number, protocol: number, port: number): UserReleased | undefined {
    const bytes = this.maps.closers.lookup(encodeUserReleasedKey(uid, port));
    const last = bytes && decodeUserReleasedRecord(bytes);
    return last?.protocol === protocol && last.port === port ? last : undefined;
  }

  counts(): SocketMarkCounts {
    return {
      marked: this.#count(COUNTER_MARKED),
      unmarked: this.#count(COUNTER_UNMARKED),
      foreign: this.#count(COUNTER_FOREIGN),
      tasksLost: this.#count(COUNTER_TASKS_LOST),
    };
  }

  #taskRecord(pid: number, startTicks: number): TaskRecord | undefined {
    const bytes = this.maps.tasks.lookup(encodeU32(pid));
    const task = bytes && decodeTaskRecord(bytes);
    return task?.startTicks === startTicks ? task : undefined;
  }

  #count(index: number): number {
    const bytes = this.maps.counters.lookup(encodeU32(index));
    return bytes === undefined ? 0 : Number(decodeU64(bytes));
  }
}
