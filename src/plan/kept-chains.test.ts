import { describe, expect, it } from 'vitest';
import { diff } from './diff.ts';
import { keepChains, MAX_UNUSED_ZONES } from './kept-chains.ts';
import { accept, rule } from './nft/expressions.ts';
import type { Chain, Ruleset } from './nft/ruleset.ts';
import type { Plan } from './plan.ts';

const zone = (number: number): Chain => ({
  name: `zone_${number}`,
  rules: [rule({ kind: 'set original zone', zone: number })],
});
const other: Chain = { name: 'other', rules: [rule(accept)] };
const input: Chain = {
  ...other,
  name: 'input',
  hook: { type: 'filter', hook: 'input', priority: -151, policy: 'accept' },
};
const ofDevice: Chain = {
  ...other,
  name: 'of_device',
  hook: { type: 'filter', hook: 'ingress', priority: -151, policy: 'accept', devices: ['veth0'] },
};
const ruleset = (...chains: readonly Chain[]): Ruleset => ({
  table: 'pointsman',
  sets: new Map(),
  maps: new Map(),
  chains: new Map(chains.map((chain) => [chain.name, chain])),
});
const plan = (nft: Ruleset): Plan => ({ nft, rules: [], routes: [], socketWays: new Map() });
/** Chains of which a change does that. */
const chainsThat = (kind: 'flush chain' | 'delete chain', before: Ruleset, after: Ruleset): readonly string[] =>
  diff(plan(before), plan(after)).flatMap((change) =>
    change.kind === 'nft' ? change.commands.flatMap((command) => (command.kind === kind ? [command.chain] : [])) : [],
  );

describe('keepChains()', () => {
  it('keepChains() leaves rules that set a zone where they are, and nothing else', () => {
    const before = ruleset(zone(1), zone(2), other);
    const after = ruleset(zone(1), zone(3));
    expect(chainsThat('flush chain', before, after)).toEqual(['zone_2', 'other']);
    expect(chainsThat('flush chain', before, keepChains(after, before))).toEqual(['other']);
    expect(chainsThat('flush chain', ruleset(zone(1)), keepChains(ruleset(), ruleset(zone(1))))).toEqual([]);
  });

  it('keepChains() empties base chains, and deletes none but those of devices', () => {
    const before = ruleset(input, ofDevice, other);
    const after = ruleset(zone(1));
    expect(chainsThat('delete chain', before, after)).toEqual(['input', 'of_device', 'other']);
    const kept = keepChains(after, before);
    expect(chainsThat('delete chain', before, kept)).toEqual(['of_device', 'other']);
    expect(chainsThat('flush chain', before, kept)).toContain('input');
    expect(kept.chains.get('input')?.rules).toEqual([]);
    // Again and again.
    expect(diff(plan(kept), plan(keepChains(after, kept)))).toEqual([]);
    // And back.
    expect(keepChains(before, kept).chains.get('input')).toBe(input);
  });

  it('keepChains() is the same object where nothing is to be kept', () => {
    const after = ruleset(zone(1));
    expect(keepChains(after, undefined)).toBe(after);
    expect(keepChains(after, ruleset(zone(1), other))).toBe(after);
  });

  it('keepChains() keeps so many zones, and no more', () => {
    const many = Array.from({ length: MAX_UNUSED_ZONES }, (_, i) => zone(i + 10));
    expect(keepChains(ruleset(zone(1)), ruleset(...many)).chains.size).toBe(MAX_UNUSED_ZONES + 1);
    const tooMany = ruleset(...many, zone(2), input);
    expect([...keepChains(ruleset(zone(1)), tooMany).chains.keys()]).toEqual(['zone_1', 'input']);
  });
});
