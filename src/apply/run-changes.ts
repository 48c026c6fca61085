import type { Kernel, Prints } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { Change } from '../plan/change.ts';
import type { Ruleset } from '../plan/nft/ruleset.ts';
import type { Plan } from '../plan/plan.ts';
import { type KernelState, routingDifference } from './observe-plan.ts';
import { kernelErrorOf, runChange, settleQueues } from './run-change.ts';
import { misfilledSets, tableDifference } from './table-counts.ts';

export interface Run {
  readonly wanted: Plan;
  readonly changes: readonly Change[];
  readonly before: KernelState;
  /** What is there was left by somebody of whom we know nothing. */
  readonly adopting: boolean;
  readonly nowMs: MonotonicMs;
}

export type Outcome =
  | {
      readonly kind: 'in force';
      readonly generation: number;
      /** Where the whole table was loaded, and looked at. */
      readonly prints?: Prints;
    }
  | {
      readonly kind: 'failed';
      readonly error: KernelError;
      readonly change?: Change;
      /** Whether the table is no longer what it was before. */
      readonly tableTouched: boolean;
      /** Absent where nobody can say what our table and the queue are now. */
      readonly known?: KnownTable;
    };

/** What the kernel holds by what was believed and what it has accepted since: nobody else has committed anything. */
export interface KnownTable {
  readonly nft: Ruleset;
  readonly generation: number;
}

/** Runs the changes in their order up to the first that is refused, and reads back what they have made. */
export async function runChanges(kernel: Kernel, run: Run): Promise<Outcome> {
  const done: Change[] = [];
  const failed = (error: unknown, change?: Change): Outcome => {
    const generation = kernel.nft.generation();
    // A change of cgroup elements is two transactions, of which the second may have failed.
    const touched = done.some(({ kind }) => kind === 'nft') || (change?.kind === 'nft' && generation !== before);
    const known = knownTable(run, done, generation);
    const outcome = { kind: 'failed', error: kernelErrorOf(error), tableTouched: touched } as const;
    return { ...outcome, ...(change !== undefined && { change }), ...(known !== undefined && { known }) };
  };
  let before = 0;
  for (const change of run.changes) {
    before = kernel.nft.generation();
    try {
      await runChange(kernel, change, run.nowMs);
      done.push(change);
    } catch (error) {
      return failed(error, change);
    }
  }
  try {
    // What is seen as no queue may be halves of one.
    if (run.adopting && run.before.observed.xtablesQueue === undefined)
      await settleQueues(kernel, run.wanted.xtablesQueue);
    const generation = kernel.nft.generation();
    const { difference, prints } = await readBack(kernel, run, generation);
    const isLoaded = run.before.observed.nft === undefined && kernel.nft.generation() === generation;
    if (difference === undefined)
      return { kind: 'in force', generation, ...(isLoaded && prints !== undefined && { prints }) };
    return failed(new KernelError('read back', 0, '', 'plan', difference));
  } catch (error) {
    return failed(error);
  }
}

/** Between the first and the last of several transactions nobody keeps count. */
function knownTable(
  { changes, before, wanted }: Run,
  done: readonly Change[],
  generation: number,
): KnownTable | undefined {
  if (before.observed.nft === undefined || !isOnlyCommits(before.generation, done, generation)) return undefined;
  const [ran, all] = [done, changes].map((some) => some.filter(({ kind }) => kind === 'nft').length);
  if (ran !== 0 && ran !== all) return undefined;
  return { nft: ran === 0 ? before.observed.nft : wanted.nft, generation };
}

/** What the kernel holds otherwise than planned, in words; and how the table looks, where that was to be listed. */
async function readBack(
  kernel: Kernel,
  run: Run,
  generation: number,
): Promise<{ readonly difference?: string | undefined; readonly prints?: Prints | undefined }> {
  const { wanted } = run;
  const { routing, nft } = kernel;
  const difference = routingDifference({ routes: routing.ownRoutes(), rules: routing.ownRules() }, wanted);
  if (difference !== undefined) return { difference };
  if (run.before.observed.nft !== undefined && isOnlyCommits(run.before.generation, run.changes, generation)) return {};
  const table = await nft.observe(wanted.nft.table);
  const [misfilled] = table === undefined ? [] : misfilledSets(table, wanted.nft, run.nowMs);
  const inTable = tableDifference(table, wanted.nft) ?? (misfilled && `set ${misfilled} is not filled as it was`);
  return { difference: inTable, prints: table?.prints };
}

/**
 * The generation counts commits: where it grew by ours alone, the table is what it was plus what was accepted, and
 * listing it (100 ms with 10,000 elements) would tell nothing more. Changes by xtables tools are not counted so exactly.
 */
export function isOnlyCommits(before: number, changes: readonly Change[], generation: number): boolean {
  if (changes.some(({ kind }) => kind.endsWith('xtables queue'))) return false;
  return (before + changes.reduce((sum, change) => sum + commitsOf(change), 0)) >>> 0 === generation;
}

function commitsOf(change: Change): number {
  if (change.kind !== 'nft') return 0;
  const elements = change.commands.filter(
    (command) =>
      (command.kind === 'add map elements' || command.kind === 'delete map elements') &&
      command.map.key === 'cgroupsv2',
  );
  return (elements.length > 0 ? 1 : 0) + (elements.length < change.commands.length ? 1 : 0);
}
