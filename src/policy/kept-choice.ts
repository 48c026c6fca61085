/**
 * Sticky choices: uplinks that new connections go on to take for a while after others would come first, so that an uplink that
 * comes and goes, or a measured value that is now on this side of a bound and now on that, does not send them to and fro.
 */
import type { Family } from '../net/address.ts';
import { type BestUplinks, bestUplinks, type WaysOut } from './choose-uplink.ts';
import type { PolicySet } from './effective-policy.ts';
import type { KeptChoices } from './facts.ts';
import type { Via } from './model.ts';
import { keptKey } from './via-text.ts';

/** Times are of one monotonic clock. */
export interface KeptChoice {
  readonly uplinks: readonly string[];
  /** Who would come first, and since when it has been these without a break. */
  readonly better?: { readonly uplinks: readonly string[]; readonly sinceMs: number };
}

const sameNames = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((name) => b.includes(name));

/** What is kept works as well as the best does; what does not is given up at once, and never holds up what would. Pure. */
export function keepChoice(
  before: KeptChoice | undefined,
  { best, usable }: BestUplinks,
  stickyMs: number,
  nowMs: number,
): KeptChoice {
  const kept = (before?.uplinks ?? []).filter((name) => usable.includes(name));
  if (kept.length === 0 || sameNames(kept, best)) return { uplinks: best };
  const waiting = before?.better;
  const sinceMs = waiting !== undefined && sameNames(waiting.uplinks, best) ? waiting.sinceMs : nowMs;
  if (nowMs - sinceMs >= stickyMs) return { uplinks: best };
  return { uplinks: kept, better: { uplinks: best, sinceMs } };
}

/** All that has to be remembered from one look to the next. */
export interface StickyChoices {
  readonly choices: ReadonlyMap<string, KeptChoice>;
  /** The same object as before where it says the same. */
  readonly kept: KeptChoices;
  /** When the next of them changes if nothing else does; absent: none does. */
  readonly dueMs?: number;
}

export const NOTHING_KEPT: StickyChoices = { choices: new Map(), kept: new Map() };

/** Every `via` that is sticky, equal ones once. */
export function stickyVias({ apps, systemDefault }: PolicySet): readonly Via[] {
  const found = new Map<string, Via>();
  const note = (via: Via | undefined): void => {
    if (via?.stickyMs !== undefined) found.set(keptKey(via, 4), via);
  };
  note(systemDefault.via);
  for (const { via, rules, dormant = [] } of apps) {
    note(via?.value);
    for (const rule of [...rules, ...dormant]) note(rule.via);
  }
  return [...found.values()];
}

/** `ways`: without what was kept. Choices that nobody speaks of any more are forgotten. Pure. */
export function keepChoices(
  vias: readonly Via[],
  ways: Omit<WaysOut, 'kept'>,
  nowMs: number,
  before: StickyChoices = NOTHING_KEPT,
): StickyChoices {
  if (vias.length === 0) return before.kept.size === 0 ? before : NOTHING_KEPT;
  const choices = new Map<string, KeptChoice>();
  const due: number[] = [];
  for (const via of vias) {
    const { stickyMs = 0 } = via;
    for (const family of [4, 6] as const satisfies readonly Family[]) {
      const key = keptKey(via, family);
      const choice = keepChoice(before.choices.get(key), bestUplinks(via, family, ways), stickyMs, nowMs);
      choices.set(key, choice);
      if (choice.better !== undefined) due.push(choice.better.sinceMs + stickyMs);
    }
  }
  const isSame =
    choices.size === before.kept.size &&
    [...choices].every(([key, { uplinks }]) => sameNames(uplinks, before.kept.get(key) ?? ['']));
  const kept = isSame ? before.kept : new Map([...choices].map(([key, { uplinks }]) => [key, uplinks]));
  return { choices, kept, ...(due.length > 0 && { dueMs: Math.min(...due) }) };
}
