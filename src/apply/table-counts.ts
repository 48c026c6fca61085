import type { ObservedTable } from '../kernel/kernel.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { NftSet, Ruleset } from '../plan/nft/ruleset.ts';
import { SEAL } from '../plan/nft/seal.ts';

/** What is nearly over may be gone by the time that somebody looks. */
const NEARLY_OVER_MS = 5000;

/** Filled by us with what names are answered, and with what holds for a time; not by rules. */
export const isLearned = ({ flags }: NftSet): boolean => flags.includes('timeout') && !flags.includes('dynamic');

/**
 * Learned sets that lack what they should hold, or hold forever what they should not. Elements that expire are counted up to where they may
 * have gone; more of them may have been learned since.
 */
export function misfilledSets(observed: ObservedTable, wanted: Ruleset, nowMs: MonotonicMs): ReadonlySet<string> {
  const misfilled = new Set<string>();
  for (const set of wanted.sets.values()) {
    if (!isLearned(set)) continue;
    const lasting = set.elements.filter(({ expiresAtMs }) => expiresAtMs === undefined).length;
    const present = set.elements.filter(({ expiresAtMs = Infinity }) => expiresAtMs > nowMs + NEARLY_OVER_MS).length;
    const isFilled = (observed.lasting.get(set.name) ?? 0) === lasting && (observed.sets.get(set.name) ?? 0) >= present;
    if (!isFilled) misfilled.add(set.name);
  }
  return misfilled;
}

/**
 * What differs between a table in the kernel and the ruleset that should be in it, in words; undefined where names and
 * counts agree. Elements with a timeout go by themselves, so of sets that have them only the names count: `misfilledSets`. The seal is no
 * part of either.
 */
export function tableDifference(observed: ObservedTable | undefined, wanted: Ruleset): string | undefined {
  if (observed === undefined) return `table ${wanted.table} is missing`;
  const timed = new Set(
    [...wanted.sets.values()].filter(({ flags }) => flags.includes('timeout')).map(({ name }) => name),
  );
  const size = <T>(objects: ReadonlyMap<string, T>, count: (object: T) => number): Map<string, number> =>
    new Map([...objects].map(([name, object]) => [name, count(object)]));
  return (
    countDifference(
      'chain',
      observed.chains,
      size(wanted.chains, ({ rules }) => rules.length),
      () => true,
    ) ??
    countDifference(
      'set',
      observed.sets,
      size(wanted.sets, ({ elements }) => elements.length),
      (name) => !timed.has(name),
    ) ??
    countDifference(
      'map',
      observed.maps,
      size(wanted.maps, ({ elements }) => elements.length),
      () => true,
    )
  );
}

type Counts = ReadonlyMap<string, number>;

function countDifference(
  kind: string,
  observed: Counts,
  wanted: Counts,
  counts: (name: string) => boolean,
): string | undefined {
  for (const [name, count] of wanted) {
    if (name === SEAL) continue;
    const found = observed.get(name);
    if (found === undefined) return `${kind} ${name} is missing`;
    if (counts(name) && found !== count) return `${kind} ${name} has ${found} entries, not ${count}`;
  }
  for (const name of observed.keys()) if (!wanted.has(name) && name !== SEAL) return `${kind} ${name} is not ours`;
  return undefined;
}
