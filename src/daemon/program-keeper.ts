/**
 * Keeps what the kernel knows of programs in step with what is in force: their numbers, the scripts whose starts it tells of, and
 * the cgroups where they may come into being. Where the kernel refuses any of it, the slow path tells.
 */

import type { IdentityStatus } from '../api/status.ts';
import { placeOfEntry } from '../identify/policy-names.ts';
import type { Background } from '../kernel/background.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { openProc } from '../kernel/proc.ts';
import type { Programs } from '../plan/host.ts';
import type { AppIndex } from '../policy/match-app.ts';
import { cgroupInterest } from '../watch/cgroup-interest.ts';
import { CgroupWatch } from '../watch/cgroup-watch.ts';
import type { MachineSources } from '../watch/machine.ts';
import { CgroupLearner } from './cgroup-learner.ts';
import type { Health } from './health.ts';
import { type IdentityTiers, identityStatus } from './identity-tiers.ts';
import type { InForce } from './in-force.ts';
import { KnownPrograms } from './known-programs.ts';
import { listedScripts } from './listed-scripts.ts';
import { partsOfPath } from './parts-of-path.ts';
import { ScriptDirectories } from './script-directories.ts';
import { ScriptGuard } from './script-guard.ts';
import type { VerdictEvent } from './verdict-loop.ts';

/** Of more named executables, what becomes of links and directories is found by the look every now and then. */
export const MAX_PATHS_WATCHED = 4096;
/** The kernel knows at once; policies follow a link at most so often. */
const LINKS_PAUSE_MS = 100;
/** What changes without a pause is looked at no sooner again than after this, and after ten times as long as it took. */
const MIN_PATHS_PAUSE_MS = 5;
const PATHS_PAUSE_FACTOR = 10;

export interface ProgramKeeperParts {
  readonly background: Background;
  readonly kernel: Pick<Kernel, 'sockets'>;
  readonly cgroups: MachineSources['cgroups'];
  readonly identity: IdentityTiers;
  readonly health: Pick<Health, 'set' | 'clear' | 'report'>;
  readonly inForce: () => InForce | undefined;
  /** Counts the signs of life of the thread that answers for scripts. */
  readonly beats: () => number;
  /** A cgroup that some policy names may have come into being. */
  readonly onCgroups: () => void;
  /** A link on the way to a named program may lead elsewhere. */
  readonly onLinks: () => void;
}

export class ProgramKeeper implements Disposable {
  readonly #parts: ProgramKeeperParts;
  readonly #scripts: ScriptGuard | undefined;
  readonly #programs: KnownPrograms | undefined;
  /** Of named executables, what decides to which file their paths lead. */
  readonly #paths: ScriptDirectories;
  #pathsOf: AppIndex['byExecutable'] | undefined;
  /** Paths that may have another file, and were not looked at. */
  readonly #changedPaths = new Set<string>();
  #linksSoon: NodeJS.Timeout | undefined;
  #pathsSoon: NodeJS.Timeout | undefined;
  readonly #cgroupWatch: CgroupWatch;
  readonly #cgroupLearner: CgroupLearner;
  /** Why the kernel would not go on telling programs without the daemon. */
  #notKept: string | undefined;
  /** Why the start of some listed script is not seen. */
  #notSeen: string | undefined;
  /** What the watched scripts were taken from. */
  #scriptsOf: (Pick<AppIndex, 'byScript' | 'byParent'> & { readonly programs: Programs }) | undefined;

  constructor(parts: ProgramKeeperParts) {
    this.#parts = parts;
    this.#notKept = parts.identity.notKept;
    this.#scripts = this.#guardScripts();
    this.#programs = this.#knownPrograms();
    const listener = { onChange: (paths: ReadonlySet<string>) => this.#notePaths(paths), onCandidate: () => undefined };
    this.#paths = new ScriptDirectories(listener, parts.background, partsOfPath);
    this.#cgroupWatch = new CgroupWatch(parts.onCgroups, parts.background);
    this.#cgroupLearner = new CgroupLearner(parts.inForce, parts.onCgroups);
  }

  status(): IdentityStatus {
    return identityStatus(this.#parts.identity, this.#notSeen, this.#notKept);
  }

  /** A plan is being applied: until `follow`, nothing is learned. */
  beginChange(): void {
    this.#guardedly(() => this.#programs?.beginChange());
  }

  /** After a round. */
  follow(): void {
    const inForce = this.#parts.inForce();
    try {
      // Before any interpreter may count as nobody's.
      if (inForce !== undefined) {
        this.#watchScripts(inForce);
        this.#lookAtScripts();
      }
      this.#programs?.follow(inForce);
      this.#parts.health.clear('programs-not-told');
      if (inForce !== undefined) this.#keep();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      const message = `the kernel does not take what tells programs: ${error.message}; their first packets are asked about`;
      this.#parts.health.set('programs-not-told', { message });
    }
    if (inForce === undefined) return;
    this.#watchCgroups(inForce);
    this.#watchPaths(inForce);
  }

  /** What the verdict thread saw of programs. */
  note(events: readonly VerdictEvent[]): void {
    // Whoever was not found may have ended: it is to be known when it starts again.
    if (events.some(({ owner }) => owner.kind === 'unknown')) this.#guardedly(() => this.#programs?.noteStrangers());
    for (const event of events) {
      this.#cgroupLearner.note(event);
      this.#programs?.note(event);
    }
  }

  /** Every now and then: for what nothing tells of. */
  look(): void {
    this.#guardedly(() => {
      this.#programs?.look();
      this.#programs?.noteStrangers();
      this.#reportLost();
    });
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#linksSoon);
    clearTimeout(this.#pathsSoon);
    this.#paths[Symbol.dispose]();
    // What is kept goes on without us from here on.
    this.#guardedly(() => this.#sayNobodySees());
    this.#cgroupWatch[Symbol.dispose]();
    this.#scripts?.[Symbol.dispose]();
  }

  #reportLost(): void {
    const lost = this.#parts.kernel.sockets?.counts().tasksLost ?? 0;
    if (lost === 0) return;
    const message = `there is no room to keep whose child a process is (${lost} lost): programs that no policy names are asked about`;
    this.#parts.health.set('families-not-kept', { message, hint: 'restart the daemon when fewer processes run' });
  }

  #knownPrograms(): KnownPrograms | undefined {
    const { kernel, cgroups } = this.#parts;
    if (kernel.sockets === undefined) return undefined;
    const tellsScripts = (): boolean => this.#scripts !== undefined && this.#notSeen === undefined;
    return new KnownPrograms({ marks: kernel.sockets, proc: openProc(), cgroups, tellsScripts });
  }

  /** Without the daemon an interpreter that is started may run any script. */
  #sayScriptStarts(): void {
    const { sockets } = this.#parts.kernel;
    const of = this.#scripts === undefined ? this.#parts.inForce()?.index : this.#scriptsOf;
    if (sockets === undefined || of === undefined) return;
    const seen = this.#scripts !== undefined && this.#notSeen === undefined;
    sockets.setScriptStarts(of.byScript.size === 0 ? 'not named' : seen ? 'seen' : 'not seen');
  }

  #sayNobodySees(): void {
    const names = this.#parts.inForce()?.index.byScript.size ?? 0;
    if (names > 0) this.#parts.kernel.sockets?.setScriptStarts('not seen');
  }

  /** Not before policies are in force. */
  #keep(): void {
    const { identity, health } = this.#parts;
    const { marks } = identity;
    if (typeof marks === 'string') return;
    const refusal = identity.notKept ?? refusalOf(() => marks.keep());
    this.#notKept = refusal;
    const message = `if the daemon is killed, the kernel no longer tells programs apart: ${refusal}; all new flows are then as whenAway says`;
    const hint = 'mount -t bpf bpf /sys/fs/bpf, where nothing is mounted there, and start the daemon again';
    health.report('programs-not-kept', refusal === undefined ? undefined : { message, hint });
  }

  #guardScripts(): ScriptGuard | undefined {
    const { scripts } = this.#parts.identity;
    if (typeof scripts === 'string') return undefined;
    return new ScriptGuard({
      background: this.#parts.background,
      watch: scripts,
      beats: this.#parts.beats,
      onHeard: () => this.#guardedly(() => this.#lookAtScripts()),
      onChange: () => this.#guardedly(() => this.#lookAtScripts()),
    });
  }

  /** Whether starts of scripts are seen now, for the kernel and for people. */
  #lookAtScripts(): void {
    const notSeen = this.#scripts?.released ?? whyUnseen(this.#parts.identity.scripts);
    const isNews = notSeen !== this.#notSeen;
    this.#notSeen = notSeen;
    this.#sayScriptStarts();
    if (!isNews) return;
    this.#programs?.scriptsChanged();
    const message = `starts of scripts are not seen: ${notSeen}; their programs are told by their command lines`;
    this.#parts.health.report('scripts-not-seen', notSeen === undefined ? undefined : { message });
  }

  #watchScripts({ index, ids }: InForce): void {
    const [before, now] = [
      this.#scriptsOf,
      { byScript: index.byScript, byParent: index.byParent, programs: ids.programs },
    ];
    const isSame = before?.byScript === now.byScript && before.byParent === now.byParent;
    if (this.#scripts === undefined || (isSame && before.programs === now.programs)) return;
    // Should that fail, it is not said that starts are seen.
    this.#scriptsOf = undefined;
    this.#scripts.watch(listedScripts(index, ids.programs));
    this.#scriptsOf = now;
  }

  /** Where cgroups that policies name may come into being. */
  #watchCgroups({ index }: InForce): void {
    const { cgroups } = this.#parts;
    if (cgroups === undefined) return;
    const { directories, concerns } = cgroupInterest(index, cgroups);
    this.#cgroupWatch.watch(directories, concerns);
  }

  #watchPaths({ index }: InForce): void {
    if (this.#programs === undefined) return;
    if (this.#pathsOf !== index.byExecutable) {
      this.#pathsOf = index.byExecutable;
      const places = Array.from(index.byExecutable, ([path, match]) => placeOfEntry(path, match));
      this.#paths.watch(new Set(places.slice(0, MAX_PATHS_WATCHED)));
    }
    this.#lookAtPaths();
  }

  #notePaths(paths: ReadonlySet<string>): void {
    for (const path of paths) this.#changedPaths.add(path);
    if (this.#pathsSoon === undefined) this.#lookAtChangedPaths();
    this.#linksSoon ??= this.#parts.background.timeout(() => {
      this.#linksSoon = undefined;
      this.#parts.onLinks();
    }, LINKS_PAUSE_MS);
  }

  #lookAtChangedPaths(): void {
    const startMs = performance.now();
    // Watched first: what comes between the two is told.
    this.#paths.lookAgain(this.#changedPaths);
    this.#lookAtPaths();
    const pauseMs = Math.max(MIN_PATHS_PAUSE_MS, (performance.now() - startMs) * PATHS_PAUSE_FACTOR);
    this.#pathsSoon = this.#parts.background.timeout(() => {
      this.#pathsSoon = undefined;
      if (this.#changedPaths.size > 0) this.#lookAtChangedPaths();
    }, pauseMs);
  }

  #lookAtPaths(): void {
    if (this.#changedPaths.size === 0) return;
    this.#guardedly(() => {
      if (this.#programs?.lookAt(this.#changedPaths) === true) this.#changedPaths.clear();
    });
  }

  #guardedly(step: () => void): void {
    try {
      step();
    } catch (error) {
      // Ignoring it: the slow path tells, and the next look comes.
      if (!(error instanceof KernelError)) throw error;
    }
  }
}

function whyUnseen(scripts: IdentityTiers['scripts']): string | undefined {
  const [first, ...others] = typeof scripts === 'string' ? [] : scripts.unseen;
  if (first === undefined) return undefined;
  const [path, because] = first;
  return `${path}: ${because}${others.length === 0 ? '' : ` (and ${others.length} more)`}`;
}

function refusalOf(step: () => void): string | undefined {
  try {
    step();
    return undefined;
  } catch (error) {
    if (error instanceof KernelError) return error.message;
    throw error;
  }
}
