/** `match` entries of programs that are something else than the entry says, as a warning: a few are looked at each time. */
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import type { Match } from '../policy/model.ts';
import { MatchLooks, type MisfitHere } from '../watch/match-looks.ts';
import type { Warning } from './health.ts';

/** Each costs a few looks at files. */
export const MAX_ENTRIES_PER_LOOK = 200;
const MAX_NAMED = 3;

interface Entry {
  readonly match: Match;
  readonly policy: EffectivePolicy;
}

export class MisfitEntries {
  readonly #looks = new MatchLooks({ isComplete: true });
  readonly #misfits = new Map<Match, MisfitHere>();
  #next = 0;

  /** Programs that are not there are no fault: they may come. */
  look({ apps }: PolicySet): Warning | undefined {
    const entries = apps.flatMap(entriesOf);
    const from = this.#next < entries.length ? this.#next : 0;
    const some = entries.slice(from, from + MAX_ENTRIES_PER_LOOK);
    this.#next = from + some.length;
    for (const { match, policy } of some) {
      const misfit = this.#looks.misfit(match, {
        match: policy.match,
        ...(policy.children && { children: policy.children.value }),
      });
      if (misfit?.because === 'other') this.#misfits.set(match, misfit);
      else this.#misfits.delete(match);
    }
    const present = new Set(entries.map(({ match }) => match));
    for (const match of this.#misfits.keys()) if (!present.has(match)) this.#misfits.delete(match);
    return warningOf([...this.#misfits]);
  }
}

const entriesOf = (policy: EffectivePolicy): readonly Entry[] =>
  policy.match
    .filter(({ kind, fromPackage }) => (kind === 'exec' || kind === 'script') && fromPackage === undefined)
    .map((match) => ({ match, policy }));

function warningOf(misfits: readonly (readonly [Match, MisfitHere])[]): Warning | undefined {
  const [first] = misfits;
  if (first === undefined) return undefined;
  const named = misfits
    .slice(0, MAX_NAMED)
    .map(([{ at }, { message }]) => `${at.file}:${at.line}:${at.column}: ${message}`);
  const more = misfits.length > MAX_NAMED ? `; and ${misfits.length - MAX_NAMED} more: see pointsman check` : '';
  return { message: `${named.join('; ')}${more}`, hint: first[1].hint };
}
