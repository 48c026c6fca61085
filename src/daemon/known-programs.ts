/**
 * Keeps the kernel's picture of programs up to date: which files have a number, and which programs and cgroups are known to
 * be named by nobody. It is a cache of what the slow path says: an entry may be missing, then a flow is asked about; it may
 * never say "nobody" for what is named.
 */
import { describeExecutableKey, type ExecutableKey, parseExecutableKey } from '../bpf/records.ts';
import { isInterpreter } from '../identify/interpreter.ts';
import type { CgroupTree } from '../kernel/cgroup.ts';
import { fileIdentity } from '../kernel/file-identity.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { Proc } from '../kernel/proc.ts';
import type { ExecutableProgram, SocketMarks } from '../kernel/socket-marks.ts';
import { programName } from '../plan/program.ts';
import { PROGRAM_DAEMON } from '../plan/reserved.ts';
import type { ProcessOwner } from '../policy/identity.ts';
import { type AppMatch, cgroupAncestry, matchExactCgroup } from '../policy/match-app.ts';
import { bindDescendants } from './bind-descendants.ts';
import type { InForce } from './enforce.ts';
import type { VerdictEvent } from './verdict-loop.ts';

/** Files known to be named by nobody; when there are more, the longest known is forgotten. */
export const MAX_UNNAMED = 16_384;
/** Files that one path had and that programs may still run. */
const MAX_KEYS_OF_PATH = 4;
/** Named paths that are looked at in one go. */
const PATHS_A_LOOK = 1000;
/** What is known of cgroups is never taken back: their ids are not given out again. */
const CGROUP_EPOCH = 1;

export interface KnownProgramsParts {
  readonly marks: SocketMarks;
  readonly proc: Proc;
  readonly cgroups: CgroupTree | undefined;
  /** Whether the kernel tells of listed scripts when they start; where not, what can run one is never "nobody's". */
  readonly tellsScripts: () => boolean;
}

interface NamedFile {
  /** The latest first. */
  readonly keys: readonly ExecutableKey[];
  readonly program: ExecutableProgram;
}

export class KnownPrograms {
  readonly #parts: KnownProgramsParts;
  readonly #named = new Map<string, NamedFile>();
  /** In the order in which they became known; whether it can run scripts. */
  readonly #unnamed = new Map<ExecutableKey, { readonly isInterpreter: boolean }>();
  readonly #cgroups = new Set<bigint>();
  #inForce: InForce | undefined;
  #lookedAt = 0;
  /** A plan is being applied: what policies say now does not hold in the kernel yet. */
  #isChanging = false;

  constructor(parts: KnownProgramsParts) {
    this.#parts = parts;
    const { marks, proc } = parts;
    marks.setCgroupEpoch(CGROUP_EPOCH);
    const startTicks = proc.stat(process.pid)?.startTimeTicks;
    // The daemon's questions for names are part of what others wait for. A program that it starts is not the daemon.
    if (startTicks !== undefined) marks.bindTask(process.pid, startTicks, { number: PROGRAM_DAEMON, script: true });
  }

  /** From here on until `follow`, nothing is learned. */
  beginChange(): void {
    this.#isChanging = true;
  }

  /** What is in force now. Throws KernelError. */
  follow(inForce: InForce | undefined): void {
    this.#isChanging = false;
    const before = this.#inForce;
    if (inForce === undefined || inForce === before) return;
    this.#inForce = inForce;
    const [old, now] = [before?.index, inForce.index];
    const sameNumbers = before?.ids.programs === inForce.ids.programs;
    if (old?.byExecutable !== now.byExecutable || old.byParent !== now.byParent || !sameNumbers)
      this.#learnNamed(inForce);
    if (before?.ids.programs.none !== inForce.ids.programs.none) this.#renewUnnamed(inForce);
    if (before?.machine.host.cgroups !== inForce.machine.host.cgroups) this.#addCgroups(inForce);
    if (old?.byParent !== now.byParent) bindDescendants(this.#parts, inForce);
  }

  /** Starts of scripts are not seen any more, or are again. */
  scriptsChanged(): void {
    if (this.#inForce !== undefined) this.#renewUnnamed(this.#inForce);
  }

  /**
   * Files come to be under a named path without a change that a policy would tell: a link is switched, a directory renamed.
   * Throws KernelError.
   */
  look(): void {
    const inForce = this.#inForce;
    if (inForce === undefined || this.#isChanging) return;
    for (const [path, match] of this.#nextPaths(inForce)) {
      const inode = fileIdentity(path)?.inode;
      const [latest] = this.#named.get(path)?.keys ?? [];
      if (inode === undefined || (latest !== undefined && describeExecutableKey(latest).inode === inode)) continue;
      const key = this.#parts.marks.keyOfFile(path);
      if (key !== undefined) this.#noteNamed(path, key, match, inForce);
    }
  }

  /** What the slow path found out. */
  note({ owner, revision }: VerdictEvent): void {
    const inForce = this.#inForce;
    if (this.#isChanging || inForce === undefined || revision !== inForce.snapshot.revision) return;
    if (owner.kind !== 'process') return;
    try {
      if (owner.cgroup !== undefined) this.#noteCgroup(owner.cgroup, inForce);
      this.#noteExecutable(owner, inForce);
    } catch (error) {
      // Ignoring it: whatever is not known is asked about again.
      if (!(error instanceof KernelError)) throw error;
    }
  }

  /** Each time the next ones, so that thousands cost no noticeable moment. */
  #nextPaths({ index }: InForce): readonly (readonly [string, AppMatch])[] {
    const all = [...index.byExecutable];
    const from = this.#lookedAt < all.length ? this.#lookedAt : 0;
    this.#lookedAt = from + PATHS_A_LOOK;
    return all.slice(from, this.#lookedAt);
  }

  #programOf(path: string, { policy }: AppMatch, { ids, index }: InForce): ExecutableProgram | undefined {
    const { numbers } = ids.programs;
    const number = numbers.get(programName({ kind: 'exec', path }));
    if (number === undefined) return undefined;
    const children = index.byParent.has(policy.app)
      ? numbers.get(programName({ kind: 'children', app: policy.app }))
      : undefined;
    return { number, ...(children !== undefined && { childrenNumber: children }) };
  }

  #learnNamed(inForce: InForce): void {
    const { marks } = this.#parts;
    const { byExecutable } = inForce.index;
    for (const [path, { keys }] of this.#named) {
      if (byExecutable.has(path)) continue;
      for (const key of keys) marks.forgetExecutable(key);
      this.#named.delete(path);
    }
    const taken = new Set<ExecutableKey>();
    for (const [path, match] of byExecutable) {
      const program = this.#programOf(path, match, inForce);
      if (program === undefined) continue;
      const known = this.#named.get(path);
      const latest = known?.keys[0] ?? marks.keyOfFile(path);
      // Of several names for one file the first of the policies holds, as everywhere.
      if (latest === undefined || taken.has(latest)) continue;
      taken.add(latest);
      const keys = known?.keys ?? [latest];
      if (known === undefined || !isSameProgram(known.program, program)) this.#setNamed(path, keys, program);
    }
  }

  #setNamed(path: string, keys: readonly ExecutableKey[], program: ExecutableProgram): void {
    for (const key of keys) {
      this.#unnamed.delete(key);
      this.#parts.marks.setExecutable(key, program);
    }
    this.#named.set(path, { keys, program });
  }

  #noteExecutable(owner: ProcessOwner, inForce: InForce): void {
    const key = parseExecutableKey(owner.executableKey ?? '');
    const { executable } = owner;
    if (key === undefined) return;
    const match = executable === undefined ? undefined : inForce.index.byExecutable.get(executable);
    if (executable !== undefined && match !== undefined && owner.executableUnproven !== true) {
      this.#noteNamed(executable, key, match, inForce);
    } else if (match === undefined) this.#noteUnnamed(key, owner, inForce);
  }

  /** The file under a path has been replaced; what still runs the old one goes on being it. */
  #noteNamed(path: string, key: ExecutableKey, match: AppMatch, inForce: InForce): void {
    const known = this.#named.get(path);
    if (known?.keys.includes(key)) return;
    const program = this.#programOf(path, match, inForce);
    if (program === undefined) return;
    const keys = [key, ...(known?.keys ?? [])];
    for (const old of keys.slice(MAX_KEYS_OF_PATH)) this.#parts.marks.forgetExecutable(old);
    this.#setNamed(path, keys.slice(0, MAX_KEYS_OF_PATH), program);
  }

  #noteUnnamed(key: ExecutableKey, { executable = '' }: ProcessOwner, inForce: InForce): void {
    const { ids } = inForce;
    const runsScripts = isInterpreter(executable);
    if (!this.#mayBeNobody(inForce, runsScripts)) return;
    const [oldest] = this.#unnamed.keys();
    if (this.#unnamed.size >= MAX_UNNAMED && oldest !== undefined && !this.#unnamed.has(key))
      this.#forgetUnnamed(oldest);
    this.#unnamed.set(key, { isInterpreter: runsScripts });
    this.#parts.marks.setExecutable(key, { number: ids.programs.none });
  }

  /** All named files have just been learned: whatever is left is still nobody's. */
  #renewUnnamed(inForce: InForce): void {
    for (const [key, { isInterpreter: runsScripts }] of this.#unnamed) {
      if (this.#mayBeNobody(inForce, runsScripts))
        this.#parts.marks.setExecutable(key, { number: inForce.ids.programs.none });
      else this.#forgetUnnamed(key);
    }
  }

  #forgetUnnamed(key: ExecutableKey): void {
    this.#unnamed.delete(key);
    this.#parts.marks.forgetExecutable(key);
  }

  /** Whether what tells a program before its executable does would be seen. */
  #mayBeNobody({ index }: InForce, runsScripts: boolean): boolean {
    const { marks, tellsScripts } = this.#parts;
    if (index.byParent.size > 0 && !marks.inheritance) return false;
    return index.byScript.size === 0 || tellsScripts() || !runsScripts;
  }

  /** The cgroup counts as known where the maps in force tell what policies say about it. */
  #isTold(path: string, { index, machine }: InForce): boolean {
    const { facts, host } = machine;
    const told = cgroupAncestry(path).find((above) => matchExactCgroup(index, above, facts.containers) !== undefined);
    return told === undefined || host.cgroups.some((cgroup) => cgroup.path === told);
  }

  #noteCgroup(path: string, inForce: InForce): void {
    const id = this.#parts.cgroups?.idOfPath(path);
    if (id === undefined || this.#cgroups.has(id) || !this.#isTold(path, inForce)) return;
    this.#cgroups.add(id);
    this.#parts.marks.addCgroup(id, CGROUP_EPOCH);
  }

  /** All that exist, so that nobody has to ask once for each of them. */
  #addCgroups(inForce: InForce): void {
    const { cgroups, marks } = this.#parts;
    for (const { path, id } of cgroups?.walk() ?? []) {
      if (this.#cgroups.has(id) || !this.#isTold(path, inForce)) continue;
      this.#cgroups.add(id);
      marks.addCgroup(id, CGROUP_EPOCH);
    }
  }
}

const isSameProgram = (a: ExecutableProgram, b: ExecutableProgram): boolean =>
  a.number === b.number && a.childrenNumber === b.childrenNumber;
