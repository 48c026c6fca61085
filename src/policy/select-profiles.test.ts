import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { activeProfiles } from './active-profiles.ts';
import type { EffectivePolicy, EffectiveRule, PolicySet } from './effective-policy.ts';
import type { UplinkState } from './facts.ts';
import type { Profile } from './model.ts';
import { allRules, selectProfiles } from './select-profiles.ts';
import { unknownProfiles } from './unknown-profiles.ts';
import { builtinSystemDefault } from './validate-system-default.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };
const rule = (line: number, during?: readonly string[]): EffectiveRule => ({
  to: [{ text: '*', target: { kind: 'any' }, at }],
  do: 'deny',
  layer: 'administrator',
  at: { ...at, line },
  ...(during && { during }),
});
const app = (name: string, ...rules: EffectiveRule[]): EffectivePolicy => ({ app: name, match: [], rules, files: [] });
const setOf = (...apps: EffectivePolicy[]): PolicySet => ({ apps, uplinks: [], systemDefault: builtinSystemDefault });
const lines = (rules: readonly EffectiveRule[] = []): number[] => rules.map((one) => one.at.line);

describe('selectProfiles()', () => {
  it('selectProfiles() keeps the rules that hold now, in their order and with their places', () => {
    const source = setOf(app('a', rule(1), rule(2, ['work']), rule(3, ['home', 'work']), rule(4)));
    const [home] = selectProfiles(source, ['home']).policySet.apps;
    expect(lines(home?.rules)).toEqual([1, 3, 4]);
    expect(home?.rules.map(({ place }) => place)).toEqual([0, 2, 3]);
    expect(lines(home?.dormant)).toEqual([2]);
    const [work] = selectProfiles(source, ['work']).policySet.apps;
    expect(work).not.toHaveProperty('dormant');
  });

  it('selectProfiles() gives the same objects where nothing is to be selected, or comes out otherwise', () => {
    const plain = setOf(app('a', rule(1)));
    expect(selectProfiles(plain, ['home']).policySet).toBe(plain);
    const [some, other] = [app('a', rule(1, ['work'])), app('b', rule(1))];
    const first = selectProfiles(setOf(some, other), []);
    const second = selectProfiles(setOf(some, other, app('c', rule(1))), ['home'], first);
    expect(second.policySet.apps[0]).toBe(first.policySet.apps[0]);
    expect(second.policySet.apps[1]).toBe(other);
    const third = selectProfiles(second.memory.source, ['home', 'other'], second);
    expect(third.policySet).toBe(second.policySet);
    expect(selectProfiles(second.memory.source, ['home', 'other'], third)).toBe(third);
  });

  it('selectProfiles() selects from what was selected before as from the files', () => {
    const during = fc.option(fc.subarray(['a', 'b', 'c'], { minLength: 1 }), { nil: undefined });
    const property = fc.property(
      fc.array(during, { maxLength: 6 }),
      fc.subarray(['a', 'b', 'c']),
      fc.subarray(['a', 'b', 'c']),
      (conditions, once, then) => {
        const source = setOf(app('x', ...conditions.map((condition, i) => rule(i, condition))));
        const selected = selectProfiles(source, once).policySet;
        const [again] = selectProfiles(selected, then).policySet.apps;
        const [direct] = selectProfiles(source, then).policySet.apps;
        expect(lines(again?.rules)).toEqual(lines(direct?.rules));
        expect(again === undefined ? [] : lines(allRules(again))).toEqual(conditions.map((_, i) => i));
        const held = conditions.flatMap((condition, i) =>
          condition === undefined || condition.some((name) => then.includes(name)) ? [i] : [],
        );
        expect(lines(again?.rules)).toEqual(held);
      },
    );
    fc.assert(property);
  });
});

describe('activeProfiles()', () => {
  const uplink = (name: string, up: boolean): UplinkState => ({
    name,
    id: 1,
    device: name,
    up,
    v4: up,
    v6: up,
    addresses: [],
    onLink: [],
    gateways: {},
  });
  const noon = { weekday: 1, minute: 720 };
  const monday = [{ days: [1], fromMinute: 0, toMinute: 1440 }];

  it('activeProfiles() wants all of one condition, and any of several', () => {
    const profiles: Profile[] = [
      { name: 'work', when: [{ uplinks: ['office', 'vpn'], times: monday }], at },
      { name: 'home', when: [{ uplinks: ['dsl'] }, { times: monday }], at },
    ];
    const active = (up: readonly string[], weekday: number) =>
      activeProfiles(profiles, {
        uplinks: ['office', 'vpn', 'dsl'].map((name) => uplink(name, up.includes(name))),
        time: { ...noon, weekday },
      });
    expect(active(['vpn'], 1)).toEqual(['home', 'work']);
    expect(active(['vpn'], 2)).toEqual([]);
    expect(active(['dsl'], 2)).toEqual(['home']);
    expect(active([], 1)).toEqual(['home']);
  });
});

describe('unknownProfiles()', () => {
  it('unknownProfiles() warns of a rule that never holds, and says what was meant', () => {
    const policySet = { ...setOf(app('a', rule(5, ['home', 'wrok']))), profiles: [] };
    expect(unknownProfiles(policySet)).toMatchObject([{ line: 5 }, { line: 5 }]);
    const profiles = ['home', 'work'].map((name): Profile => ({ name, when: [], at }));
    expect(unknownProfiles({ ...policySet, profiles })).toMatchObject([
      { severity: 'warning', code: 'unknown-profile', hint: 'did you mean "work"?' },
    ]);
  });
});
