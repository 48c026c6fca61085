import { describe, expect, it } from 'vitest';
import { diff } from './diff.ts';
import { keepZones, MAX_UNUSED_ZONES } from './kept-zones.ts';
import { accept, rule } from './nft/expressions.ts';
import type { Chain, Ruleset } from './nft/ruleset.ts';
import type { Plan } from './plan.ts';

const zone = (number: number): Chain => ({
  name: `zone_${number}`,
  rules: [rule({ kind: 'set original zone', zone: number })],
});
const other: Chain = { name: 'other', rules: [rule(accept)] };
const ruleset = (...chains: readonly Chain[]): Ruleset => ({
  table: 'pointsman',
  sets: new Map(),
  maps: new Map(),
  chains: new Map(chains.map((chain) => [chain.name, chain])),
});
const plan = (nft: Ruleset): Plan => ({ nft, rules: [], routes: [], socketWays: new Map() });
/** Chains whose rules a change removes. */
const emptied = (before: Ruleset, after: Ruleset): readonly string[] =>
  diff(plan(before), plan(after)).flatMap((change) =>
    change.kind === 'nft'
      ? change.commands.flatMap((command) => (command.kind === 'flush chain' ? [command.chain] : []))
      : [],
  );

describe('keepZones()', () => {
  it('keepZones() leaves rules that set a zone where they are, and nothing else', () => {
    const before = ruleset(zone(1), zone(2), other);
    const after = ruleset(zone(1), zone(3));
    expect(emptied(before, after)).toEqual(['zone_2', 'other']);
    expect(emptied(before, keepZones(after, before))).toEqual(['other']);
  });

  it('keepZones() is the same object where nothing is to be kept', () => {
    const after = ruleset(zone(1));
    expect(keepZones(after, undefined)).toBe(after);
    expect(keepZones(after, ruleset(zone(1), other))).toBe(after);
    // Then the hook that leads to them goes, too.
    const none = ruleset(other);
    expect(keepZones(none, ruleset(zone(1)))).toBe(none);
  });

  it('keepZones() keeps so many, and no more', () => {
    const many = Array.from({ length: MAX_UNUSED_ZONES }, (_, i) => zone(i + 10));
    expect(keepZones(ruleset(zone(1)), ruleset(...many)).chains.size).toBe(MAX_UNUSED_ZONES + 1);
    expect(keepZones(ruleset(zone(1)), ruleset(zone(2), ...many)).chains.size).toBe(1);
  });
});
