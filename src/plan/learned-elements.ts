import type { MonotonicMs } from '../net/clock.ts';
import type { NameState } from '../policy/facts.ts';
import type { Compilation } from './compile.ts';
import { namedElements } from './compile-destinations.ts';
import type { NftSet, SetElement } from './nft/ruleset.ts';

/**
 * What sets of a plan in force lack when names have got these addresses: `fresh` has just those. An element may overlap with
 * another that is there, where names with different ports share an address.
 */
export function learnedElements(
  { parts, plan }: Pick<Compilation, 'parts' | 'plan'>,
  fresh: ReadonlyMap<string, NameState>,
  nowMs: MonotonicMs,
): readonly { readonly set: NftSet; readonly elements: readonly SetElement[] }[] {
  const additions = new Map<string, { readonly set: NftSet; readonly elements: readonly SetElement[] }>();
  const seen = new Set<unknown>();
  for (const part of parts.values()) {
    if (part.names.size === 0 || seen.has(part)) continue;
    seen.add(part);
    if (![...fresh.keys()].some((name) => part.names.has(name))) continue;
    for (const named of part.named) {
      // Where the kernel tells no applications their sets are not there.
      if (additions.has(named.set.name) || !plan.nft.sets.has(named.set.name)) continue;
      const elements = namedElements(named, fresh, nowMs);
      if (elements.length > 0) additions.set(named.set.name, { set: named.set, elements });
    }
  }
  return [...additions.values()];
}
