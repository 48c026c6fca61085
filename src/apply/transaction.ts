/**
 * Plan to kernel: observe, diff, change in a safe order, read back. What fails on the way is answered by putting the
 * last good plan back as a whole, never by inverse steps.
 */
import type { Kernel, Prints } from '../kernel/kernel.ts';
import type { KernelError } from '../kernel/kernel-error.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { Change } from '../plan/change.ts';
import { withSeal } from '../plan/nft/seal.ts';
import type { Plan } from '../plan/plan.ts';
import { asBelieved, changesBetween, type KernelState, observePlan, type Predecessor } from './observe-plan.ts';
import { restorePlan } from './restore-plan.ts';
import { kernelErrorOf } from './run-change.ts';
import { type Outcome, runChanges } from './run-changes.ts';
import { NO_PRINTS, printsAfter } from './table-prints.ts';

export interface ApplyRequest {
  readonly kernel: Kernel;
  /** What we believe to be in force; undefined at start, when leftovers of a predecessor are adopted or replaced. */
  readonly current: Plan | undefined;
  /** `ApplyReport.generation` of the report on `current`: spares reading the table where nobody has touched it. */
  readonly generation?: number;
  /** `ApplyReport.prints` of it, or what was seen since. */
  readonly prints?: Prints;
  readonly wanted: Plan;
  /** At start. Believed where the table has the seal and the print of it. */
  readonly predecessor?: Predecessor;
  /** Wall clock. */
  readonly nowMs: MonotonicMs;
}

export type ApplyReport = AppliedReport | FailedReport;

export interface AppliedReport {
  readonly ok: true;
  readonly changes: number;
  /** nft commands among the changes. */
  readonly commands: number;
  /** Our table was gone, or was not what we had put there. */
  readonly tableWasForeign: boolean;
  /** What was done again only because nobody had looked at it before somebody else committed something. */
  readonly isPrecaution: boolean;
  /** Of the table, but for what was changed. */
  readonly prints: Prints;
  readonly durationMs: number;
  /** nftables' generation at which the plan was seen in force: what happens later is somebody else's. */
  readonly generation: number;
}

export interface FailedReport {
  readonly ok: false;
  readonly error: KernelError;
  /** Absent where the kernel could not be read, or did not hold afterwards what it had accepted. */
  readonly failedChange?: Change;
  /** Whether what was in force before is in force again; where not, `restoreErrors` say why. */
  readonly restored: boolean;
  readonly restoreErrors: readonly KernelError[];
  /** nftables' generation at which the table of before was seen in force again. */
  readonly generation?: number;
  /** Of the table, but for what may have been changed. */
  readonly prints: Prints;
  readonly durationMs: number;
}

/** A refusal of the kernel is a report, not an exception. Not to be called again before it has ended. */
export async function applyPlan(given: ApplyRequest): Promise<ApplyReport> {
  const startMs = performance.now();
  const { kernel, generation, nowMs, prints } = given;
  const [current, wanted] = [given.current && sealed(given.current), sealed(given.wanted)];
  const request: ApplyRequest = { ...given, current, wanted };
  let before: KernelState;
  try {
    const belief = current && {
      plan: current,
      ...(generation !== undefined && { generation }),
      ...(prints !== undefined && { prints }),
    };
    before = await observePlan(kernel, belief, nowMs, given.predecessor);
  } catch (error) {
    const durationMs = performance.now() - startMs;
    return { ok: false, error: kernelErrorOf(error), restored: true, restoreErrors: [], prints: NO_PRINTS, durationMs };
  }
  const changes = changesBetween(before.observed, wanted);
  const { unseen } = before;
  const isPrecaution =
    unseen !== undefined && changes.length > 0 && changesBetween(asBelieved(before), wanted).length === 0;
  const adopting = current === undefined;
  const outcome = await runChanges(kernel, { wanted, changes, before, adopting, nowMs });
  if (outcome.kind === 'failed') {
    const report = await failed(request, before, outcome, changes, startMs);
    // The table is not what it was believed to be.
    const isMistaken = adopting && before.observed.nft !== undefined && report.failedChange?.kind === 'nft';
    if (!isMistaken) return report;
    const { predecessor: _, ...anew } = given;
    return await applyPlan(anew);
  }
  const commands = countCommands(changes);
  const durationMs = performance.now() - startMs;
  const tableWasForeign = !adopting && before.observed.nft === undefined;
  const { generation: reached, prints: seen = printsAfter(before.prints, changes) } = outcome;
  const report = { ok: true, changes: changes.length, commands, tableWasForeign, isPrecaution, prints: seen } as const;
  return { ...report, durationMs, generation: reached };
}

const sealed = (plan: Plan): Plan => ({ ...plan, nft: withSeal(plan.nft) });

async function failed(
  { kernel, current, nowMs }: ApplyRequest,
  before: KernelState,
  { error, change, tableTouched, known }: Extract<Outcome, { readonly kind: 'failed' }>,
  changes: readonly Change[],
  startMs: number,
): Promise<FailedReport> {
  const { errors: restoreErrors, generation } = await restorePlan({
    kernel,
    current,
    before,
    tableTouched,
    ...(known !== undefined && { known }),
    nowMs,
  });
  return {
    ok: false,
    error,
    ...(change !== undefined && { failedChange: change }),
    restored: restoreErrors.length === 0,
    restoreErrors,
    ...(generation !== undefined && { generation }),
    // What was put back is what was changed.
    prints: generation === undefined && tableTouched ? NO_PRINTS : printsAfter(before.prints, changes),
    durationMs: performance.now() - startMs,
  };
}

const countCommands = (changes: readonly Change[]): number =>
  changes.reduce((sum, change) => sum + (change.kind === 'nft' ? change.commands.length : 0), 0);
