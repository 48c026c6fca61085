/**
 * What the maps hold, to bytes and back: C structures in the byte order of the machine, which is little-endian (as for all
 * of this project). Offsets that the programs use too are exported as `*_FIELDS`. Decoders throw RecordError for bytes of
 * another length; encoders RangeError for a number that does not fit.
 */
import { RecordError } from './errors.ts';

declare const executableKey: unique symbol;

/**
 * The kernel's own name of a file that runs: 32 bytes as 64 hexadecimal digits. A file that is replaced, or written to, has
 * another; hard links and symbolic links have the same.
 *
 *     u64 inode, u32 device (kernel dev_t), u32 generation, u64 change time in seconds, u32 its nanoseconds, u32 0
 */
export type ExecutableKey = string & { readonly [executableKey]: true };

export const EXECUTABLE_KEY_BYTES = 32;
export const EXECUTABLE_KEY_FIELDS = {
  inode: 0,
  device: 8,
  generation: 12,
  changeSeconds: 16,
  changeNanoseconds: 24,
} as const;

const DIGIT_0 = 0x30;
const LETTER_A = 0x61;
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Of a thread that has no executable: the kernel's own. */
export const NO_EXECUTABLE: ExecutableKey = '0'.repeat(2 * EXECUTABLE_KEY_BYTES) as ExecutableKey;

export function decodeExecutableKey(bytes: Uint8Array): ExecutableKey {
  checkLength('executable key', bytes, EXECUTABLE_KEY_BYTES);
  return executableKeyAt(bytes, 0);
}

/** On the packet path. */
function executableKeyAt(bytes: Uint8Array, start: number): ExecutableKey {
  let text = '';
  for (let index = start; index < start + EXECUTABLE_KEY_BYTES; index++) text += HEX[bytes[index] ?? 0];
  return text as ExecutableKey;
}

export function encodeExecutableKey(key: ExecutableKey): Uint8Array {
  return encodeHex(key, EXECUTABLE_KEY_BYTES);
}

function encodeHex(digits: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index++)
    bytes[index] = (hexDigit(digits, 2 * index) << 4) | hexDigit(digits, 2 * index + 1);
  return bytes;
}

/** Of digits whose letters are small. */
function hexDigit(digits: string, index: number): number {
  const code = digits.charCodeAt(index);
  return code < LETTER_A ? code - DIGIT_0 : code - LETTER_A + 10;
}

/** `undefined` for text that is no key: any but 64 lower-case hexadecimal digits. */
export function parseExecutableKey(text: string): ExecutableKey | undefined {
  return /^[0-9a-f]{64}$/.test(text) ? (text as ExecutableKey) : undefined;
}

/** The parts of a key, for people and for tests. */
export interface ExecutableFile {
  readonly inode: bigint;
  /** Kernel dev_t: major << 20 | minor. */
  readonly device: number;
  readonly generation: number;
  readonly changeSeconds: bigint;
  readonly changeNanoseconds: number;
}

export function describeExecutableKey(key: ExecutableKey): ExecutableFile {
  const view = viewOf(encodeExecutableKey(key));
  const at = EXECUTABLE_KEY_FIELDS;
  return {
    inode: view.getBigUint64(at.inode, true),
    device: view.getUint32(at.device, true),
    generation: view.getUint32(at.generation, true),
    changeSeconds: view.getBigInt64(at.changeSeconds, true),
    changeNanoseconds: view.getUint32(at.changeNanoseconds, true),
  };
}

/** Whether it is one file, though it may have been renamed, linked, unlinked or written in between: a key changes with that. */
export function isSameExecutable(a: ExecutableKey, b: ExecutableKey): boolean {
  const [one, other] = [describeExecutableKey(a), describeExecutableKey(b)];
  return one.inode === other.inode && one.device === other.device && one.generation === other.generation;
}

declare const fileName: unique symbol;

/**
 * The last part of a file's path, as far as the programs look: the first 63 bytes of it, one character for each (Latin-1), as it
 * may be any bytes.
 */
export type FileName = string & { readonly [fileName]: true };

/** With at least one NUL. */
export const FILE_NAME_BYTES = 64;

/** `bytes`: all of the last part of a path. */
export function fileNameOf(bytes: Uint8Array): FileName {
  return String.fromCharCode(...bytes.subarray(0, FILE_NAME_BYTES - 1)) as FileName;
}

export function decodeFileName(bytes: Uint8Array): FileName {
  checkLength('file name', bytes, FILE_NAME_BYTES);
  const end = bytes.indexOf(0);
  return fileNameOf(end < 0 ? bytes : bytes.subarray(0, end));
}

export function encodeFileName(name: FileName): Uint8Array {
  const bytes = new Uint8Array(FILE_NAME_BYTES);
  for (let index = 0; index < name.length; index++) bytes[index] = name.charCodeAt(index);
  return bytes;
}

/** Value of `learned`: a file as the programs see it when it runs. */
export interface ProgramFile {
  readonly key: ExecutableKey;
  readonly name: FileName;
}

export const PROGRAM_FILE_BYTES = 96;
export const PROGRAM_FILE_FIELDS = { key: 0, name: 32 } as const;

export function encodeProgramFile({ key, name }: ProgramFile): Uint8Array {
  const bytes = new Uint8Array(PROGRAM_FILE_BYTES);
  bytes.set(encodeExecutableKey(key), PROGRAM_FILE_FIELDS.key);
  bytes.set(encodeFileName(name), PROGRAM_FILE_FIELDS.name);
  return bytes;
}

export function decodeProgramFile(bytes: Uint8Array): ProgramFile {
  checkLength('program file', bytes, PROGRAM_FILE_BYTES);
  const name = decodeFileName(bytes.subarray(PROGRAM_FILE_FIELDS.name));
  return { key: executableKeyAt(bytes, PROGRAM_FILE_FIELDS.key), name };
}

declare const fileId: unique symbol;

/** The beginning of an executable's key, which says which file it is, whatever has been done to it since: 32 digits. */
export type FileId = string & { readonly [fileId]: true };

export const FILE_ID_BYTES = 16;

export const fileIdOf = (key: ExecutableKey): FileId => key.slice(0, 2 * FILE_ID_BYTES) as FileId;

export const encodeFileId = (id: FileId): Uint8Array => encodeHex(id, FILE_ID_BYTES);

/**
 * Value of `executables`. With `childrenNumber`, that is the number of the processes it starts. `keeps`: also of those that yield.
 * `yields`: in a family that keeps its own, a process that runs it has the number of that family. `former`: it was the program, and is
 * not any more: whoever started it then goes on being it, and whoever starts it now is asked about.
 */
export interface ExecutableRecord {
  readonly number: number;
  readonly childrenNumber?: number;
  readonly keeps?: true;
  readonly yields?: true;
  readonly former?: true;
}

export const EXECUTABLE_RECORD_BYTES = 16;
export const EXECUTABLE_RECORD_FIELDS = { number: 0, flags: 4, childrenNumber: 8 } as const;
export const EXECUTABLE_CHILDREN = 1;
export const EXECUTABLE_YIELDS = 2;
export const EXECUTABLE_FORMER = 4;
/** The same bit as in the flags of the task that it begins. */
export const EXECUTABLE_KEEPS = 8;

export function encodeExecutableRecord(record: ExecutableRecord): Uint8Array {
  const bytes = new Uint8Array(EXECUTABLE_RECORD_BYTES);
  const at = EXECUTABLE_RECORD_FIELDS;
  setU32(bytes, at.number, record.number);
  const children = record.childrenNumber === undefined ? 0 : EXECUTABLE_CHILDREN;
  const keeps = record.keeps ? EXECUTABLE_KEEPS : 0;
  const standing = (record.yields ? EXECUTABLE_YIELDS : 0) | (record.former ? EXECUTABLE_FORMER : 0);
  setU32(bytes, at.flags, children | keeps | standing);
  setU32(bytes, at.childrenNumber, record.childrenNumber ?? 0);
  return bytes;
}

export function decodeExecutableRecord(bytes: Uint8Array): ExecutableRecord {
  checkLength('executable record', bytes, EXECUTABLE_RECORD_BYTES);
  const view = viewOf(bytes);
  const at = EXECUTABLE_RECORD_FIELDS;
  const flags = view.getUint32(at.flags, true);
  return {
    number: view.getUint32(at.number, true),
    ...((flags & EXECUTABLE_CHILDREN) !== 0 && { childrenNumber: view.getUint32(at.childrenNumber, true) }),
    ...((flags & EXECUTABLE_KEEPS) !== 0 && { keeps: true }),
    ...((flags & EXECUTABLE_YIELDS) !== 0 && { yields: true }),
    ...((flags & EXECUTABLE_FORMER) !== 0 && { former: true }),
  };
}

/** Value of `ways`: the way bits of the mark, in their place, by family of the socket. */
export interface WaysRecord {
  readonly v4: number;
  readonly v6: number;
}

export const WAYS_RECORD_BYTES = 8;
export const WAYS_RECORD_FIELDS = { v4: 0, v6: 4 } as const;

export function encodeWaysRecord(record: WaysRecord): Uint8Array {
  const bytes = new Uint8Array(WAYS_RECORD_BYTES);
  setU32(bytes, WAYS_RECORD_FIELDS.v4, record.v4);
  setU32(bytes, WAYS_RECORD_FIELDS.v6, record.v6);
  return bytes;
}

export function decodeWaysRecord(bytes: Uint8Array): WaysRecord {
  checkLength('ways record', bytes, WAYS_RECORD_BYTES);
  const view = viewOf(bytes);
  return { v4: view.getUint32(WAYS_RECORD_FIELDS.v4, true), v6: view.getUint32(WAYS_RECORD_FIELDS.v6, true) };
}

/**
 * Value of `tasks`. `script`: the process runs a script with this number, whatever its executable is; `started`: that is what its
 * executable was when it started it, 0 where that has to be asked; otherwise the number is for executables that have none of their own.
 * With `childrenNumber`, a fork keeps the entry, and an exec has this number. With `keeps`, that number is also for executables that yield.
 * `startTicks`: when the process started, in 1/100 s after boot, as in /proc/PID/stat. `interpreterNs`: it runs an interpreter since
 * then (CLOCK_MONOTONIC), which may come to run a script; where that is all, the entry says nothing else.
 */
export interface TaskRecord {
  readonly number: number;
  readonly script: boolean;
  readonly started?: true;
  readonly startTicks: number;
  readonly childrenNumber?: number;
  readonly keeps?: true;
  readonly interpreterNs?: bigint;
}

export const TASK_RECORD_BYTES = 32;
export const TASK_RECORD_FIELDS = {
  number: 0,
  flags: 4,
  startTicks: 8,
  childrenNumber: 16,
  interpreterNs: 24,
} as const;
export const TASK_SCRIPT = 1;
export const TASK_CHILDREN = 2;
export const TASK_INTERPRETER = 4;
export const TASK_KEEPS = 8;
export const TASK_STARTED = 16;

export function encodeTaskRecord(record: TaskRecord): Uint8Array {
  const bytes = new Uint8Array(TASK_RECORD_BYTES);
  const at = TASK_RECORD_FIELDS;
  const children = record.childrenNumber === undefined ? 0 : TASK_CHILDREN;
  const interpreter = record.interpreterNs === undefined ? 0 : TASK_INTERPRETER;
  setU32(bytes, at.number, record.number);
  const keeps = record.keeps ? TASK_KEEPS : 0;
  const told = (record.script ? TASK_SCRIPT : 0) | (record.started ? TASK_STARTED : 0);
  setU32(bytes, at.flags, told | children | interpreter | keeps);
  setU64(bytes, at.startTicks, BigInt(record.startTicks));
  setU32(bytes, at.childrenNumber, record.childrenNumber ?? 0);
  setU64(bytes, at.interpreterNs, record.interpreterNs ?? 0n);
  return bytes;
}

export function decodeTaskRecord(bytes: Uint8Array): TaskRecord {
  checkLength('task record', bytes, TASK_RECORD_BYTES);
  const view = viewOf(bytes);
  const at = TASK_RECORD_FIELDS;
  const flags = view.getUint32(at.flags, true);
  return {
    number: view.getUint32(at.number, true),
    script: (flags & TASK_SCRIPT) !== 0,
    ...((flags & TASK_STARTED) !== 0 && { started: true }),
    startTicks: Number(view.getBigUint64(at.startTicks, true)),
    ...((flags & TASK_CHILDREN) !== 0 && { childrenNumber: view.getUint32(at.childrenNumber, true) }),
    ...((flags & TASK_KEEPS) !== 0 && { keeps: true }),
    ...((flags & TASK_INTERPRETER) !== 0 && { interpreterNs: view.getBigUint64(at.interpreterNs, true) }),
  };
}

/**
 * Value of `creators`. `pid` is 0 where the daemon cannot see the process: it has no number in the daemon's pid namespace.
 * `number` is what the mark says, or would have said had it not been somebody else's; 0 where nothing was known.
 */
export interface CreatorRecord {
  readonly executable: ExecutableKey;
  readonly startTicks: number;
  readonly cgroupId: bigint;
  /** Of its cgroup and those above it, below the root, the outermost first: as far down as the record has room. */
  readonly cgroupIds: readonly bigint[];
  readonly pid: number;
  readonly number: number;
  readonly uid: number;
  readonly gid: number;
  /** Whoever started it may be an application with `children: same`, and nothing tells which. */
  readonly mayBeChild?: true;
  /** It runs an interpreter, and nobody has seen which script that opened. */
  readonly mayRunScript?: true;
  /** Its file was called as no interpreter that is known by its name. Looked at where it is asked about, and policies name scripts. */
  readonly isNoInterpreter?: true;
  /** The thread's name: 15 bytes at most, one character for each (Latin-1), as it may be any bytes. */
  readonly command: string;
}

export const COMMAND_BYTES = 16;
/** Levels of the cgroup tree that are noted: /user.slice/user-1000.slice/user@1000.service/app.slice/app-X.slice/X.scope has six. */
export const CGROUP_LEVELS_NOTED = 6;
export const CREATOR_RECORD_BYTES = 136;
export const CREATOR_RECORD_FIELDS = {
  executable: 0,
  startTicks: 32,
  cgroupId: 40,
  pid: 48,
  number: 52,
  uid: 56,
  gid: 60,
  command: 64,
  cgroupIds: 80,
  flags: 128,
} as const;
export const CREATOR_MAY_BE_CHILD = 1;
export const CREATOR_MAY_RUN_SCRIPT = 2;
export const CREATOR_IS_NO_INTERPRETER = 4;
/** For the programs: what TASK_INTERPRETER says. */
export const CREATOR_IS_INTERPRETER = 8;

export function encodeCreatorRecord(record: CreatorRecord): Uint8Array {
  const bytes = new Uint8Array(CREATOR_RECORD_BYTES);
  const at = CREATOR_RECORD_FIELDS;
  bytes.set(encodeExecutableKey(record.executable), at.executable);
  setU64(bytes, at.startTicks, BigInt(record.startTicks));
  setU64(bytes, at.cgroupId, record.cgroupId);
  setU32(bytes, at.pid, record.pid);
  setU32(bytes, at.number, record.number);
  setU32(bytes, at.uid, record.uid);
  setU32(bytes, at.gid, record.gid);
  setCommand(bytes, at.command, record.command);
  for (const [index, id] of record.cgroupIds.entries()) setU64(bytes, at.cgroupIds + 8 * index, id);
  const doubts = (record.mayBeChild ? CREATOR_MAY_BE_CHILD : 0) | (record.mayRunScript ? CREATOR_MAY_RUN_SCRIPT : 0);
  setU64(bytes, at.flags, BigInt(doubts | (record.isNoInterpreter ? CREATOR_IS_NO_INTERPRETER : 0)));
  return bytes;
}

export function decodeCreatorRecord(bytes: Uint8Array): CreatorRecord {
  checkLength('creator record', bytes, CREATOR_RECORD_BYTES);
  const view = viewOf(bytes);
  const at = CREATOR_RECORD_FIELDS;
  return {
    executable: executableKeyAt(bytes, at.executable),
    startTicks: Number(view.getBigUint64(at.startTicks, true)),
    cgroupId: view.getBigUint64(at.cgroupId, true),
    pid: view.getUint32(at.pid, true),
    number: view.getUint32(at.number, true),
    uid: view.getUint32(at.uid, true),
    gid: view.getUint32(at.gid, true),
    command: decodeCommand(bytes, at.command),
    cgroupIds: Array.from({ length: CGROUP_LEVELS_NOTED }, (_, index) =>
      view.getBigUint64(at.cgroupIds + 8 * index, true),
    ).filter((id) => id !== 0n),
    ...((view.getUint32(at.flags, true) & CREATOR_MAY_BE_CHILD) !== 0 && { mayBeChild: true }),
    ...((view.getUint32(at.flags, true) & CREATOR_MAY_RUN_SCRIPT) !== 0 && { mayRunScript: true }),
    ...((view.getUint32(at.flags, true) & CREATOR_IS_NO_INTERPRETER) !== 0 && { isNoInterpreter: true }),
  };
}

function setCommand(bytes: Uint8Array, offset: number, command: string): void {
  if (command.length >= COMMAND_BYTES) throw new RangeError(`${JSON.stringify(command)} is longer than a name can be`);
  for (let index = 0; index < command.length; index++) {
    const byte = command.charCodeAt(index);
    if (byte === 0 || byte > 0xff) throw new RangeError(`${JSON.stringify(command)} is not bytes`);
    bytes[offset + index] = byte;
  }
}

function decodeCommand(bytes: Uint8Array, start: number): string {
  let command = '';
  for (let index = start; index < start + COMMAND_BYTES && bytes[index] !== 0; index++)
    command += String.fromCharCode(bytes[index] ?? 0);
  return command;
}

/** A socket that was closed. `atNs`: when, by CLOCK_MONOTONIC. `remotePort`: it was connected to; 0 where it was not. */
export interface ReleasedSocket {
  readonly cookie: bigint;
  readonly atNs: bigint;
  readonly remotePort: number;
}

/** Value of `released`: the latest first. */
/** The socket before begins here, with the same fields. */
export const RELEASED_SOCKET_BYTES = 24;
export const RELEASED_RECORD_BYTES: number = 2 * RELEASED_SOCKET_BYTES;
/** `remotePort`: 8 bytes, of which the first two are the port in network order. */
export const RELEASED_RECORD_FIELDS = { cookie: 0, atNs: 8, remotePort: 16 } as const;

export function encodeReleasedRecord(sockets: readonly ReleasedSocket[]): Uint8Array {
  const bytes = new Uint8Array(RELEASED_RECORD_BYTES);
  const at = RELEASED_RECORD_FIELDS;
  for (const [index, { cookie, atNs, remotePort }] of sockets.entries()) {
    const start = index * RELEASED_SOCKET_BYTES;
    setU64(bytes, start + at.cookie, cookie);
    setU64(bytes, start + at.atNs, atNs);
    viewOf(bytes).setUint16(start + at.remotePort, remotePort);
  }
  return bytes;
}

export function decodeReleasedRecord(bytes: Uint8Array): readonly ReleasedSocket[] {
  checkLength('released record', bytes, RELEASED_RECORD_BYTES);
  const view = viewOf(bytes);
  const at = RELEASED_RECORD_FIELDS;
  return [0, RELEASED_SOCKET_BYTES]
    .map((start) => ({
      cookie: view.getBigUint64(start + at.cookie, true),
      atNs: view.getBigUint64(start + at.atNs, true),
      remotePort: view.getUint16(start + at.remotePort),
    }))
    .filter(({ cookie }) => cookie !== 0n);
}

/** Key of `released`. */
export const encodeReleasedKey = (protocol: number, port: number): Uint8Array =>
  encodeU64((BigInt(protocol) << 32n) | BigInt(port));

/** What a user has closed last at a place of his. `creator`: absent where nothing was noted when it was made. */
export interface UserReleased extends ReleasedSocket {
  readonly protocol: number;
  readonly port: number;
  readonly creator?: CreatorRecord;
}

/** Ports of a user that are remembered at once: those that differ in the bits of this mask. */
export const USER_RELEASED_MASK = 511;
/** The first three as in `released`. `port` and `protocol`: u32, together the key of `released`. */
export const USER_RELEASED_RECORD_FIELDS = {
  cookie: 0,
  atNs: 8,
  remotePort: 16,
  port: 24,
  protocol: 28,
  creator: 32,
} as const;
export const USER_RELEASED_RECORD_BYTES: number = USER_RELEASED_RECORD_FIELDS.creator + CREATOR_RECORD_BYTES;

/** Key of `closers`. */
export const encodeUserReleasedKey = (uid: number, port: number): Uint8Array =>
  encodeU64((BigInt(uid) << 32n) | BigInt(port & USER_RELEASED_MASK));

export function decodeUserReleasedRecord(bytes: Uint8Array): UserReleased {
  checkLength('record of a released socket', bytes, USER_RELEASED_RECORD_BYTES);
  const view = viewOf(bytes);
  const at = USER_RELEASED_RECORD_FIELDS;
  const creator = decodeCreatorRecord(bytes.subarray(at.creator));
  return {
    cookie: view.getBigUint64(at.cookie, true),
    atNs: view.getBigUint64(at.atNs, true),
    remotePort: view.getUint16(at.remotePort),
    port: view.getUint32(at.port, true),
    protocol: view.getUint32(at.protocol, true),
    ...(creator.executable !== NO_EXECUTABLE && { creator }),
  };
}

/** Value of `config`. All zero, as the map is made, it lets the programs do nothing at all. */
export interface Config {
  /** SO_NETNS_COOKIE of the namespace that is looked after; never 0. */
  readonly netnsCookie: bigint;
  /** From `hello`: the daemon's pid namespace as the kernel's pointer, and its depth. */
  readonly pidNamespace: bigint;
  readonly pidLevel: number;
  /** Entries of `cgroups` with another epoch do not count. Never 0. */
  readonly cgroupEpoch: number;
  /** Whether `hello` is answered. */
  readonly hello: boolean;
  /** What a program counts as of which neither the name nor the file is a named one's. */
  readonly nobody?: Nobody | undefined;
  /** Where policies name scripts. */
  readonly scripts?: ScriptStarts | undefined;
}

/** Whether somebody sees scripts start. */
export interface ScriptStarts {
  /** Becomes false by itself when `daemonPid` ends. */
  readonly seen: boolean;
  /** An interpreter that was started before has had its script seen, if any: CLOCK_MONOTONIC. */
  readonly seenBeforeNs: bigint;
  /** As the daemon numbers processes. */
  readonly daemonPid: number;
}

export const SCRIPTS_NOT_NAMED = 0;
export const SCRIPTS_SEEN = 1;
export const SCRIPTS_NOT_SEEN = 2;

export interface Nobody {
  readonly number: number;
  /** Not only in those that `cgroups` has: no policy speaks of cgroups. */
  readonly inAnyCgroup: boolean;
}

export const CONFIG_BYTES = 56;
export const CONFIG_FIELDS = {
  netnsCookie: 0,
  pidNamespace: 8,
  pidLevel: 16,
  cgroupEpoch: 20,
  hello: 24,
  nobody: 28,
  anyCgroup: 32,
  scripts: 36,
  seenBeforeNs: 40,
  daemonPid: 48,
} as const;

export function encodeConfig(config: Config): Uint8Array {
  const bytes = new Uint8Array(CONFIG_BYTES);
  const at = CONFIG_FIELDS;
  setU64(bytes, at.netnsCookie, config.netnsCookie);
  setU64(bytes, at.pidNamespace, config.pidNamespace);
  setU32(bytes, at.pidLevel, config.pidLevel);
  setU32(bytes, at.cgroupEpoch, config.cgroupEpoch);
  setU32(bytes, at.hello, config.hello ? 1 : 0);
  setU32(bytes, at.nobody, config.nobody?.number ?? 0);
  setU32(bytes, at.anyCgroup, config.nobody?.inAnyCgroup === true ? 1 : 0);
  const { scripts } = config;
  setU32(bytes, at.scripts, scripts === undefined ? SCRIPTS_NOT_NAMED : scripts.seen ? SCRIPTS_SEEN : SCRIPTS_NOT_SEEN);
  setU64(bytes, at.seenBeforeNs, scripts?.seenBeforeNs ?? 0n);
  setU32(bytes, at.daemonPid, scripts?.daemonPid ?? 0);
  return bytes;
}

export function decodeConfig(bytes: Uint8Array): Config {
  checkLength('config', bytes, CONFIG_BYTES);
  const view = viewOf(bytes);
  const at = CONFIG_FIELDS;
  const number = view.getUint32(at.nobody, true);
  const scripts = view.getUint32(at.scripts, true);
  return {
    netnsCookie: view.getBigUint64(at.netnsCookie, true),
    pidNamespace: view.getBigUint64(at.pidNamespace, true),
    pidLevel: view.getUint32(at.pidLevel, true),
    cgroupEpoch: view.getUint32(at.cgroupEpoch, true),
    hello: view.getUint32(at.hello, true) !== 0,
    ...(number !== 0 && { nobody: { number, inAnyCgroup: view.getUint32(at.anyCgroup, true) !== 0 } }),
    ...(scripts !== SCRIPTS_NOT_NAMED && {
      scripts: {
        seen: scripts === SCRIPTS_SEEN,
        seenBeforeNs: view.getBigUint64(at.seenBeforeNs, true),
        daemonPid: view.getUint32(at.daemonPid, true),
      },
    }),
  };
}

/** The socket that asks for a hello, with `config.hello`: SOCK_RAW of a protocol that is kept for experiments (RFC 3692). */
export const HELLO_SOCKET_TYPE = 3;
export const HELLO_PROTOCOL = 253;

/** Value of `hello`: who made the last such socket, with its numbers in the innermost pid namespace it is in. */
export interface HelloRecord {
  /** The kernel's pointer of the thread: its key in `learners` and `learned`. */
  readonly task: bigint;
  readonly pidNamespace: bigint;
  readonly pidLevel: number;
  readonly cgroupId: bigint;
  /** Of the process, as in /proc/PID/stat. */
  readonly startTicks: number;
  readonly threadId: number;
  readonly pid: number;
}

export const HELLO_RECORD_BYTES = 48;
export const HELLO_RECORD_FIELDS = {
  task: 0,
  pidNamespace: 8,
  cgroupId: 16,
  startTicks: 24,
  pidLevel: 32,
  threadId: 36,
  pid: 40,
} as const;

export function encodeHelloRecord(record: HelloRecord): Uint8Array {
  const bytes = new Uint8Array(HELLO_RECORD_BYTES);
  const at = HELLO_RECORD_FIELDS;
  setU64(bytes, at.task, record.task);
  setU64(bytes, at.pidNamespace, record.pidNamespace);
  setU64(bytes, at.cgroupId, record.cgroupId);
  setU64(bytes, at.startTicks, BigInt(record.startTicks));
  setU32(bytes, at.pidLevel, record.pidLevel);
  setU32(bytes, at.threadId, record.threadId);
  setU32(bytes, at.pid, record.pid);
  return bytes;
}

export function decodeHelloRecord(bytes: Uint8Array): HelloRecord {
  checkLength('hello record', bytes, HELLO_RECORD_BYTES);
  const view = viewOf(bytes);
  const at = HELLO_RECORD_FIELDS;
  return {
    task: view.getBigUint64(at.task, true),
    pidNamespace: view.getBigUint64(at.pidNamespace, true),
    pidLevel: view.getUint32(at.pidLevel, true),
    cgroupId: view.getBigUint64(at.cgroupId, true),
    startTicks: Number(view.getBigUint64(at.startTicks, true)),
    threadId: view.getUint32(at.threadId, true),
    pid: view.getUint32(at.pid, true),
  };
}

/** Flags of `names` and `files`. An application whose children count as its own has it. */
export const NAMED_FAMILY = 1;
/** Of a name: a link leads to the file, and may lead to another one that is known already, at any moment. */
export const NAMED_BY_LINK = 2;

/** Value of `files`. `number`: of the program that the file is, or was; 0 where it has none. */
export interface FileRecord {
  readonly flags: number;
  readonly number: number;
}

export const FILE_RECORD_BYTES = 8;
export const FILE_RECORD_FIELDS = { flags: 0, number: 4 } as const;

export function encodeFileRecord({ flags, number }: FileRecord): Uint8Array {
  const bytes = new Uint8Array(FILE_RECORD_BYTES);
  setU32(bytes, FILE_RECORD_FIELDS.flags, flags);
  setU32(bytes, FILE_RECORD_FIELDS.number, number);
  return bytes;
}

export function decodeFileRecord(bytes: Uint8Array): FileRecord {
  checkLength('file record', bytes, FILE_RECORD_BYTES);
  const view = viewOf(bytes);
  return {
    flags: view.getUint32(FILE_RECORD_FIELDS.flags, true),
    number: view.getUint32(FILE_RECORD_FIELDS.number, true),
  };
}

/** What a process is started as, as far as the kernel keeps it (`comm`): the first 15 bytes of the last part of the path. */
export const commandNameOf = (name: FileName): FileName => name.slice(0, COMMAND_BYTES - 1) as FileName;

/** Value of `counters`: u64. */
export const COUNTER_BYTES = 8;

/** Keys and plain values: descriptors, ids, epochs, indexes. */
export function encodeU32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  setU32(bytes, 0, value);
  return bytes;
}

export function decodeU32(bytes: Uint8Array): number {
  checkLength('u32', bytes, 4);
  return viewOf(bytes).getUint32(0, true);
}

export function encodeU64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  setU64(bytes, 0, value);
  return bytes;
}

export function decodeU64(bytes: Uint8Array): bigint {
  checkLength('u64', bytes, 8);
  return viewOf(bytes).getBigUint64(0, true);
}

function checkLength(what: string, bytes: Uint8Array, wanted: number): void {
  if (bytes.length !== wanted) throw new RecordError(`${what}: ${bytes.length} bytes, not ${wanted}`);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function setU32(bytes: Uint8Array, offset: number, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) throw new RangeError(`${value} is not an u32`);
  viewOf(bytes).setUint32(offset, value, true);
}

function setU64(bytes: Uint8Array, offset: number, value: bigint): void {
  if (value < 0n || value > 0xffffffffffffffffn) throw new RangeError(`${value} is not an u64`);
  viewOf(bytes).setBigUint64(offset, value, true);
}
