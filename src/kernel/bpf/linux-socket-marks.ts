import type { KernelLayout } from '../../bpf/kernel-layout.ts';
import {
  type Config,
  type CreatorRecord,
  decodeConfig,
  decodeCreatorRecord,
  decodeExecutableKey,
  decodeExecutableRecord,
  decodeTaskRecord,
  decodeU32,
  decodeWaysRecord,
  type ExecutableKey,
  encodeConfig,
  encodeFileId,
  encodeFileName,
  encodeFileRecord,
  encodeTaskRecord,
  encodeU32,
  encodeWaysRecord,
  type FileId,
  type FileName,
  NAMED_BY_LINK,
  NAMED_FAMILY,
  type Nobody,
} from '../../bpf/records.ts';
import { withNumbers } from '../../bpf/task-state.ts';
import { KernelError } from '../kernel-error.ts';
import type { NamedFiles, ScriptStartsSeen, SocketMarks, SocketMarksHandle, WayBits } from '../socket-marks.ts';
import type { BpfMap } from './bpf-map.ts';
import { pinObject } from './bpf-pin.ts';
import type { BpfDescriptor } from './bpf-program.ts';
import { type KeptMarks, keepMarks, linkPath, openKeptMarks } from './kept-marks.ts';
import {
  attachInheritance,
  attachSocketProgram,
  closeLinks,
  type LinkName,
  type Links,
  SOCKET_LINKS,
} from './marking-programs.ts';
import { namespaceCookie } from './namespace-cookie.ts';
import { claimPins, ownerOfPins, removePinsHere } from './pin-directory.ts';
import { ProgramFiles, sayHello } from './program-files.ts';
import { closeMaps, createMaps, descriptorsOf, MappedSocketMarks, type SocketMarkMaps } from './socket-mark-maps.ts';
import { readVmlinuxLayout } from './vmlinux-layout.ts';

const FIRST = encodeU32(0);
const NO_WAYS: WayBits = { v4: 0, v6: 0 };
/** An interpreter opens its script within this after it was started: a cold disk, a loaded machine. */
const SCRIPT_OPENED_WITHIN_NS = 30_000_000_000n;
/** Until one is set, no cgroup is known. */
const NO_EPOCH = 0xffffffff;

export interface SocketMarksOptions {
  /** Where the cgroup2 hierarchy is mounted, from its root. Sockets of processes below are marked. */
  readonly cgroupMountDir: string;
  /** Processes that may be written down as children and scripts; MAX_TASKS unless stated. */
  readonly maxTasks?: number | undefined;
  /** Where what outlives the process is kept; absent where nothing is to. */
  readonly pins?: PinsToUse | undefined;
}

export interface PinsToUse {
  /** See `pinDirectory`. */
  readonly directory: string;
  /** Whether numbers mean now what they meant to whoever made the pins that may be there. */
  readonly adopts: boolean;
}

/**
 * The real one, for the network namespace that the calling thread is in. Of what has not been kept, nothing outlives the process. Throws
 * KernelError whose `object` and message name what is missing.
 */
export function openSocketMarks({ cgroupMountDir, maxTasks, pins }: SocketMarksOptions): SocketMarks {
  const layout = readVmlinuxLayout();
  const adopted = pins?.adopts === true ? adoptMarks(layout, cgroupMountDir, pins) : undefined;
  if (adopted !== undefined) return adopted;
  // Sockets are better asked about than marked with numbers of somebody else's.
  if (pins?.adopts === false) removePinsHere();
  const made = makeMarks(layout, { cgroupMountDir, maxTasks, pins });
  if (pins?.adopts === true) removePinsHere();
  return made;
}

function makeMarks(layout: KernelLayout, { cgroupMountDir, maxTasks, pins }: SocketMarksOptions): SocketMarks {
  const links = new Map<LinkName, BpfDescriptor>();
  let maps: SocketMarkMaps | undefined;
  try {
    maps = createMaps(maxTasks === undefined ? {} : { maxTasks });
    const descriptors = descriptorsOf(maps);
    const netnsCookie = namespaceCookie();
    const nobody: Config = { netnsCookie, pidNamespace: 0n, pidLevel: 0, cgroupEpoch: NO_EPOCH, hello: true };
    maps.config.update(FIRST, encodeConfig(nobody));
    for (const name of SOCKET_LINKS)
      links.set(name, attachSocketProgram(name, layout, descriptors, { cgroupDir: cgroupMountDir }));
    const { task, pid, pidNamespace, pidLevel } = sayHello(maps.hello);
    // Hellos stay answered: threads that borrow the maps say theirs. It costs others nothing, and tells them nothing.
    const config = { ...nobody, pidNamespace, pidLevel };
    maps.config.update(FIRST, encodeConfig(config));
    const inheritance = attachInheritance(layout, descriptors);
    if (!(inheritance instanceof KernelError)) for (const [name, link] of inheritance) links.set(name, link);
    return new LinuxSocketMarks({
      maps,
      config,
      pid,
      links,
      pins,
      programFiles: new ProgramFiles(maps, task),
      ...(inheritance instanceof KernelError && { inheritanceRefusal: inheritance }),
    });
  } catch (error) {
    closeLinks(links);
    if (maps !== undefined) closeMaps(maps);
    throw error;
  }
}

/**
 * What a daemon before this one has kept: its maps with all that they say, and programs of this version in the place of its own, without a
 * moment of none. `undefined` where there is nothing, or nothing that can be used.
 */
function adoptMarks(layout: KernelLayout, cgroupMountDir: string, pins: PinsToUse): SocketMarks | undefined {
  const { directory } = pins;
  let kept: KeptMarks | undefined;
  const fresh = new Map<LinkName, BpfDescriptor>();
  try {
    kept = openKeptMarks(directory);
    if (kept === undefined) return undefined;
    const { maps, links: before } = kept;
    const bytes = maps.config.lookup(FIRST);
    if (bytes === undefined) throw new KernelError('adopt pins', 0, '', directory, 'they have no configuration');
    const old = decodeConfig(bytes);
    // The program of before answers as well. Processes have other numbers in another pid namespace.
    const { task, pid, pidNamespace, pidLevel } = sayHello(maps.hello);
    if (old.pidNamespace !== pidNamespace || old.pidLevel !== pidLevel || old.netnsCookie !== namespaceCookie())
      throw new KernelError('adopt pins', 0, '', directory, 'they are of another namespace');
    maps.learners.clear();
    maps.learned.clear();
    const descriptors = descriptorsOf(maps);
    const inheritance = attachInheritance(layout, descriptors);
    if (inheritance instanceof KernelError) throw inheritance;
    for (const [name, link] of inheritance) fresh.set(name, link);
    for (const name of SOCKET_LINKS)
      attachSocketProgram(name, layout, descriptors, { cgroupDir: cgroupMountDir, before: before.get(name) });
    for (const [name, link] of inheritance) pinObject(link.fd, linkPath(directory, name));
    claimPins(directory);
    for (const [name, link] of before) {
      if (SOCKET_LINKS.some((other) => other === name)) fresh.set(name, link);
      else link[Symbol.dispose]();
    }
    return new LinuxSocketMarks({
      maps,
      config: { ...old, hello: true, scripts: old.scripts && { ...old.scripts, seen: false } },
      pid,
      links: fresh,
      pins,
      isAdopted: true,
      programFiles: new ProgramFiles(maps, task),
    });
  } catch (error) {
    closeLinks(fresh);
    if (kept !== undefined) {
      closeLinks(kept.links);
      closeMaps(kept.maps);
    }
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

interface Opened {
  readonly maps: SocketMarkMaps;
  readonly config: Config;
  /** This process's. */
  readonly pid: number;
  readonly links: Links;
  readonly programFiles: ProgramFiles;
  readonly pins: PinsToUse | undefined;
  readonly isAdopted?: boolean;
  readonly inheritanceRefusal?: KernelError;
}

class LinuxSocketMarks extends MappedSocketMarks implements SocketMarks {
  readonly inheritanceRefusal: KernelError | undefined;
  readonly #links: Links;
  readonly #pins: PinsToUse | undefined;
  readonly #pid: number;
  #isKept: boolean;
  #config: Config;
  #ways: ReadonlyMap<number, WayBits> | undefined = new Map();
  /** `undefined` where one was refused in the middle. */
  #named: EncodedNames | undefined = { names: new Map(), files: new Map() };
  #closed = false;

  constructor({ maps, config, pid, links, programFiles, pins, isAdopted = false, inheritanceRefusal }: Opened) {
    super(maps, programFiles, inheritanceRefusal === undefined);
    this.inheritanceRefusal = inheritanceRefusal;
    this.#links = links;
    this.#config = config;
    this.#pid = pid;
    this.#pins = pins;
    this.#isKept = isAdopted;
    if (!isAdopted) return;
    this.#ways = waysIn(maps);
    // What the kernel has is compared with what it is told first.
    this.#named = undefined;
  }

  keep(): void {
    if (this.#pins === undefined) return;
    // Somebody may have removed it: all of it, as `panic open` does, or one who came to own it.
    if (this.#isKept && ownerOfPins(this.#pins.directory) !== undefined) return;
    keepMarks(this.#pins.directory, { maps: this.maps, links: this.#links });
    this.#isKept = true;
  }

  get handle(): SocketMarksHandle {
    return { maps: descriptorsOf(this.maps), inheritance: this.inheritance };
  }

  executables(): ReadonlyMap<ExecutableKey, number> {
    const entries = this.maps.executables.entries();
    return new Map(entries.map(({ key, value }) => [decodeExecutableKey(key), decodeExecutableRecord(value).number]));
  }

  takeStrangers(): readonly CreatorRecord[] {
    const { strangers } = this.maps;
    return strangers.entries().map(({ key, value }) => {
      strangers.delete(key);
      return decodeCreatorRecord(value);
    });
  }

  keepStarted(numbers: ReadonlySet<number>): void {
    const { tasks } = this.maps;
    for (const { key, value } of tasks.entries()) {
      const { startTicks, ...before } = decodeTaskRecord(value);
      const now = withNumbers(before, numbers);
      if (now === before) continue;
      if (now === undefined) tasks.delete(key);
      else tasks.update(key, encodeTaskRecord({ ...now, startTicks }));
    }
  }

  setWays(ways: ReadonlyMap<number, WayBits>): void {
    const changed = this.#ways === undefined ? allWays(ways, this.maps.ways.maxEntries) : changedWays(this.#ways, ways);
    this.#ways = undefined;
    this.maps.ways.updateAll(
      changed.map(([number, bits]) => ({ key: encodeU32(number), value: encodeWaysRecord(bits) })),
    );
    this.#ways = new Map(ways);
  }

  ways(): ReadonlyMap<number, WayBits> | undefined {
    return this.#ways;
  }

  setCgroupEpoch(epoch: number): void {
    this.#configure({ cgroupEpoch: epoch });
  }

  setNamed(named: NamedFiles): void {
    const before = this.#named;
    this.#named = undefined;
    const now = encodeNames(named);
    keepExactly(this.maps.names, before?.names, now.names, encodeFileName);
    keepExactly(this.maps.files, before?.files, now.files, encodeFileId);
    this.#named = now;
  }

  setNobody(nobody: Nobody | undefined): void {
    this.#configure({ nobody });
  }

  setScriptStarts(starts: ScriptStartsSeen): void {
    const before = this.#config.scripts;
    if (starts === 'not named') {
      if (before !== undefined) this.#configure({ scripts: undefined });
      return;
    }
    const seen = starts === 'seen';
    const seenBeforeNs = seen ? seenBefore() : (before?.seenBeforeNs ?? 0n);
    this.#configure({ scripts: { seen, seenBeforeNs, daemonPid: this.#pid } });
  }

  #configure(change: Partial<Config>): void {
    const config = { ...this.#config, ...change };
    this.maps.config.update(FIRST, encodeConfig(config));
    this.#config = config;
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    closeLinks(this.#links);
    closeMaps(this.maps);
  }
}

/** By the clock that the programs have, and nobody sets. */
function seenBefore(): bigint {
  const nowNs = process.hrtime.bigint();
  return nowNs < SCRIPT_OPENED_WITHIN_NS ? 0n : nowNs - SCRIPT_OPENED_WITHIN_NS;
}

/** Values of the maps, by the elements. */
interface EncodedNames {
  readonly names: ReadonlyMap<FileName, Uint8Array>;
  readonly files: ReadonlyMap<FileId, Uint8Array>;
}

function encodeNames({ names, files, byLink, numbers }: NamedFiles): EncodedNames {
  const flagsOf = (isFamily: boolean, isByLink = false): number =>
    (isFamily ? NAMED_FAMILY : 0) | (isByLink ? NAMED_BY_LINK : 0);
  return {
    names: new Map([...names].map(([name, isFamily]) => [name, encodeU32(flagsOf(isFamily, byLink?.has(name)))])),
    files: new Map(
      [...files].map(([id, isFamily]) => [
        id,
        encodeFileRecord({ flags: flagsOf(isFamily), number: numbers?.get(id) ?? 0 }),
      ]),
    ),
  };
}

/** New ones before old ones go: of neither is it ever said that it is not there. `before`: where not known, what the map has. */
function keepExactly<T extends string>(
  map: BpfMap,
  before: ReadonlyMap<T, Uint8Array> | undefined,
  now: ReadonlyMap<T, Uint8Array>,
  encode: (element: T) => Uint8Array,
): void {
  const isSame = (a: Uint8Array | undefined, b: Uint8Array): boolean => a?.every((byte, i) => byte === b[i]) === true;
  const changed = [...now].filter(([element, value]) => !isSame(before?.get(element), value));
  map.updateAll(changed.map(([element, value]) => ({ key: encode(element), value })));
  for (const element of before?.keys() ?? []) if (!now.has(element)) map.delete(encode(element));
  if (before !== undefined) return;
  const kept = new Set([...now.keys()].map((element) => textOf(encode(element))));
  for (const { key } of map.entries()) if (!kept.has(textOf(key))) map.delete(key);
}

function waysIn(maps: SocketMarkMaps): Map<number, WayBits> {
  const all = maps.ways.entries().map(({ key, value }) => [decodeU32(key), decodeWaysRecord(value)] as const);
  return new Map(all.filter(([, { v4, v6 }]) => v4 !== 0 || v6 !== 0));
}

const textOf = (key: Uint8Array): string => Buffer.from(key).toString('latin1');

function changedWays(before: ReadonlyMap<number, WayBits>, after: ReadonlyMap<number, WayBits>): [number, WayBits][] {
  const gone = [...before.keys()].filter((number) => !after.has(number));
  const changed = [...after].filter(([number, { v4, v6 }]) => {
    const old = before.get(number) ?? NO_WAYS;
    return old.v4 !== v4 || old.v6 !== v6;
  });
  return [...gone.map((number): [number, WayBits] => [number, NO_WAYS]), ...changed];
}

function allWays(ways: ReadonlyMap<number, WayBits>, count: number): [number, WayBits][] {
  const beyond = [...ways].filter(([number]) => number >= count);
  const whole = Array.from({ length: count }, (_, number): [number, WayBits] => [number, ways.get(number) ?? NO_WAYS]);
  return [...whole, ...beyond];
}
