import {
  type Config,
  type CreatorRecord,
  decodeCreatorRecord,
  decodeExecutableKey,
  decodeExecutableRecord,
  type ExecutableKey,
  encodeConfig,
  encodeFileId,
  encodeFileName,
  encodeU32,
  encodeWaysRecord,
  NAMED_FAMILY,
  type Nobody,
} from '../../bpf/records.ts';
import { KernelError } from '../kernel-error.ts';
import type { NamedFiles, SocketMarks, SocketMarksHandle, WayBits } from '../socket-marks.ts';
import type { BpfMap } from './bpf-map.ts';
import { attachInheritance, attachSocketProgram } from './marking-programs.ts';
import { namespaceCookie } from './namespace-cookie.ts';
import { ProgramFiles, sayHello } from './program-files.ts';
import { closeMaps, createMaps, descriptorsOf, MappedSocketMarks, type SocketMarkMaps } from './socket-mark-maps.ts';
import { readVmlinuxLayout } from './vmlinux-layout.ts';

const FIRST = encodeU32(0);
const NO_FAMILY = encodeU32(0);
const FAMILY = encodeU32(NAMED_FAMILY);
const NO_WAYS: WayBits = { v4: 0, v6: 0 };
/** Until one is set, no cgroup is known. */
const NO_EPOCH = 0xffffffff;

export interface SocketMarksOptions {
  /** Where the cgroup2 hierarchy is mounted, from its root. Sockets of processes below are marked. */
  readonly cgroupMountDir: string;
  /** Processes that may be written down as children and scripts; MAX_TASKS unless stated. */
  readonly maxTasks?: number;
}

/**
 * The real one, for the network namespace that the calling thread is in. Nothing of it outlives the process. Throws
 * KernelError whose `object` and message name what is missing.
 */
export function openSocketMarks({ cgroupMountDir, maxTasks }: SocketMarksOptions): SocketMarks {
  const layout = readVmlinuxLayout();
  const links: Disposable[] = [];
  let maps: SocketMarkMaps | undefined;
  try {
    maps = createMaps(maxTasks === undefined ? {} : { maxTasks });
    const descriptors = descriptorsOf(maps);
    const netnsCookie = namespaceCookie();
    const nobody: Config = { netnsCookie, pidNamespace: 0n, pidLevel: 0, cgroupEpoch: NO_EPOCH, hello: true };
    maps.config.update(FIRST, encodeConfig(nobody));
    links.push(attachSocketProgram(layout, descriptors, cgroupMountDir));
    const { task, pidNamespace, pidLevel } = sayHello(maps.hello);
    // Hellos stay answered: threads that borrow the maps say theirs. It costs others nothing, and tells them nothing.
    const config = { ...nobody, pidNamespace, pidLevel };
    maps.config.update(FIRST, encodeConfig(config));
    const inheritance = attachInheritance(layout, descriptors);
    if (!(inheritance instanceof KernelError)) links.push(...inheritance);
    return new LinuxSocketMarks({
      maps,
      config,
      links,
      programFiles: new ProgramFiles(maps, task),
      ...(inheritance instanceof KernelError && { inheritanceRefusal: inheritance }),
    });
  } catch (error) {
    closeAll(links);
    if (maps !== undefined) closeMaps(maps);
    throw error;
  }
}

function closeAll(disposables: readonly Disposable[]): void {
  for (const disposable of disposables.toReversed()) disposable[Symbol.dispose]();
}

interface Opened {
  readonly maps: SocketMarkMaps;
  readonly config: Config;
  readonly links: readonly Disposable[];
  readonly programFiles: ProgramFiles;
  readonly inheritanceRefusal?: KernelError;
}

class LinuxSocketMarks extends MappedSocketMarks implements SocketMarks {
  readonly inheritanceRefusal: KernelError | undefined;
  readonly #links: readonly Disposable[];
  #config: Config;
  #ways: ReadonlyMap<number, WayBits> | undefined = new Map();
  /** `undefined` where one was refused in the middle. */
  #named: NamedFiles | undefined = { names: new Map(), files: new Map() };
  #closed = false;

  constructor({ maps, config, links, programFiles, inheritanceRefusal }: Opened) {
    super(maps, programFiles, inheritanceRefusal === undefined);
    this.inheritanceRefusal = inheritanceRefusal;
    this.#links = links;
    this.#config = config;
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
    keepExactly(this.maps.names, before?.names, named.names, encodeFileName);
    keepExactly(this.maps.files, before?.files, named.files, encodeFileId);
    this.#named = named;
  }

  setNobody(nobody: Nobody | undefined): void {
    this.#configure({ nobody });
  }

  #configure(change: Partial<Config>): void {
    const config = { ...this.#config, ...change };
    this.maps.config.update(FIRST, encodeConfig(config));
    this.#config = config;
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    closeAll(this.#links);
    closeMaps(this.maps);
  }
}

/** New ones before old ones go: of neither is it ever said that it is not there. `before`: where not known, what the map has. */
function keepExactly<T extends string>(
  map: BpfMap,
  before: ReadonlyMap<T, boolean> | undefined,
  now: ReadonlyMap<T, boolean>,
  encode: (element: T) => Uint8Array,
): void {
  const changed = [...now].filter(([element, isFamily]) => before?.get(element) !== isFamily);
  map.updateAll(changed.map(([element, isFamily]) => ({ key: encode(element), value: isFamily ? FAMILY : NO_FAMILY })));
  for (const element of before?.keys() ?? []) if (!now.has(element)) map.delete(encode(element));
  if (before !== undefined) return;
  const kept = new Set([...now.keys()].map((element) => textOf(encode(element))));
  for (const { key } of map.entries()) if (!kept.has(textOf(key))) map.delete(key);
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
