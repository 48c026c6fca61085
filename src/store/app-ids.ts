import { randomInt } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { throwShortage } from '../kernel/shortage.ts';
import type { Programs } from '../plan/host.ts';
import {
  APP_FIRST,
  APP_LAST,
  PROGRAM_FIRST,
  PROGRAM_LAST,
  PROGRAM_NONE_COUNT,
  PROGRAM_NONE_FIRST,
  UPLINK_FIRST,
  UPLINK_LAST,
} from '../plan/reserved.ts';
import type { Diagnostic } from '../policy/diagnostic.ts';
import { diagnosticAt } from '../policy/policy-source.ts';
import { writeAtomically } from './atomic-write.ts';
import { assignIds, emptyRegister, type IdRegister, registerFrom, storedIds } from './id-register.ts';
import { errorCode, errorText } from './source-file.ts';

export interface AssignedIds {
  readonly apps: ReadonlyMap<string, number>;
  readonly uplinks: ReadonlyMap<string, number>;
  /** Programs without a number are asked about, always. */
  readonly programs: Programs;
  /** For whom no number is left: they cannot be told apart in a mark, so they cannot be enforced. */
  readonly without: { readonly apps: readonly string[]; readonly uplinks: readonly string[] };
  readonly diagnostics: readonly Diagnostic[];
}

/** Of more than these the first have numbers, whoever had one before: they are the better ones. */
const UPLINK_COUNT = UPLINK_LAST - UPLINK_FIRST + 1;

interface Names {
  readonly apps: readonly string[];
  readonly uplinks: readonly string[];
  /** `programName` of each. */
  readonly programs: readonly string[];
}

const FORMAT = 2;

/** The numbers of applications, uplinks and programs in marks; kept in a file, so that marks stay true when the daemon is restarted. */
export class AppIds {
  readonly #path: string;
  #apps: IdRegister = emptyRegister(APP_FIRST, APP_LAST);
  #uplinks: IdRegister = emptyRegister(UPLINK_FIRST, UPLINK_LAST);
  #programs: IdRegister = emptyRegister(PROGRAM_FIRST, PROGRAM_LAST);
  /**
   * Counts the changes of what is named, and the daemon's starts: sockets marked before one are asked about after it. Where the
   * count was lost, from anywhere.
   */
  #epoch = randomInt(PROGRAM_NONE_COUNT);
  #assignedPrograms: Programs | undefined;
  #isStored = false;
  #wereLost = true;
  #assigned: { readonly names: Names; readonly without: AssignedIds['without'] } | undefined;
  readonly #startDiagnostics: readonly Diagnostic[];

  /** Reads the file. One that cannot be used is a warning at the next `assign`, and all numbers are given anew. */
  constructor(path: string) {
    this.#path = path;
    this.#startDiagnostics = this.#restore();
  }

  /** There was no file, or none that could be used: marks from before say nothing. */
  get wereLost(): boolean {
    return this.#wereLost;
  }

  /** The numbers of just these names. They are written to the file before this returns, where that is possible. */
  assign(names: Names): AssignedIds {
    const without =
      this.#assigned !== undefined && sameNames(this.#assigned.names, names)
        ? this.#assigned.without
        : this.#assign(names);
    this.#assigned = { names, without };
    return {
      apps: this.#apps.inUse,
      uplinks: this.#uplinks.inUse,
      programs: this.#programsInUse(),
      without,
      diagnostics: [...this.#startDiagnostics, ...this.#store()],
    };
  }

  /** The same object as long as it says the same. */
  #programsInUse(): Programs {
    const numbers = this.#programs.inUse;
    const none = PROGRAM_NONE_FIRST + (this.#epoch % PROGRAM_NONE_COUNT);
    const before = this.#assignedPrograms;
    if (before?.numbers === numbers && before.none === none) return before;
    this.#assignedPrograms = { numbers, none };
    return this.#assignedPrograms;
  }

  #assign(names: Names): AssignedIds['without'] {
    const apps = assignIds(this.#apps, names.apps);
    const uplinks = assignIds(this.#uplinks, names.uplinks.slice(0, UPLINK_COUNT));
    const programs = assignIds(this.#programs, names.programs);
    if (programs.register !== this.#programs) {
      this.#programs = programs.register;
      this.#epoch += 1;
      this.#isStored = false;
    }
    if (apps.register !== this.#apps || uplinks.register !== this.#uplinks) this.#isStored = false;
    this.#apps = apps.register;
    this.#uplinks = uplinks.register;
    return { apps: apps.without, uplinks: [...uplinks.without, ...names.uplinks.slice(UPLINK_COUNT)] };
  }

  #restore(): readonly Diagnostic[] {
    try {
      const stored: unknown = JSON.parse(readFileSync(this.#path, 'utf8'));
      const { format, apps, uplinks, programs, epoch } =
        typeof stored === 'object' && stored !== null ? (stored as Record<string, unknown>) : {};
      const restoredApps = registerFrom(apps, APP_FIRST, APP_LAST);
      const restoredUplinks = registerFrom(uplinks, UPLINK_FIRST, UPLINK_LAST);
      const restoredPrograms = registerFrom(programs, PROGRAM_FIRST, PROGRAM_LAST);
      if (typeof format === 'number' && format !== FORMAT) return [this.#lost('it is of another version')];
      const isWhole = format === FORMAT && typeof epoch === 'number' && Number.isSafeInteger(epoch) && epoch >= 0;
      if (!isWhole || restoredApps === undefined || restoredUplinks === undefined || restoredPrograms === undefined)
        return [this.#lost('it is damaged')];
      this.#programs = restoredPrograms;
      this.#epoch = epoch + 1;
      this.#apps = restoredApps;
      this.#uplinks = restoredUplinks;
      // This start counts as well.
      this.#isStored = false;
      this.#wereLost = false;
      return [];
    } catch (error) {
      throwShortage(error, 'read', this.#path);
      if (errorCode(error) === 'ENOENT') return [];
      return [this.#lost(error instanceof SyntaxError ? 'it is damaged' : errorText(error))];
    }
  }

  #store(): readonly Diagnostic[] {
    if (this.#isStored) return [];
    const stored = {
      format: FORMAT,
      epoch: this.#epoch,
      apps: storedIds(this.#apps),
      uplinks: storedIds(this.#uplinks),
      programs: storedIds(this.#programs),
    };
    try {
      writeAtomically(this.#path, Buffer.from(JSON.stringify(stored)), { until: 'disk' });
      this.#isStored = true;
      return [];
    } catch (error) {
      this.#removeStale();
      return [
        this.#warning(`the numbers of applications and uplinks cannot be kept for a restart: ${errorText(error)}`),
      ];
    }
  }

  /** No numbers are better than old ones: a successor then takes no mark for another application's. */
  #removeStale(): void {
    try {
      rmSync(this.#path, { force: true });
    } catch {
      // Ignoring it: there is a warning already.
    }
  }

  #lost(because: string): Diagnostic {
    return this.#warning(`the numbers of applications and uplinks are given anew: the file cannot be used, ${because}`);
  }

  #warning(message: string): Diagnostic {
    return diagnosticAt({ file: this.#path, line: 1, column: 1 }, 'warning', 'unreadable-file', message);
  }
}

function sameNames(a: Names, b: Names): boolean {
  return sameTexts(a.apps, b.apps) && sameTexts(a.uplinks, b.uplinks) && sameTexts(a.programs, b.programs);
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}
