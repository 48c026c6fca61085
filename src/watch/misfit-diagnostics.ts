/** What is said of `match` entries that do not fit this machine: by `check`, and by the daemon. */
import type { Diagnostic } from '../policy/diagnostic.ts';
import { misfitMatch } from '../policy/match-fit.ts';
import type { Match, Policy } from '../policy/model.ts';
import { diagnosticAt } from '../policy/policy-source.ts';
import type { MatchLooks, MisfitHere } from './match-looks.ts';

/** `undefined` where the entry fits, and where its text alone tells that it does not: that is said where the file is read. */
export function misfitOf(
  looks: MatchLooks,
  entry: Match,
  policy: Pick<Policy, 'match' | 'children'>,
): MisfitHere | undefined {
  return misfitMatch(entry.kind, entry.value) === undefined ? looks.misfit(entry, policy) : undefined;
}

/** At the place of the value, with its line; `bytes`: of the entry's file, as it is now. */
export function misfitDiagnostic({ at, value }: Match, { message, hint }: MisfitHere, bytes: Uint8Array): Diagnostic {
  const lines = new TextDecoder().decode(bytes).split('\n');
  const source = lines[at.line - 1]?.replace(/\r$/, '') ?? '';
  const column = source.indexOf(value, at.column - 1) + 1;
  const place = column > 0 ? { source, column, length: value.length } : {};
  return { ...diagnosticAt(at, 'warning', 'misfit-match', message, hint), ...place };
}
