/** The maps that the programs share with the daemon; the records in them are in `records.ts`. */
import {
  CONFIG_BYTES,
  COUNTER_BYTES,
  CREATOR_RECORD_BYTES,
  EXECUTABLE_KEY_BYTES,
  EXECUTABLE_RECORD_BYTES,
  FILE_ID_BYTES,
  FILE_NAME_BYTES,
  FILE_RECORD_BYTES,
  HELLO_RECORD_BYTES,
  PROGRAM_FILE_BYTES,
  RELEASED_RECORD_BYTES,
  TASK_RECORD_BYTES,
  USER_RELEASED_RECORD_BYTES,
  WAYS_RECORD_BYTES,
} from './records.ts';

/** `enum bpf_map_type` (linux/bpf.h). */
export const BPF_MAP_TYPE_HASH = 1;
export const BPF_MAP_TYPE_ARRAY = 2;
export const BPF_MAP_TYPE_LRU_HASH = 9;
/** Elements take memory when they are added. */
export const BPF_F_NO_PREALLOC = 1;

/** What BPF_MAP_CREATE is given. `name`: 15 bytes at most (BPF_OBJ_NAME_LEN with its NUL). */
export interface MapDescription {
  readonly name: string;
  readonly type: typeof BPF_MAP_TYPE_HASH | typeof BPF_MAP_TYPE_ARRAY | typeof BPF_MAP_TYPE_LRU_HASH;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly maxEntries: number;
  readonly flags?: typeof BPF_F_NO_PREALLOC;
}

export type MapName =
  | 'executables'
  | 'names'
  | 'files'
  | 'ways'
  | 'tasks'
  | 'cgroups'
  | 'creators'
  | 'strangers'
  | 'released'
  | 'closers'
  | 'config'
  | 'learners'
  | 'learned'
  | 'hello'
  | 'counters';

/** One descriptor for each map. */
export type MapDescriptors = Readonly<Record<MapName, number>>;

const U32_BYTES = 4;
const U64_BYTES = 8;

export const MAX_EXECUTABLES = 40_960;
/** Each executable has one at its path, and perhaps another where a link leads. */
export const MAX_NAMES: number = 2 * MAX_EXECUTABLES;
/** As many as there are program numbers: 15 bits of the mark. */
export const MAX_PROGRAMS = 32_768;
/** Living processes of families and scripts: more than one machine runs, and what is beyond is asked about. */
export const MAX_TASKS = 262_144;
export const MAX_CGROUPS = 16_384;
export const MAX_CREATORS = 32_768;
export const MAX_STRANGERS = 1024;
/** Ports of sockets that are gone. What was closed by one user within the time that its packets wait is far less. */
export const MAX_RELEASED = 16_384;
/** Of all users; of each, as many as USER_RELEASED_MASK leaves apart. */
export const MAX_USER_RELEASED = 16_384;
/** Threads of the daemon that may ask for keys at the same time. */
export const MAX_LEARNERS = 16;

/** Indexes of `counters`. */
export const COUNTER_MARKED = 0;
/** Sockets whose program is not known. */
export const COUNTER_UNMARKED = 1;
/** Sockets that had somebody else's mark when they were made. */
export const COUNTER_FOREIGN = 2;
/** Times that a process could not be written down in `tasks`: from the first on, "nobody" is said of no process. */
export const COUNTER_TASKS_LOST = 3;
export const COUNTERS = 4;

export const MAPS: Readonly<Record<MapName, MapDescription>> = {
  /** Executable -> its number. */
  executables: {
    name: 'pm_executables',
    type: BPF_MAP_TYPE_HASH,
    keyBytes: EXECUTABLE_KEY_BYTES,
    valueBytes: EXECUTABLE_RECORD_BYTES,
    maxEntries: MAX_EXECUTABLES,
  },
  /** Names of files that policies name, under which such a file may be found -> flags (u32). */
  names: {
    name: 'pm_names',
    type: BPF_MAP_TYPE_HASH,
    keyBytes: FILE_NAME_BYTES,
    valueBytes: U32_BYTES,
    maxEntries: MAX_NAMES,
    flags: BPF_F_NO_PREALLOC,
  },
  /** Files that policies name or named, whatever has been done to them since. */
  files: {
    name: 'pm_files',
    type: BPF_MAP_TYPE_HASH,
    keyBytes: FILE_ID_BYTES,
    valueBytes: FILE_RECORD_BYTES,
    maxEntries: MAX_EXECUTABLES,
    flags: BPF_F_NO_PREALLOC,
  },
  /** Program number -> way bits of the mark. */
  ways: {
    name: 'pm_ways',
    type: BPF_MAP_TYPE_ARRAY,
    keyBytes: U32_BYTES,
    valueBytes: WAYS_RECORD_BYTES,
    maxEntries: MAX_PROGRAMS,
  },
  /** Process id -> what is known of the process beyond its executable. */
  tasks: {
    name: 'pm_tasks',
    // Nothing in it is forgotten: a child that is not in it would be nobody's.
    type: BPF_MAP_TYPE_HASH,
    keyBytes: U32_BYTES,
    valueBytes: TASK_RECORD_BYTES,
    maxEntries: MAX_TASKS,
    flags: BPF_F_NO_PREALLOC,
  },
  /** Id of a cgroup -> the epoch in which it was looked at (u32). */
  cgroups: {
    name: 'pm_cgroups',
    type: BPF_MAP_TYPE_LRU_HASH,
    keyBytes: U64_BYTES,
    valueBytes: U32_BYTES,
    maxEntries: MAX_CGROUPS,
  },
  /** Socket cookie -> who made it. */
  creators: {
    name: 'pm_creators',
    type: BPF_MAP_TYPE_LRU_HASH,
    keyBytes: U64_BYTES,
    valueBytes: CREATOR_RECORD_BYTES,
    maxEntries: MAX_CREATORS,
  },
  /** Executable that nothing is known of -> who made its last socket. */
  strangers: {
    name: 'pm_strangers',
    type: BPF_MAP_TYPE_LRU_HASH,
    keyBytes: EXECUTABLE_KEY_BYTES,
    valueBytes: CREATOR_RECORD_BYTES,
    maxEntries: MAX_STRANGERS,
  },
  /** Protocol << 32 | port, echo identifier or protocol of a raw socket (u64) -> the last sockets there that were closed. */
  released: {
    name: 'pm_released',
    type: BPF_MAP_TYPE_LRU_HASH,
    keyBytes: U64_BYTES,
    valueBytes: RELEASED_RECORD_BYTES,
    maxEntries: MAX_RELEASED,
  },
  /**
   * User << 32 | place of a port (u64) -> the last socket of that user there that was closed, and who made it. Whoever makes sockets without end
   * pushes others' out of `creators` and `released`; here he has so many places, and pushes out his own.
   */
  closers: {
    name: 'pm_closers',
    type: BPF_MAP_TYPE_LRU_HASH,
    keyBytes: U64_BYTES,
    valueBytes: USER_RELEASED_RECORD_BYTES,
    maxEntries: MAX_USER_RELEASED,
  },
  config: {
    name: 'pm_config',
    type: BPF_MAP_TYPE_ARRAY,
    keyBytes: U32_BYTES,
    valueBytes: CONFIG_BYTES,
    maxEntries: 1,
  },
  /** Pointer of a task (u64, from `hello`) -> the descriptor (u32) of the file that it asks about. */
  learners: {
    name: 'pm_learners',
    type: BPF_MAP_TYPE_HASH,
    keyBytes: U64_BYTES,
    valueBytes: U32_BYTES,
    maxEntries: MAX_LEARNERS,
  },
  /** Pointer of a task -> that file; nothing where the descriptor was not open. */
  learned: {
    name: 'pm_learned',
    type: BPF_MAP_TYPE_HASH,
    keyBytes: U64_BYTES,
    valueBytes: PROGRAM_FILE_BYTES,
    maxEntries: MAX_LEARNERS,
  },
  hello: {
    name: 'pm_hello',
    type: BPF_MAP_TYPE_ARRAY,
    keyBytes: U32_BYTES,
    valueBytes: HELLO_RECORD_BYTES,
    maxEntries: 1,
  },
  counters: {
    name: 'pm_counters',
    type: BPF_MAP_TYPE_ARRAY,
    keyBytes: U32_BYTES,
    valueBytes: COUNTER_BYTES,
    maxEntries: COUNTERS,
  },
};
