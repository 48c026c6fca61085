/**
 * Plan to kernel: observe, diff, change in a safe order, read back. What fails on the way is answered by putting the
 * last good plan back as a whole, never by inverse steps.
 */
import type { Kernel } from '../kernel/kernel.ts';
import type { KernelError } from '../kernel/kernel-error.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { Change } from '../plan/change.ts';
import type { Plan } from '../plan/plan.ts';
import { changesBetween, type KernelState, observePlan } from './observe-plan.ts';
import { restorePlan } from './restore-plan.ts';
import { kernelErrorOf } from './run-change.ts';
import { type Outcome, runChanges } from './run-changes.ts';

export interface ApplyRequest {
  readonly kernel: Kernel;
  /** What we believe to be in force; undefined at start, when leftovers of a predecessor are adopted or replaced. */
  readonly current: Plan | undefined;
  /** `ApplyReport.generation` of the report on `current`: spares reading the table where nobody has touched it. */
  readonly generation?: number;
  readonly wanted: Plan;
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
  readonly durationMs: number;
}

/** A refusal of the kernel is a report, not an exception. Not to be called again before it has ended. */
export async function applyPlan(request: ApplyRequest): Promise<ApplyReport> {
  const startMs = performance.now();
  const { kernel, current, generation, wanted, nowMs } = request;
  let before: KernelState;
  try {
    before = await observePlan(kernel, current && { plan: current, ...(generation !== undefined && { generation }) });
  } catch (error) {
    const durationMs = performance.now() - startMs;
    return { ok: false, error: kernelErrorOf(error), restored: true, restoreErrors: [], durationMs };
  }
  const changes = changesBetween(before.observed, wanted);
  const adopting = current === undefined;
  const outcome = await runChanges(kernel, { wanted, changes, before, adopting, nowMs });
  if (outcome.kind === 'failed') return await failed(request, before, outcome, startMs);
  const commands = countCommands(changes);
  const durationMs = performance.now() - startMs;
  const tableWasForeign = !adopting && before.observed.nft === undefined;
  return { ok: true, changes: changes.length, commands, tableWasForeign, durationMs, generation: outcome.generation };
}

async function failed(
  { kernel, current, nowMs }: ApplyRequest,
  before: KernelState,
  { error, change, tableTouched, known }: Extract<Outcome, { readonly kind: 'failed' }>,
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
    durationMs: performance.now() - startMs,
  };
}

const countCommands = (changes: readonly Change[]): number =>
  changes.reduce((sum, change) => sum + (change.kind === 'nft' ? change.commands.length : 0), 0);
