/**
 * Changes of people's files that wait for a word: a reload, or files that somebody tries. Without the word they are taken back; what
 * packages brought meanwhile stays.
 */
import type { ReloadReport, ReloadRequest, TryReport, TryRequest } from '../api/request.ts';
import type { Background } from '../kernel/background.ts';
import { type Clock, wallAt } from '../net/clock.ts';
import type { Diagnostic } from '../policy/diagnostic.ts';
import { compareDiagnostics } from '../policy/policy-source.ts';
import type { Paths } from '../store/paths.ts';
import { PolicyFiles, type SettledFiles } from '../store/policy-files.ts';
import { errorText } from '../store/source-file.ts';
import {
  keepTrial,
  NotKept,
  removeTrial,
  type TrialFile,
  trialDirectory,
  trialPaths,
  writeTrial,
} from '../store/trial-files.ts';
import type { ConfirmWindow } from './confirm-window.ts';
import type { Enforcement, Round } from './enforce.ts';
import type { Health } from './health.ts';
import type { PolicyHistory } from './policy-history.ts';
import { RequestRefused } from './request-refused.ts';

export interface StagedChangeParts {
  readonly background: Background;
  readonly enforcement: Pick<Enforcement, 'inForce' | 'loaded' | 'request' | 'run' | 'rollBack'>;
  readonly files: PolicyFiles;
  readonly paths: Paths;
  readonly confirmWindow: ConfirmWindow;
  readonly history: PolicyHistory;
  readonly health: Health;
  readonly clock: Clock;
  /** What there is to say besides what the files say, as of the last round. */
  readonly beside: () => readonly Diagnostic[];
}

const ALL_FILES = { kind: 'files', changed: 'everything' } as const;

export class StagedChange implements Disposable {
  readonly #parts: StagedChangeParts;
  /** What an open window leads back to. */
  #before: SettledFiles | undefined;
  #trial: readonly TrialFile[] | undefined;

  constructor(parts: StagedChangeParts) {
    this.#parts = parts;
  }

  /** What the files say now, and nothing that was tried. Throws RequestRefused. */
  async reload({ confirmMs }: ReloadRequest): Promise<ReloadReport> {
    const { enforcement, files, clock, history, confirmWindow, health } = this.#parts;
    const before = this.#waiting ?? history.settled(clock.monotonicMs()) ?? files.settled();
    this.#endTrial();
    files.release();
    const startMs = clock.monotonicMs();
    const round = requireApplied(await enforcement.run(ALL_FILES));
    health.clear('rolled-back');
    if (confirmMs === undefined) {
      confirmWindow.confirm();
      this.#before = undefined;
      history.settle();
    } else this.#open(before, confirmMs);
    return this.#report(round, startMs);
  }

  /** What the files say now, without a word about what waits for one. */
  reread(): void {
    const { confirmWindow, files, enforcement } = this.#parts;
    if (confirmWindow.endsMs === undefined) files.release();
    enforcement.request(ALL_FILES);
  }

  /** Nothing is in force of files of which one has a mistake. Throws RequestRefused. */
  async try({ files: tried, confirmMs }: TryRequest): Promise<TryReport> {
    const { enforcement, files, paths, clock, health } = this.#parts;
    this.#requireQuiet();
    const before = this.#waiting ?? files.settled();
    const trial = tried.map(({ path, base64 }): TrialFile => {
      return base64 === undefined ? { path } : { path, bytes: new Uint8Array(Buffer.from(base64, 'base64')) };
    });
    const startMs = clock.monotonicMs();
    const directory = trialDirectory(paths);
    try {
      writeTrial(paths, trial);
      const mistakes = this.#mistakesOf();
      if (mistakes.length > 0) {
        removeTrial(paths);
        return { applied: false, directory, diagnostics: mistakes };
      }
    } catch (error) {
      removeTrial(paths);
      throw notWritten(error);
    }
    this.#trial = trial;
    files.try(trialPaths(paths));
    const round = await enforcement.run(ALL_FILES);
    if (!round.outcome.ok) {
      this.#endTrial();
      await enforcement.run(ALL_FILES);
    }
    requireApplied(round);
    health.clear('rolled-back');
    if (confirmMs !== undefined) {
      this.#open(before, confirmMs);
      return { applied: true, directory, ...this.#report(round, startMs) };
    }
    try {
      await this.#keep();
    } catch (error) {
      this.#endTrial();
      await enforcement.run(ALL_FILES);
      throw error;
    }
    // While another change waits for a word, what is saved meanwhile belongs to it.
    return { applied: true, directory, ...this.#report(round, startMs) };
  }

  /** False where nothing waits. Throws RequestRefused where what is tried cannot be kept: it waits on. */
  async confirm(): Promise<boolean> {
    const { confirmWindow, history, health } = this.#parts;
    if (confirmWindow.endsMs === undefined) return false;
    await this.#keep();
    confirmWindow.confirm();
    this.#before = undefined;
    history.settle();
    health.clear('rolled-back');
    return true;
  }

  [Symbol.dispose](): void {
    this.#parts.confirmWindow[Symbol.dispose]();
    removeTrial(this.#parts.paths);
  }

  get #waiting(): SettledFiles | undefined {
    return this.#parts.confirmWindow.endsMs === undefined ? undefined : this.#before;
  }

  #requireQuiet(): void {
    const { confirmWindow, files } = this.#parts;
    const refuse = (message: string, hint: string): never => {
      throw new RequestRefused(409, { code: 'busy', message, hint });
    };
    if (this.#trial !== undefined)
      refuse('something is being tried already', 'pointsman confirm keeps it, pointsman reload takes it back');
    if (confirmWindow.endsMs !== undefined && this.#before === undefined)
      refuse('the start waits to be confirmed', 'pointsman confirm keeps what is in force');
    if (files.isTakenBack)
      refuse(
        'the files still hold a change that was taken back',
        'mend them, or put them into force: pointsman reload',
      );
  }

  /** What would be wrong that is not wrong already. */
  #mistakesOf(): readonly Diagnostic[] {
    const { paths, enforcement } = this.#parts;
    const alone = new PolicyFiles(paths, { writesLastGood: false });
    alone.try(trialPaths(paths));
    const known = new Set(enforcement.loaded.diagnostics.map(placeOf));
    return alone
      .load()
      .diagnostics.filter((diagnostic) => diagnostic.severity === 'error' && !known.has(placeOf(diagnostic)));
  }

  #open(before: SettledFiles, confirmMs: number): void {
    const { confirmWindow, clock, background } = this.#parts;
    this.#before = before;
    confirmWindow.open(clock.monotonicMs(), confirmMs, () => background.run(() => this.#takeBack(before)));
  }

  async #takeBack(before: SettledFiles): Promise<void> {
    const { files, health, enforcement } = this.#parts;
    const wasTried = this.#trial !== undefined;
    this.#before = undefined;
    this.#endTrial();
    files.goBackTo(before);
    const what = wasTried ? 'what was tried' : 'the last change';
    health.set(
      'rolled-back',
      files.isTakenBack
        ? {
            message: `${what} was not confirmed in time and was taken back; the files still hold ${wasTried ? 'what was saved meanwhile' : 'it'}`,
            hint: 'pointsman reload puts the files into force again',
          }
        : {
            message: `${what} was not confirmed in time and was taken back; the files are in force as they are`,
            hint: 'pointsman reload takes note of it',
          },
    );
    await enforcement.rollBack();
  }

  /** What is tried becomes the administrator's. Throws RequestRefused. */
  async #keep(): Promise<void> {
    const { paths, enforcement } = this.#parts;
    if (this.#trial === undefined) return;
    try {
      keepTrial(paths, this.#trial);
    } catch (error) {
      throw notWritten(error);
    }
    this.#endTrial();
    await enforcement.run(ALL_FILES);
  }

  #endTrial(): void {
    const { files, paths } = this.#parts;
    if (this.#trial === undefined) return;
    this.#trial = undefined;
    files.endTrial();
    removeTrial(paths);
  }

  #report({ outcome, changedApps, loaded: { diagnostics } }: Round, startMs: number): ReloadReport {
    const { enforcement, clock, confirmWindow, beside } = this.#parts;
    const { endsMs } = confirmWindow;
    return {
      revision: enforcement.inForce?.snapshot.revision ?? 0,
      changes: outcome.ok ? outcome.changes : 0,
      durationMs: clock.monotonicMs() - startMs,
      changedApps,
      diagnostics: [...diagnostics, ...beside()].sort(compareDiagnostics),
      ...(endsMs !== undefined && { confirmBeforeMs: wallAt(clock, endsMs) }),
    };
  }
}

const placeOf = ({ file, line, column, code, message }: Diagnostic): string =>
  JSON.stringify([file, line, column, code, message]);

function requireApplied(round: Round): Round {
  const { outcome } = round;
  if (outcome.ok) return round;
  const hint = outcome.restored ? 'the last good state is in force' : 'pointsman status says how things stand';
  throw new RequestRefused(422, { code: 'apply-failed', message: outcome.error.message, hint });
}

/** What is not a file system's error is ours. */
function notWritten(error: unknown): unknown {
  if (error instanceof NotKept)
    return new RequestRefused(422, {
      code: 'apply-failed',
      message: error.message,
      ...(error.hint !== undefined && { hint: error.hint }),
    });
  if (!(error instanceof Error && 'syscall' in error)) return error;
  return new RequestRefused(422, { code: 'apply-failed', message: `the files cannot be written: ${errorText(error)}` });
}
