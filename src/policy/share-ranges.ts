/** How uplinks divide the slots among themselves, by their weights. Pure. */
import { SHARE_SLOTS } from './share-slot.ts';

export interface Sharer {
  readonly name: string;
  readonly weight: number;
}

/** Slots `first` to `last`, both included. */
export interface SlotRange {
  readonly first: number;
  readonly last: number;
  readonly name: string;
}

function divide(first: number, last: number, sharers: readonly Sharer[]): SlotRange[] {
  const total = sharers.reduce((sum, { weight }) => sum + weight, 0);
  const slots = last - first + 1;
  let before = 0;
  const edge = (): number => first + Math.floor((slots * before) / total);
  return sharers
    .map(({ name, weight }) => {
      const start = edge();
      before += weight;
      return { first: start, last: edge() - 1, name };
    })
    .filter((range) => range.first <= range.last);
}

/**
 * All slots in order. Every uplink has a home range, whether it takes part now or not; the home of one that does not is
 * divided among those that do. So whatever comes or goes takes its home along, and the others keep theirs.
 * `everyone` includes `sharers`, of which there is at least one.
 */
export function shareRanges(everyone: readonly Sharer[], sharers: readonly Sharer[]): readonly SlotRange[] {
  const byName = (a: Sharer, b: Sharer): number => (a.name < b.name ? -1 : 1);
  const takers = sharers.toSorted(byName);
  const names = new Set(sharers.map(({ name }) => name));
  const joined: SlotRange[] = [];
  for (const home of divide(0, SHARE_SLOTS - 1, everyone.toSorted(byName))) {
    for (const range of names.has(home.name) ? [home] : divide(home.first, home.last, takers)) {
      const previous = joined.at(-1);
      if (previous?.name === range.name) joined[joined.length - 1] = { ...previous, last: range.last };
      else joined.push(range);
    }
  }
  return joined;
}

/** Whose the slot is. */
export function sharerOf(ranges: readonly SlotRange[], slot: number): string | undefined {
  return ranges.find(({ first, last }) => first <= slot && slot <= last)?.name;
}
