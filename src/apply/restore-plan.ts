import type { Kernel } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { Change } from '../plan/change.ts';
import type { Observed } from '../plan/diff.ts';
import type { Ruleset } from '../plan/nft/ruleset.ts';
import type { Plan } from '../plan/plan.ts';
import { TABLE } from '../plan/reserved.ts';
import { changesBetween, type KernelState, observeSocketWays, routingDifference } from './observe-plan.ts';
import { kernelErrorOf, runChange, settleQueues } from './run-change.ts';
import { isOnlyCommits, type KnownTable } from './run-changes.ts';
import { tableDifference } from './table-counts.ts';

export interface RestoreRequest {
  readonly kernel: Kernel;
  readonly current: Plan | undefined;
  /** What was there before the changes that failed. */
  readonly before: KernelState;
  readonly tableTouched: boolean;
  /** Absent where it has to be looked at. */
  readonly known?: KnownTable;
  readonly nowMs: MonotonicMs;
}

/** Stands for "a table that is left as it is" on both sides of a diff. */
const LEFT_ALONE: Ruleset = { table: TABLE, sets: new Map(), maps: new Map(), chains: new Map() };

/**
 * Puts the last good plan back. Each step is tried, whatever became of the others: as much of it as can be had.
 * Without a last good plan routes, rules and queue go back to what they were; the table is then a predecessor's, whose
 * content nobody knows, and can only be left alone.
 */
export async function restorePlan(request: RestoreRequest): Promise<Restored> {
  try {
    return request.current === undefined
      ? { errors: await restoreObserved(request) }
      : await restoreCurrent(request, request.current);
  } catch (error) {
    return { errors: [kernelErrorOf(error)] };
  }
}

export interface Restored {
  /** What stands in the way of the state before; empty: nothing. */
  readonly errors: readonly KernelError[];
  /** nftables' generation at which the last good plan's table is known to be there. */
  readonly generation?: number;
}

async function restoreCurrent(request: RestoreRequest, current: Plan): Promise<Restored> {
  const { kernel, known, nowMs } = request;
  if (known !== undefined) {
    const restored = await restoreKnown(request, current, known);
    if (restored !== undefined) return restored;
  }
  const nft = request.tableTouched ? undefined : request.before.observed.nft;
  const now = { ...(await observeOthers(kernel, current)), ...(nft !== undefined && { nft }) };
  const { errors } = await runAll(kernel, changesBetween(now, current), nowMs);
  errors.push(...(await attempt(() => settleQueues(kernel, current.xtablesQueue))));
  const difference =
    routingDifference(ownRouting(kernel), current) ??
    tableDifference(await kernel.nft.observe(current.nft.table), current.nft);
  if (difference !== undefined) errors.push(notRestored(difference));
  return { errors };
}

/**
 * Without looking at anything but routes and rules: an uplink that goes while a plan is applied is why most fail, and the next
 * plan must not wait for tools that list tables. Undefined where that is not enough.
 */
async function restoreKnown(
  { kernel, before, nowMs }: RestoreRequest,
  current: Plan,
  { nft, generation }: KnownTable,
): Promise<Restored | undefined> {
  const { xtablesQueue } = before.observed;
  const socketWays = observeSocketWays(kernel, current);
  const now = { ...ownRouting(kernel), nft, socketWays, ...(xtablesQueue !== undefined && { xtablesQueue }) };
  const changes = changesBetween(now, current);
  const { errors, done } = await runAll(kernel, changes, nowMs);
  const reached = kernel.nft.generation();
  if (!isOnlyCommits(generation, done, reached) || done.filter(isNft).length < changes.filter(isNft).length)
    return undefined;
  const difference = routingDifference(ownRouting(kernel), current);
  if (difference !== undefined) errors.push(notRestored(difference));
  return { errors, generation: reached };
}

const isNft = ({ kind }: Change): boolean => kind === 'nft';

async function restoreObserved({ kernel, before, tableTouched, nowMs }: RestoreRequest): Promise<KernelError[]> {
  const now = { ...(await observeOthers(kernel, undefined)), nft: LEFT_ALONE };
  // Ways of which nothing is known are of no plan: none is the state that a daemon starts with.
  const then = { ...before.observed, nft: LEFT_ALONE, socketWays: before.observed.socketWays ?? new Map() };
  const { errors } = await runAll(kernel, changesBetween(now, then), nowMs);
  errors.push(...(await attempt(() => settleQueues(kernel, before.observed.xtablesQueue))));
  if (tableTouched) errors.push(notRestored(`table ${TABLE} has been replaced already`));
  return errors;
}

const notRestored = (difference: string): KernelError =>
  new KernelError('restore', 0, '', 'last good plan', difference);

/** All but the table. */
async function observeOthers(kernel: Kernel, believed: Plan | undefined): Promise<Omit<Observed, 'nft'>> {
  const xtablesQueue = await kernel.xtables.observeQueue();
  const socketWays = observeSocketWays(kernel, believed);
  return { ...ownRouting(kernel), socketWays, ...(xtablesQueue !== undefined && { xtablesQueue }) };
}

const ownRouting = ({ routing }: Kernel): Pick<Observed, 'routes' | 'rules'> => ({
  routes: routing.ownRoutes(),
  rules: routing.ownRules(),
});

async function runAll(
  kernel: Kernel,
  changes: readonly Change[],
  nowMs: MonotonicMs,
): Promise<{ readonly errors: KernelError[]; readonly done: readonly Change[] }> {
  const errors: KernelError[] = [];
  const done: Change[] = [];
  for (const change of changes) {
    const refused = await attempt(() => runChange(kernel, change, nowMs));
    errors.push(...refused);
    if (refused.length === 0) done.push(change);
  }
  return { errors, done };
}

async function attempt(step: () => Promise<void>): Promise<KernelError[]> {
  try {
    await step();
    return [];
  } catch (error) {
    return [kernelErrorOf(error)];
  }
}
