/**
 * Keeps the kernel's picture of programs up to date: which files have a number, which names a file has that may get one, and which
 * programs and cgroups are known to be named by nobody. Of numbers it is a cache of what the slow path says: one may be missing, then a
 * flow is asked about. Names may not (`told-names.ts`). It may never say "nobody" for what is named.
 */
import { MAX_CGROUPS } from '../bpf/maps.ts';
import {
  describeExecutableKey,
  type ExecutableKey,
  type FileName,
  NO_EXECUTABLE,
  type ProgramFile,
  parseExecutableKey,
} from '../bpf/records.ts';
import { isInterpreter } from '../identify/interpreter.ts';
import { NamedFiles } from '../identify/named-files.ts';
import { placeOfEntry } from '../identify/policy-names.ts';
import { BROKERS } from '../identify/socket-broker.ts';
import type { CgroupTree } from '../kernel/cgroup.ts';
import { type FileChange, fileChange, isSameChange } from '../kernel/file-identity.ts';
import { nameAtPath, nameWhereLinkLeads } from '../kernel/file-name.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { Proc } from '../kernel/proc.ts';
import type { ExecutableProgram, SocketMarks } from '../kernel/socket-marks.ts';
import { namedPrograms, programName, programOfEntry } from '../plan/program.ts';
import { PROGRAM_DAEMON, PROGRAM_NONE_FIRST } from '../plan/reserved.ts';
import type { ProcessOwner } from '../policy/identity.ts';
import {
  type AppMatch,
  cgroupAncestry,
  keepsChildren,
  matchExactCgroup,
  yieldsToFamilies,
} from '../policy/match-app.ts';
import { weighsUserModeNetworks } from '../policy/policies-behind.ts';
import { speaksOfCgroups } from '../policy/told-by.ts';
import { isUserModeNetwork, userModeNetworkPaths } from '../policy/user-mode-networks.ts';
import { bindDescendants } from './bind-descendants.ts';
import { bindStarted, startedAs, startedAsNobody } from './bind-started.ts';
import type { InForce } from './in-force.ts';
import { ToldNames } from './told-names.ts';
import type { VerdictEvent } from './verdict-loop.ts';

/** Files known to be named by nobody although they are called as a named one; when there are more, the longest known is forgotten. */
export const MAX_UNNAMED = 16_384;
/** Files that one path has and had: of those before, nothing is known any more. */
export const MAX_KEYS_OF_PATH = 16;
/** Named paths that are looked at in one go. */
const PATHS_A_LOOK = 1000;
/** Where only root makes names. Elsewhere even looking at a file may take as long as its owner likes. */
const SYSTEM_DIRECTORIES = /^\/(bin|lib|lib32|lib64|opt|sbin|usr)\//;
/** Of cgroups that are known: their ids are not given out again. */
const CGROUP_EPOCH = 1;
/** Of those that are to be asked about once more. */
const NO_CGROUP_EPOCH = 0;

export interface KnownProgramsParts {
  readonly marks: SocketMarks;
  readonly proc: Proc;
  readonly cgroups: CgroupTree | undefined;
  /** Whether the kernel tells of listed scripts when they start; where not, what can run one is never "nobody's". */
  readonly tellsScripts: () => boolean;
  /** For the pauses between looks at all named files; the real one unless stated. */
  readonly monotonicMs?: () => number;
}

/** What a path has, also where the number of its file is that of a path before it. */
interface NamedFile {
  /** The latest first: the others it had. Whoever started one of them then is the program still, whoever starts one now is asked about. */
  readonly keys: readonly [ExecutableKey, ...ExecutableKey[]];
  /** Of the latest file: where a link leads, another one than the path's. */
  readonly name: FileName;
  readonly program: ExecutableProgram;
}

export class KnownPrograms {
  readonly #parts: KnownProgramsParts;
  readonly #named = new Map<string, NamedFile>();
  /** Whose number each key of these has: a file may have several names, of which the first of the policies holds. */
  readonly #pathOfKey = new Map<ExecutableKey, string>();
  /** By named path: what a file will be called that comes to where a link there leads, as nothing is there now. */
  readonly #awaited = new Map<string, FileName>();
  /** In the order in which they became known. */
  readonly #unnamed = new Map<ExecutableKey, { readonly mayRunScripts: boolean; readonly none: number }>();
  /** Of programs that serve network namespaces, and that no policy names. */
  #served: ReadonlySet<ExecutableKey> = new Set();
  readonly #cgroups = new Set<bigint>();
  /** Since the last plan, by which a later one was not made: that one may speak of them, and not have their ids. */
  readonly #lateCgroups = new Map<bigint, string>();
  readonly #files: NamedFiles;
  #inForce: InForce | undefined;
  #lookedAt = 0;
  readonly #told: ToldNames;
  /** What the kernel was told of names is of before. */
  #namesAreOld = true;
  /** Of what was there when a path was looked at last: a file changes with whatever gives it another key. */
  readonly #seen = new Map<string, FileChange>();
  /** Whether the kernel can tell each program that is named. */
  #allHaveNumbers = false;
  /** Whether any application keeps what it starts, although a package's file names it. */
  #anyFamilyKeeps = false;
  /** A plan is being applied: what policies say now does not hold in the kernel yet. */
  #isChanging = false;

  constructor(parts: KnownProgramsParts) {
    this.#parts = parts;
    const { marks, proc } = parts;
    this.#files = new NamedFiles(parts.monotonicMs);
    this.#told = new ToldNames(marks);
    marks.setCgroupEpoch(CGROUP_EPOCH);
    const startTicks = proc.stat(process.pid)?.startTimeTicks;
    // The daemon's questions for names are part of what others wait for. A program that it starts is not the daemon.
    if (startTicks !== undefined) marks.bindTask(process.pid, startTicks, { number: PROGRAM_DAEMON, script: true });
  }

  /** From here on until `follow`, nothing is learned. */
  beginChange(): void {
    this.#isChanging = true;
    // The plan may speak of cgroups that nobody has spoken of.
    if (this.#inForce !== undefined) this.#tellNobody(this.#inForce);
    for (const id of this.#lateCgroups.keys()) {
      this.#cgroups.delete(id);
      this.#parts.marks.addCgroup(id, NO_CGROUP_EPOCH);
    }
  }

  /** What is in force now. Throws KernelError: then nothing is learned either, and the next call tries all of it again. */
  follow(inForce: InForce | undefined): void {
    const before = this.#inForce;
    if (inForce !== undefined && inForce !== before) {
      this.#isChanging = true;
      this.#tell(inForce, before);
      this.#inForce = inForce;
    }
    this.#isChanging = false;
    if (this.#inForce === undefined) return;
    for (const [id, path] of this.#lateCgroups) if (this.#isTold(path, this.#inForce)) this.#addCgroup(id);
    this.#lateCgroups.clear();
    this.#tellNobody(this.#inForce);
  }

  /** Starts of scripts are not seen any more, or are again. */
  scriptsChanged(): void {
    if (this.#inForce === undefined) return;
    this.#renewUnnamed(this.#inForce);
    this.#tellNobody(this.#inForce);
  }

  /**
   * Files come to be under a named path without a change that a policy would tell: a link is switched, a directory renamed.
   * Throws KernelError.
   */
  look(): void {
    const inForce = this.#inForce;
    if (inForce === undefined || this.#isChanging) return;
    this.#lookAt(this.#nextPaths(inForce), inForce);
  }

  /** The same at once for these, by the path as it is written. False while a plan is being applied: then nothing is learned. Throws KernelError. */
  lookAt(places: ReadonlySet<string>): boolean {
    const inForce = this.#inForce;
    if (inForce === undefined || this.#isChanging) return false;
    const paths = [...inForce.index.byExecutable].filter(([path, match]) => places.has(placeOfEntry(path, match)));
    this.#lookAt(paths, inForce);
    return true;
  }

  #lookAt(paths: readonly (readonly [string, AppMatch])[], inForce: InForce): void {
    const learned: boolean[] = [];
    for (const [path, match] of paths) {
      const place = placeOfEntry(path, match);
      const change = fileChange(place);
      if (change === undefined) this.#noteMissing(path, place);
      if (isSameChange(change, this.#seen.get(path))) continue;
      const file = this.#parts.marks.programFile(place);
      if (change === undefined) this.#seen.delete(path);
      else this.#seen.set(path, change);
      if (file !== undefined) learned.push(this.#noteNamed(path, file, match, inForce));
    }
    this.#tellUserModeNetworks(inForce);
    this.#tellNames(inForce);
    if (learned.includes(true)) bindDescendants(this.#parts, inForce);
  }

  /** What the slow path found out. */
  note({ owner, revision }: VerdictEvent): void {
    const inForce = this.#inForce;
    if (this.#isChanging || inForce === undefined || revision !== inForce.snapshot.revision) return;
    if (owner.kind !== 'process') return;
    try {
      if (owner.cgroup !== undefined) this.#noteCgroup(owner.cgroup, inForce);
      this.#noteExecutable(owner, inForce);
      this.#tellNames(inForce);
    } catch (error) {
      // Ignoring it: whatever is not known is asked about again.
      if (!(error instanceof KernelError)) throw error;
    }
  }

  /**
   * Programs that have made sockets, and that may have ended before anybody could look: the kernel has noted what they ran,
   * so that the next start is known. Throws KernelError.
   */
  noteStrangers(): void {
    const inForce = this.#inForce;
    if (inForce === undefined || this.#isChanging) return;
    for (const { executable: key, cgroupId, command } of this.#parts.marks.takeStrangers()) {
      if (key === NO_EXECUTABLE || isUserModeNetwork(command)) continue;
      this.#noteFile(key, undefined, inForce);
      if (this.#cgroups.has(cgroupId)) continue;
      const path = this.#parts.cgroups?.pathOfId(cgroupId);
      if (path !== undefined) this.#noteCgroup(path, inForce);
    }
    this.#tellNames(inForce);
  }

  /**
   * A file under no named path, as far as anybody knows: whoever found that out may have looked before it came under one.
   * `executable`: what a process that runs it calls it, where that is known.
   */
  #noteFile(key: ExecutableKey, executable: string | undefined, inForce: InForce): void {
    if (this.#pathOfKey.has(key) || this.#served.has(key)) return;
    if (executable !== undefined && isUserModeNetwork(executable)) return;
    if (this.#unnamed.has(key)) {
      this.#noteUnnamed(key, executable, inForce);
      return;
    }
    const { byExecutable } = inForce.index;
    const placeOf = (path: string): string => placeOfEntry(path, byExecutable.get(path));
    const names = { executables: () => byExecutable.keys(), placeOf };
    const called = executable === undefined ? [] : [executable];
    const { paths, isNow } = this.#files.withInode(describeExecutableKey(key).inode, names, { called });
    const path = paths.find((candidate) => this.#parts.marks.keyOfFile(placeOf(candidate)) === key);
    const match = path === undefined ? undefined : byExecutable.get(path);
    if (path !== undefined && match !== undefined) {
      const file = this.#fileWithKey(placeOf(path), key);
      if (this.#noteNamed(path, file, match, inForce)) bindDescendants(this.#parts, inForce);
    } else if (isNow) this.#noteUnnamed(key, executable, inForce);
  }

  /** Nobody's programs come after all that may be somebody's. */
  #tell(inForce: InForce, before: InForce | undefined): void {
    const [old, now] = [before?.index, inForce.index];
    const sameNumbers = before?.ids.programs === inForce.ids.programs;
    // Should something be refused on the way, the number of before may come to mean nobody again some day.
    if (!sameNumbers) this.#parts.marks.setNobody(undefined);
    if (!sameNumbers) this.#allHaveNumbers = allHaveNumbers(inForce);
    if (old?.byExecutable !== now.byExecutable || old.byParent !== now.byParent || !sameNumbers)
      this.#learnNamed(inForce);
    if (before === undefined) this.#adopt(inForce);
    this.#tellUserModeNetworks(inForce);
    if (old?.byParent !== now.byParent) bindDescendants(this.#parts, inForce);
    if (old?.byExecutable !== now.byExecutable) bindStarted(this.#parts, inForce, (key) => this.#pathOfKey.get(key));
    if (!sameNumbers) this.#parts.marks.keepStarted(new Set(inForce.ids.programs.numbers.values()));
    if (before?.ids.programs.none !== inForce.ids.programs.none) this.#renewUnnamed(inForce);
    if (before?.machine.host.cgroups !== inForce.machine.host.cgroups) this.#addCgroups(inForce);
    this.#tellNames(inForce);
  }

  /**
   * What the kernel knows from a daemon before this one: programs that run go on being what they were, and strangers that were known
   * stay known. All named files have just been learned.
   */
  #adopt(inForce: InForce): void {
    const pathOfNumber = new Map<number, string>();
    for (const [path, match] of inForce.index.byExecutable) {
      const program = this.#programOf(path, match, inForce);
      if (program !== undefined) pathOfNumber.set(program.number, path);
    }
    const others: [ExecutableKey, number][] = [];
    for (const [key, number] of this.#parts.marks.executables()) {
      if (this.#pathOfKey.has(key)) continue;
      const named = this.#named.get(pathOfNumber.get(number) ?? '');
      if (named === undefined || named.keys.length >= MAX_KEYS_OF_PATH) others.push([key, number]);
      else this.#setNamed(pathOfNumber.get(number) ?? '', { ...named, keys: [...named.keys, key] }, false);
    }
    this.#tellNames(inForce);
    for (const [key, number] of others) {
      if (number < PROGRAM_NONE_FIRST || this.#isFileOfNamed(key) || this.#unnamed.size >= MAX_UNNAMED)
        this.#parts.marks.forgetExecutable(key);
      else this.#unnamed.set(key, { mayRunScripts: true, none: number });
    }
  }

  #tellNames({ index }: InForce): void {
    if (!this.#namesAreOld) return;
    const hasFamily = (match: AppMatch | undefined): boolean =>
      match !== undefined && index.byParent.has(match.policy.app);
    const paths = Array.from(index.byExecutable, ([path, match]) => {
      const place = placeOfEntry(path, match);
      const others = [this.#named.get(path)?.name, this.#awaited.get(path), nameAtPath(place)];
      const names = others.filter((name) => name !== undefined);
      return { path, names, hasFamily: hasFamily(match), byLink: place !== path };
    });
    const keys = Array.from(this.#named, ([path, { keys: all, program }]) =>
      all.map((key) => ({ key, hasFamily: hasFamily(index.byExecutable.get(path)), number: program.number })),
    ).flat();
    this.#told.tell(paths, keys);
    this.#namesAreOld = false;
  }

  /**
   * Who serves network namespaces is asked about, whoever started it: number 0 comes before the family of which a process is. Files of
   * those names elsewhere are asked about where nothing else is known of them.
   */
  #tellUserModeNetworks({ policySet }: InForce): void {
    const isWeighed = weighsUserModeNetworks(policySet);
    const now = new Set<ExecutableKey>();
    for (const path of isWeighed ? userModeNetworkPaths() : []) {
      const key = this.#parts.marks.keyOfFile(path);
      if (key === undefined || this.#pathOfKey.has(key)) continue;
      now.add(key);
      if (this.#served.has(key)) continue;
      if (this.#unnamed.has(key)) this.#forgetUnnamed(key);
      this.#parts.marks.setExecutable(key, { number: 0 });
    }
    for (const key of this.#served)
      if (!now.has(key) && !this.#pathOfKey.has(key)) this.#parts.marks.forgetExecutable(key);
    this.#served = now;
  }

  #tellNobody(inForce: InForce): void {
    const number = inForce.ids.programs.none;
    const isKnown = !this.#namesAreOld && this.#mayBeNobody(inForce, true);
    const inAnyCgroup = !this.#isChanging && !speaksOfCgroups(inForce.index);
    this.#parts.marks.setNobody(isKnown ? { number, inAnyCgroup } : undefined);
  }

  /** Each time the next ones, so that thousands cost no noticeable moment. */
  #nextPaths({ index }: InForce): readonly (readonly [string, AppMatch])[] {
    const all = [...index.byExecutable];
    const from = this.#lookedAt < all.length ? this.#lookedAt : 0;
    this.#lookedAt = from + PATHS_A_LOOK;
    return all.slice(from, this.#lookedAt);
  }

  #programOf(path: string, match: AppMatch, { ids, index }: InForce): ExecutableProgram | undefined {
    const { policy } = match;
    const { numbers } = ids.programs;
    const number = numbers.get(programName(programOfEntry('exec', path, match)));
    if (number === undefined) return undefined;
    const children = index.byParent.has(policy.app)
      ? numbers.get(programName({ kind: 'children', app: policy.app }))
      : undefined;
    return {
      number,
      ...(children !== undefined && { childrenNumber: children, ...(keepsChildren(policy) && { keeps: true }) }),
      ...(this.#anyFamilyKeeps && yieldsToFamilies(match) && { yields: true }),
    };
  }

  #learnNamed(inForce: InForce): void {
    this.#files.forget();
    this.#anyFamilyKeeps = [...inForce.index.byParent.values()].some(({ policy }) => keepsChildren(policy));
    const { byExecutable } = inForce.index;
    const former = this.#formerKeys(inForce);
    for (const path of [...this.#named.keys()]) if (!byExecutable.has(path)) this.#forgetNamed(path);
    for (const gone of [this.#seen, this.#awaited])
      for (const path of [...gone.keys()]) if (!byExecutable.has(path)) gone.delete(path);
    const taken = new Set<ExecutableKey>();
    for (const [path, match] of byExecutable) {
      const program = this.#programOf(path, match, inForce);
      const before = this.#named.get(path);
      const place = placeOfEntry(path, match);
      const known = before ?? asNamed(this.#parts.marks.programFile(place));
      if (known === undefined) this.#noteMissing(path, place);
      if (program === undefined || known === undefined) {
        this.#forgetNamed(path);
        continue;
      }
      const [latest] = known.keys;
      // Of several names for one file the first of the policies holds, as everywhere.
      const isFirst = !taken.has(latest);
      taken.add(latest);
      const isHeld = this.#pathOfKey.get(latest) === path;
      const keys = withFormer(known.keys, former.get(program.number) ?? []);
      const isSame = before !== undefined && isHeld === isFirst && isSameProgram(before.program, program);
      if (!isSame || keys.length !== known.keys.length) this.#setNamed(path, { ...known, keys, program }, isFirst);
    }
    this.#namesAreOld = true;
  }

  /** By the number of the program: the files of those to which a link led that leads elsewhere now. */
  #formerKeys({ index, ids }: InForce): ReadonlyMap<number, readonly ExecutableKey[]> {
    const keys = new Map<number, readonly ExecutableKey[]>();
    const inUse = new Set(ids.programs.numbers.values());
    for (const [path, named] of this.#named) {
      const { number } = named.program;
      if (!index.byExecutable.has(path) && inUse.has(number)) keys.set(number, named.keys);
    }
    return keys;
  }

  /** `isFirst`: the latest key is taken from whoever has it. */
  #setNamed(path: string, named: NamedFile, isFirst: boolean): void {
    const { keys, program } = named;
    this.#namesAreOld = true;
    for (const key of keys) {
      const isTaken = isFirst && key === keys[0];
      if (!isTaken && (this.#pathOfKey.get(key) ?? path) !== path) continue;
      // Should the number not be taken, it is at least nobody's no more.
      if (this.#unnamed.has(key)) this.#forgetUnnamed(key);
      const isFormer = key !== keys[0] && this.#parts.marks.inheritance;
      this.#parts.marks.setExecutable(key, isFormer ? { ...program, former: true } : program);
      this.#pathOfKey.set(key, path);
    }
    this.#named.set(path, named);
  }

  /** `place`: the path as it is written. */
  #noteMissing(path: string, place: string): void {
    const name = nameWhereLinkLeads(place);
    if (name === this.#awaited.get(path)) return;
    if (name === undefined) this.#awaited.delete(path);
    else this.#awaited.set(path, name);
    this.#namesAreOld = true;
  }

  #forgetNamed(path: string): void {
    for (const key of this.#named.get(path)?.keys ?? []) this.#forgetKey(path, key);
    this.#named.delete(path);
  }

  #forgetKey(path: string, key: ExecutableKey): void {
    if (this.#pathOfKey.get(key) !== path) return;
    this.#pathOfKey.delete(key);
    this.#parts.marks.forgetExecutable(key);
  }

  #noteExecutable(owner: ProcessOwner, inForce: InForce): void {
    const key = parseExecutableKey(owner.executableKey ?? '');
    const { executable } = owner;
    if (key === undefined) return;
    const match = executable === undefined ? undefined : inForce.index.byExecutable.get(executable);
    if (executable !== undefined && match !== undefined && owner.executableUnproven !== true) {
      const place = placeOfEntry(executable, match);
      const file = this.#fileWithKey(place, key);
      // Of one that has been touched or replaced since, only the process is what it was.
      const isThere = !this.#parts.marks.inheritance || this.#parts.marks.keyOfFile(place) === key;
      if (isThere && this.#noteNamed(executable, file, match, inForce)) bindDescendants(this.#parts, inForce);
      const program = this.#programOf(executable, match, inForce);
      if (owner.foundBy === 'creator' && program !== undefined) startedAs(this.#parts, owner.pid, program);
    } else if (match === undefined) {
      this.#noteFile(key, executable, inForce);
      if (owner.foundBy === 'creator' && this.#unnamed.has(key)) startedAsNobody(this.#parts, owner.pid);
    }
  }

  /**
   * The file under a path has been replaced; what still runs the old one goes on being it. True where programs that were
   * started from the new one before may have started others.
   */
  #noteNamed(path: string, { key, name }: ProgramFile, match: AppMatch, inForce: InForce): boolean {
    const known = this.#named.get(path);
    // Also of a path that has a file again, or one that is another's: policies may come to leave out that other one.
    if (known?.keys[0] === key && known.name === name) return false;
    const holder = this.#pathOfKey.get(key) ?? path;
    const isFirst = holder === path || isBefore(path, holder, inForce);
    const program = this.#programOf(path, match, inForce);
    if (program === undefined) return false;
    const all = [key, ...(known?.keys ?? []).filter((other) => other !== key)];
    for (const old of all.slice(MAX_KEYS_OF_PATH)) this.#forgetKey(path, old);
    this.#setNamed(path, { keys: withFormer([key], known?.keys ?? []), name, program }, isFirst);
    return isFirst && program.childrenNumber !== undefined;
  }

  /** The path may have another file by now. */
  #fileWithKey(path: string, key: ExecutableKey): ProgramFile {
    const file = this.#parts.marks.programFile(path);
    return file?.key === key ? file : { key, name: nameAtPath(path) };
  }

  /** `executable`: what a process that runs it calls it, where that is known. */
  #noteUnnamed(key: ExecutableKey, executable: string | undefined, inForce: InForce): void {
    const { none } = inForce.ids.programs;
    const known = this.#unnamed.get(key);
    // A socket that is older than what is known of its program asks for each of its flows.
    if (known?.none === none) return;
    const mayRunScripts = known?.mayRunScripts ?? this.#mayRunScripts(executable, key);
    if (!this.#mayBeNobody(inForce, mayRunScripts)) return;
    this.#tellNames(inForce);
    if (!this.#unnamed.has(key) && this.#isFileOfNamed(key)) return;
    const [oldest] = this.#unnamed.keys();
    if (this.#unnamed.size >= MAX_UNNAMED && oldest !== undefined && !this.#unnamed.has(key))
      this.#forgetUnnamed(oldest);
    this.#parts.marks.setExecutable(key, { number: none });
    this.#unnamed.set(key, { mayRunScripts, none });
  }

  /** Whoever found that it is nobody's may have looked before the file got its name; and a broker's sockets are those of others. */
  #isFileOfNamed(key: ExecutableKey): boolean {
    return this.#told.hasFile(key) || BROKERS.some((path) => this.#parts.marks.keyOfFile(path) === key);
  }

  /** An interpreter tells itself by its name, and in its own mounts a process may call it anything. */
  #mayRunScripts(executable: string | undefined, key: ExecutableKey): boolean {
    if (executable === undefined || isInterpreter(executable) || !SYSTEM_DIRECTORIES.test(executable)) return true;
    return this.#parts.marks.keyOfFile(executable) !== key;
  }

  /** All named files have just been learned: whatever is left is still nobody's. */
  #renewUnnamed(inForce: InForce): void {
    const { none } = inForce.ids.programs;
    for (const [key, { mayRunScripts }] of this.#unnamed) {
      if (this.#mayBeNobody(inForce, mayRunScripts)) {
        this.#parts.marks.setExecutable(key, { number: none });
        this.#unnamed.set(key, { mayRunScripts, none });
      } else this.#forgetUnnamed(key);
    }
  }

  #forgetUnnamed(key: ExecutableKey): void {
    this.#unnamed.delete(key);
    this.#parts.marks.forgetExecutable(key);
  }

  /** Whether what tells a program before its executable does would be seen. */
  #mayBeNobody({ index }: InForce, mayRunScripts: boolean): boolean {
    const { marks, tellsScripts } = this.#parts;
    if (!this.#allHaveNumbers || (index.byParent.size > 0 && !marks.inheritance)) return false;
    return index.byScript.size === 0 || tellsScripts() || !mayRunScripts;
  }

  /**
   * The cgroup counts as known where the maps in force tell what policies say about it. They have the ids of those that were there
   * when they were made: one that is made anew under a path is another. To be asked after the id of the cgroup at `path`.
   */
  #isTold(path: string, { index, machine }: InForce): boolean {
    const { facts, host } = machine;
    const told = cgroupAncestry(path).find((above) => matchExactCgroup(index, above, facts.containers) !== undefined);
    if (told === undefined) return true;
    const id = this.#parts.cgroups?.idOfPath(told);
    return host.cgroups.some((cgroup) => cgroup.path === told && cgroup.id === id);
  }

  #noteCgroup(path: string, inForce: InForce): void {
    const id = this.#parts.cgroups?.idOfPath(path);
    if (id === undefined || this.#cgroups.has(id) || !this.#isTold(path, inForce)) return;
    this.#addCgroup(id);
    this.#lateCgroups.set(id, path);
  }

  #addCgroup(id: bigint): void {
    this.#cgroups.add(id);
    this.#parts.marks.addCgroup(id, CGROUP_EPOCH);
    const [oldest] = this.#cgroups;
    // The kernel keeps no more of them either.
    if (this.#cgroups.size > MAX_CGROUPS && oldest !== undefined) this.#cgroups.delete(oldest);
  }

  /** All that exist, so that nobody has to ask once for each of them. */
  #addCgroups(inForce: InForce): void {
    for (const { path, id } of this.#parts.cgroups?.walk() ?? []) {
      if (!this.#cgroups.has(id) && this.#isTold(path, inForce)) this.#addCgroup(id);
    }
  }
}

const asNamed = (file: ProgramFile | undefined): Omit<NamedFile, 'program'> | undefined =>
  file && { keys: [file.key], name: file.name };

function withFormer(
  [latest, ...before]: readonly [ExecutableKey, ...ExecutableKey[]],
  former: readonly ExecutableKey[],
): readonly [ExecutableKey, ...ExecutableKey[]] {
  const others = new Set([...before, ...former]);
  others.delete(latest);
  return [latest, ...[...others].slice(0, MAX_KEYS_OF_PATH - 1)];
}

const isSameProgram = (a: ExecutableProgram, b: ExecutableProgram): boolean =>
  a.number === b.number && a.childrenNumber === b.childrenNumber && a.keeps === b.keeps && a.yields === b.yields;

const allHaveNumbers = ({ index, ids }: InForce): boolean =>
  [...namedPrograms(index)].every(({ program }) => ids.programs.numbers.has(programName(program)));

/** In the order of the policies. */
function isBefore(path: string, other: string, { index }: InForce): boolean {
  for (const each of index.byExecutable.keys()) if (each === path || each === other) return each === path;
  return false;
}
