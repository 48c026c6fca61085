/** `match` from a file's fields. */
import { keySpanOf, type Path, spanOf } from './document.ts';
import { misfitMatch } from './match-fit.ts';
import { MATCH_KINDS, type Match, type SourceLocation } from './model.ts';
import { matchKey } from './policy-source.ts';
import { locationOf } from './report.ts';
import { CONTEXT_KEYS, type MatchFields } from './schema.ts';
import type { Checking } from './validate-via.ts';

export function validateMatch(entries: readonly (MatchFields | undefined)[], checking: Checking): readonly Match[] {
  const { document, report } = checking;
  const seen = new Set<string>();
  const matches: Match[] = [];
  for (const [index, entry] of entries.entries()) {
    if (entry === undefined) continue;
    const path = ['match', index];
    checkOneKind(entry, path, checking);
    for (const match of matchesOf(entry, locationOf(document.source, spanOf(document, path)))) {
      const key = matchKey(match);
      if (seen.has(key)) {
        const message = 'the same entry stands above already';
        report.warning(spanOf(document, path), { code: 'duplicate-entry', message });
      } else {
        matches.push(match);
        const misfit = misfitMatch(match.kind, match.value);
        if (misfit !== undefined)
          report.warning(spanOf(document, [...path, match.kind]), { code: 'misfit-match', ...misfit });
      }
      seen.add(key);
    }
  }
  checkKernelAlone(entries, matches, checking);
  return matches;
}

/** What comes in, who starts whom, what a live connection is told by its application's number: all of it is said of programs otherwise. */
function checkKernelAlone(
  entries: readonly (MatchFields | undefined)[],
  matches: readonly Match[],
  { document, report }: Checking,
): void {
  const index = entries.findIndex((entry) => entry?.kernel !== undefined);
  if (index < 0 || matches.every(({ kind }) => kind === 'kernel')) return;
  const message = 'what the kernel itself sends is an application of its own, without programs';
  const hint = 'give the kernel entries a file of their own, with another app';
  report.error(spanOf(document, ['match', index]), { code: 'invalid-match', message, hint });
}

/** Several kinds in one entry could mean "all of these" or "any": one entry, one kind. */
function checkOneKind(entry: MatchFields, path: Path, checking: Checking): void {
  const { document, report } = checking;
  const kinds = CONTEXT_KEYS.match.filter((kind) => Object.hasOwn(entry, kind));
  if (Object.keys(entry).length === 0) {
    const message = `a match entry names one of ${CONTEXT_KEYS.match.join(', ')}`;
    report.error(spanOf(document, path), { code: 'invalid-match', message });
  }
  const second = kinds[1];
  if (second === undefined) return;
  const message = 'a match entry has one kind';
  const hint = 'give each kind its own "- ": then either is enough; that both must hold cannot be said';
  report.error(keySpanOf(document, [...path, second]), { code: 'invalid-match', message, hint });
}

function matchesOf(entry: MatchFields, at: SourceLocation): readonly Match[] {
  return MATCH_KINDS.flatMap((kind) => {
    const value = entry[kind];
    return value === undefined ? [] : [{ kind, value: String(value), at }];
  });
}
