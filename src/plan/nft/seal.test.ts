import { describe, expect, it } from 'vitest';
import { rulesetOf, SAMPLE, WAYS } from '../../../test/contract/sample-ruleset.ts';
import type { Change } from '../change.ts';
import { diff, type Observed } from '../diff.ts';
import type { Plan } from '../plan.ts';
import { accept, rule } from './expressions.ts';
import type { Ruleset } from './ruleset.ts';
import { SEAL, sealOf, withSeal } from './seal.ts';

const parts = (ruleset: Ruleset) => ({
  chains: [...ruleset.chains.values()],
  sets: [...ruleset.sets.values()],
  maps: [...ruleset.maps.values()],
});
const sample = parts(SAMPLE);
const [output, ...chains] = sample.chains;
const [set, ...sets] = sample.sets;
if (output === undefined || set === undefined) throw new Error('the sample lacks something');

describe('sealOf()', () => {
  it('is two keys that equal rulesets share, whatever the order of elements is', () => {
    const [high, low] = sealOf(SAMPLE);
    expect(high).not.toBe(low);
    const turned = sample.maps.map((map) => ({ ...map, elements: map.elements.toReversed() }));
    expect(sealOf(rulesetOf({ ...sample, maps: turned }))).toEqual([high, low]);
    expect(sealOf(withSeal(SAMPLE))).toEqual([high, low]);
  });

  const cgroups = sample.maps.map((map) => (map.key === 'cgroupsv2' ? { ...map, elements: [] } : map));
  it.each([
    ['a rule', { ...sample, chains: [{ ...output, rules: [...output.rules, rule(accept)] }, ...chains] }],
    ['a hook', { ...sample, chains: [{ name: output.name, rules: output.rules }, ...chains] }],
    ['an element of a set', { ...sample, sets: [{ ...set, elements: set.elements.slice(1) }, ...sets] }],
    ['a size', { ...sample, sets: [{ ...set, size: 7 }, ...sets] }],
    ['a cgroup', { ...sample, maps: cgroups }],
  ])('is another one for %s', (_what, changed) => {
    expect(sealOf(rulesetOf(changed))).not.toEqual(sealOf(SAMPLE));
  });
});

describe('withSeal()', () => {
  const plan = (nft: Ruleset): Plan => ({ nft: withSeal(nft), rules: [], routes: [], socketWays: new Map() });
  const seals = (changes: readonly Change[]): boolean[] =>
    changes.map((change) => {
      if (change.kind !== 'nft') return false;
      return change.commands.some(
        (command) =>
          (command.kind === 'add map elements' && command.map.name === SEAL) ||
          (command.kind === 'replace table' && (command.ruleset.maps.get(SEAL)?.elements ?? []).length > 0),
      );
    });
  const later = rulesetOf({ ...sample, maps: [...sample.maps.filter(({ key }) => key !== 'cgroupsv2'), WAYS] });

  it.each<[string, Observed, Plan]>([
    ['a table that is loaded', { rules: [], routes: [], socketWays: new Map() }, plan(SAMPLE)],
    ['a table that changes', plan(later), plan(SAMPLE)],
  ])('is put on %s with the last of several transactions', (_what, observed, wanted) => {
    const sealing = seals(diff(observed, wanted).filter(({ kind }) => kind === 'nft'));
    expect(sealing.length).toBeGreaterThan(1);
    expect(sealing).toEqual(sealing.map((_, i) => i === sealing.length - 1));
  });

  it('goes with the first transaction of a change', () => {
    const [first] = diff(plan(SAMPLE), plan(later)).filter(({ kind }) => kind === 'nft');
    expect(first?.kind === 'nft' && first.commands).toContainEqual(
      expect.objectContaining({ kind: 'delete map elements', map: expect.objectContaining({ name: SEAL }) }),
    );
  });
});
