/** `match` entries that do not fit this machine: a few are looked at each time, those of changed applications at once. */
import type { Diagnostic } from '../policy/diagnostic.ts';
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import type { Match } from '../policy/model.ts';
import { readSourceFile } from '../store/source-file.ts';
import { MatchLooks, type MisfitHere } from '../watch/match-looks.ts';
import { misfitDiagnostic, misfitOf } from '../watch/misfit-diagnostics.ts';
import type { Warning } from './health.ts';

/** Each costs a few looks at files. */
export const MAX_ENTRIES_PER_LOOK = 200;
const MAX_NAMED = 3;

interface Entry {
  readonly match: Match;
  readonly policy: EffectivePolicy;
}

interface Misfit {
  readonly misfit: MisfitHere;
  readonly diagnostic: Diagnostic;
}

export class MisfitEntries {
  readonly #looks = new MatchLooks({ isComplete: true });
  readonly #misfits = new Map<Match, Misfit>();
  #next = 0;

  /**
   * `changed`: applications whose entries come first. The warning is about what is something else than its entry says; what is not there
   * may come, and is only among the diagnostics.
   */
  look({ apps }: PolicySet, changed: readonly string[] = []): Warning | undefined {
    const entries = apps.flatMap(entriesOf);
    // What is in a package costs more than a look: those entries are looked at where they are new, and until they fit.
    const cheap = entries.filter(({ match }) => match.kind !== 'package');
    const from = this.#next < cheap.length ? this.#next : 0;
    const inTurn = cheap.slice(from, from + MAX_ENTRIES_PER_LOOK);
    this.#next = from + inTurn.length;
    const fresh = new Set(changed);
    const first = entries.filter(({ policy }) => fresh.has(policy.app)).slice(0, MAX_ENTRIES_PER_LOOK);
    const unfit = entries.filter(({ match }) => match.kind === 'package' && this.#misfits.has(match));
    for (const { match, policy } of new Set([...first, ...inTurn, ...unfit.slice(0, MAX_ENTRIES_PER_LOOK)])) {
      const misfit = misfitOf(this.#looks, match, {
        match: policy.match,
        ...(policy.children && { children: policy.children.value }),
      });
      if (misfit === undefined) this.#misfits.delete(match);
      else this.#note(match, misfit);
    }
    const present = new Set(entries.map(({ match }) => match));
    for (const match of this.#misfits.keys()) if (!present.has(match)) this.#misfits.delete(match);
    const others = [...this.#misfits].filter(([, { misfit }]) => misfit.because === 'other');
    return warningOf(others.map(([match, { misfit }]) => [match, misfit]));
  }

  /** Of all that is known not to fit, what `check` says. */
  get diagnostics(): readonly Diagnostic[] {
    return [...this.#misfits.values()].map(({ diagnostic }) => diagnostic);
  }

  #note(match: Match, misfit: MisfitHere): void {
    if (this.#misfits.get(match)?.misfit.message === misfit.message) return;
    const file = readSourceFile(match.at.file);
    const bytes = file.kind === 'read' ? file.bytes : new Uint8Array();
    this.#misfits.set(match, { misfit, diagnostic: misfitDiagnostic(match, misfit, bytes) });
  }
}

const entriesOf = (policy: EffectivePolicy): readonly Entry[] =>
  policy.match.filter(({ fromPackage }) => fromPackage === undefined).map((match) => ({ match, policy }));

function warningOf(misfits: readonly (readonly [Match, MisfitHere])[]): Warning | undefined {
  const [first] = misfits;
  if (first === undefined) return undefined;
  const named = misfits
    .slice(0, MAX_NAMED)
    .map(([{ at }, { message }]) => `${at.file}:${at.line}:${at.column}: ${message}`);
  const more = misfits.length > MAX_NAMED ? `; and ${misfits.length - MAX_NAMED} more: see pointsman check` : '';
  return { message: `${named.join('; ')}${more}`, hint: first[1].hint };
}
