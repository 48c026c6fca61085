import { type Kernel, type ObservedTable, type Prints, printOf } from '../kernel/kernel.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { Change } from '../plan/change.ts';
import { diff, type Observed } from '../plan/diff.ts';
import type { NftSet, Ruleset, SetElement } from '../plan/nft/ruleset.ts';
import { SEAL, sealOf, withSeal } from '../plan/nft/seal.ts';
import type { Plan, PlannedRoute } from '../plan/plan.ts';
import { renderPlannedRoute, renderPlannedRule } from '../plan/render-routing.ts';
import { isLearned, misfilledSets, tableDifference } from './table-counts.ts';
import { isReplaced, NO_PRINTS, wholePrint, withoutUnseen } from './table-prints.ts';

/** A plan that was applied, and the nftables generation at which the kernel was seen to hold it. */
export interface Belief {
  readonly plan: Plan;
  readonly generation?: number;
  /** `ApplyReport.prints` of the report on it, or what was seen of them since. */
  readonly prints?: Prints;
}

/** What a daemon before us says that it has put into the table, and how that looked (`wholePrint`). */
export interface Predecessor {
  readonly ruleset: Ruleset;
  readonly print: string;
}

export interface KernelState {
  readonly observed: Observed;
  readonly generation: number;
  /** Of what is believed. */
  readonly prints: Prints;
  /** What would be believed if all that nobody has looked at were as it should be: what differs from that alone is no repair. */
  readonly unseen?: Ruleset;
}

/**
 * What the kernel holds of ours. The table's content is believed, not read: where the generation is the same nobody has
 * touched it since, and else where its names and counts agree; what a `predecessor` has put there, where it has the seal of that,
 * too. Throws KernelError.
 */
export async function observePlan(
  kernel: Kernel,
  belief: Belief | undefined,
  nowMs: MonotonicMs,
  predecessor?: Predecessor,
): Promise<KernelState> {
  const generation = kernel.nft.generation();
  const rules = kernel.routing.ownRules();
  const routes = kernel.routing.ownRoutes();
  const socketWays = observeSocketWays(kernel, belief?.plan);
  if (belief !== undefined && belief.generation === generation) {
    const { nft, xtablesQueue } = belief.plan;
    return {
      generation,
      prints: belief.prints ?? NO_PRINTS,
      observed: { nft, rules, routes, socketWays, ...(xtablesQueue !== undefined && { xtablesQueue }) },
    };
  }
  const xtablesQueue = await kernel.xtables.observeQueue();
  const believed =
    belief === undefined
      ? await believedOf(kernel, sealedRuleset(kernel, predecessor?.ruleset), nowMs, (table, ruleset) =>
          wholePrint(table.prints, ruleset) === predecessor?.print ? table.prints : undefined,
        )
      : await believedOf(kernel, belief.plan.nft, nowMs, (table, ruleset) => {
          const { prints = NO_PRINTS } = belief;
          return isReplaced(prints, table.prints, ruleset) ? undefined : prints;
        });
  const { nft, prints = NO_PRINTS, unseen } = believed ?? {};
  return {
    generation,
    prints,
    ...(unseen !== undefined && { unseen }),
    observed: {
      rules,
      routes,
      socketWays,
      ...(nft !== undefined && { nft }),
      ...(xtablesQueue !== undefined && { xtablesQueue }),
    },
  };
}

/** As if all of the table were as it should be that nobody has looked at. */
export const asBelieved = ({ observed, unseen }: KernelState): Observed =>
  unseen === undefined ? observed : { ...observed, nft: unseen };

/** Where nothing can mark sockets there is nothing to set: they are as believed. */
export function observeSocketWays({ sockets }: Kernel, believed: Plan | undefined): Observed['socketWays'] {
  return sockets === undefined ? (believed?.socketWays ?? new Map()) : sockets.ways();
}

/** That of a predecessor, where it was put into force as a whole, and nothing by another daemon since. */
function sealedRuleset({ nft }: Kernel, predecessor: Ruleset | undefined): Ruleset | undefined {
  if (predecessor === undefined) return undefined;
  const found = nft.numbersIn(SEAL);
  const keys = sealOf(predecessor);
  const isSealed = found.length === keys.length && keys.every((key) => found.includes(Number(key)));
  return isSealed ? withSeal(withoutLearned(predecessor)) : undefined;
}

/** What was learned since, and goes by itself, nobody has told us: such sets are filled anew. What rules fill, they go on filling. */
const withoutLearned = (ruleset: Ruleset): Ruleset => refilling(ruleset, isLearned);

/** Such sets hold nobody knows what: a diff empties them, and fills them anew. */
function refilling(ruleset: Ruleset, which: (set: NftSet) => boolean): Ruleset {
  const sets = Array.from(
    ruleset.sets,
    ([name, set]) => [name, which(set) ? { ...set, elements: [LEARNED] } : set] as const,
  );
  return { ...ruleset, sets: new Map(sets) };
}

/** Is in no plan. */
const LEARNED: SetElement = { key: ['learned'] };

/** `known`: which prints of the table are of what we have put there; undefined where one is not. */
async function believedOf(
  kernel: Kernel,
  ruleset: Ruleset | undefined,
  nowMs: MonotonicMs,
  known: (table: ObservedTable, ruleset: Ruleset) => Prints | undefined,
): Promise<{ readonly nft: Ruleset; readonly prints: Prints; readonly unseen?: Ruleset } | undefined> {
  if (ruleset === undefined) return undefined;
  const table = await kernel.nft.observe(ruleset.table);
  if (table === undefined || tableDifference(table, ruleset) !== undefined) return undefined;
  const prints = known(table, ruleset);
  if (prints === undefined) return undefined;
  const misfilled = misfilledSets(table, ruleset, nowMs);
  const seen = misfilled.size === 0 ? ruleset : refilling(ruleset, ({ name }) => misfilled.has(name));
  const isAllSeen = [...ruleset.chains.keys()].every((name) => prints.has(printOf.rules(name)));
  return isAllSeen ? { nft: seen, prints } : { nft: withoutUnseen(seen, prints), prints, unseen: seen };
}

/** The changes from one to the other, without deletions of routes whose place an added one takes anyway. */
export function changesBetween(observed: Observed, wanted: Plan): Change[] {
  const changes = diff(observed, wanted);
  const taken = new Set(changes.flatMap((change) => (change.kind === 'add route' ? [placeOf(change.route)] : [])));
  return changes.filter((change) => change.kind !== 'delete route' || !taken.has(placeOf(change.route)));
}

const placeOf = (route: PlannedRoute): string => renderPlannedRoute({ ...route, target: { kind: 'throw' } });

const routeText = (route: PlannedRoute): string => renderPlannedRoute(route);

/** What of the routing differs from the plan, in words; undefined where nothing does. */
export function routingDifference(observed: Pick<Observed, 'routes' | 'rules'>, wanted: Plan): string | undefined {
  return (
    keyDifference('route', observed.routes.map(routeText), wanted.routes.map(routeText)) ??
    keyDifference('rule', observed.rules.map(renderPlannedRule), wanted.rules.map(renderPlannedRule))
  );
}

function keyDifference(kind: string, observed: readonly string[], wanted: readonly string[]): string | undefined {
  const [found, expected] = [new Set(observed), new Set(wanted)];
  const missing = wanted.find((key) => !found.has(key));
  if (missing !== undefined) return `${kind} ${missing} is missing`;
  const extra = observed.find((key) => !expected.has(key));
  return extra === undefined ? undefined : `${kind} ${extra} is still there`;
}
