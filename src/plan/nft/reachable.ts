/** A ruleset without chains that no packet comes to, and without sets and maps that no rule looks into. */
import type { Expression, Ruleset, Verdict } from './ruleset.ts';

/** `kept`: chains that stay although nothing leads to them. */
export function reachableFrom(ruleset: Ruleset, kept: readonly string[]): Ruleset {
  const chains = new Set<string>();
  const tables = new Set<string>();
  const waiting = [...ruleset.chains.values()]
    .filter(({ name, hook }) => hook !== undefined || kept.includes(name))
    .map(({ name }) => name);
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (chains.has(name)) continue;
    chains.add(name);
    for (const expression of ruleset.chains.get(name)?.rules.flatMap(({ expressions }) => expressions) ?? []) {
      for (const table of tablesOf(expression)) tables.add(table);
      waiting.push(...verdictsOf(ruleset, expression).flatMap(chainOf));
    }
  }
  const only = <T>(all: ReadonlyMap<string, T>, names: ReadonlySet<string>): ReadonlyMap<string, T> =>
    new Map([...all].filter(([name]) => names.has(name)));
  return {
    ...ruleset,
    chains: only(ruleset.chains, chains),
    sets: only(ruleset.sets, tables),
    maps: only(ruleset.maps, tables),
  };
}

/** Sets and maps. */
function tablesOf(expression: Expression): readonly string[] {
  switch (expression.kind) {
    case 'lookup':
    case 'update set':
    case 'over rate':
      return [expression.set];
    case 'vmap':
    case 'map mark':
      return [expression.map];
    case 'compare':
    case 'hash vmap':
    case 'set mark':
    case 'copy mark':
    case 'reject':
    case 'queue':
    case 'log':
    case 'counter':
    case 'masquerade':
    case 'set original zone':
    case 'set label':
    case 'redirect':
    case 'verdict':
      return [];
  }
}

function verdictsOf({ maps }: Ruleset, expression: Expression): readonly Verdict[] {
  switch (expression.kind) {
    case 'verdict':
      return [expression.verdict];
    case 'hash vmap':
      return expression.elements.map(({ verdict }) => verdict);
    case 'vmap':
      return (maps.get(expression.map)?.elements ?? []).flatMap(({ data }) =>
        data.kind === 'verdict' ? [data.verdict] : [],
      );
    case 'compare':
    case 'lookup':
    case 'set mark':
    case 'copy mark':
    case 'map mark':
    case 'reject':
    case 'queue':
    case 'log':
    case 'update set':
    case 'over rate':
    case 'counter':
    case 'masquerade':
    case 'set original zone':
    case 'set label':
    case 'redirect':
      return [];
  }
}

const chainOf = (verdict: Verdict): readonly string[] =>
  verdict.kind === 'jump' || verdict.kind === 'goto' ? [verdict.chain] : [];
