/** Lists of applications sorted by `app`: looking one up, and telling two such lists apart by the identity of what is in them. */
import { compareText } from './policy-source.ts';

interface Named {
  readonly app: string;
}

/** Where `app` stands in a sorted list, or where it would stand, as `-1 - place`. */
export function placeOfApp(apps: readonly Named[], app: string): number {
  let low = 0;
  let high = apps.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = compareText(apps[middle]?.app ?? '', app);
    if (order === 0) return middle;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return -1 - low;
}

export function findApp<T extends Named>(apps: readonly T[], app: string): T | undefined {
  return apps[placeOfApp(apps, app)];
}

/** Sorted names of what is new, gone or another object. Both lists are sorted by `app`, each application once. */
export function changedApps(before: readonly Named[], after: readonly Named[]): readonly string[] {
  if (before === after) return [];
  const changed: string[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    const old = before[i];
    const now = after[j];
    const order = old === now ? 0 : old === undefined ? 1 : now === undefined ? -1 : compareText(old.app, now.app);
    const first = order <= 0 ? old : now;
    if (old !== now && first !== undefined) changed.push(first.app);
    if (order <= 0) i += 1;
    if (order >= 0) j += 1;
  }
  return changed;
}
