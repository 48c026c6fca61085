import { describe, expect, it } from 'vitest';
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import type { Facts } from './facts.ts';
import type { Via } from './model.ts';
import { builtinSystemDefault } from './validate-system-default.ts';
import { waysOfApp } from './ways-of-app.ts';

const at = (line: number) => ({ file: '/p/a.yaml', line, column: 1 });
const via = (line: number): Via => ({ require: {}, prefer: {}, avoid: {}, prohibit: {}, else: 'block', at: at(line) });
const [ofRule, ofApp, ofDefault] = [via(1), via(2), via(3)];
const any = { text: '*', target: { kind: 'any' }, at: at(5) } as const;
const layer = 'administrator';

const facts: Facts = {
  ...{ uplinks: [], onLink: [], resolvers: [] },
  ...{ names: new Map(), users: new Map(), groups: new Map(), packages: new Map(), containers: new Map() },
};
const policySet: PolicySet = { apps: [], uplinks: [], systemDefault: { ...builtinSystemDefault, via: ofDefault } };
const bare: EffectivePolicy = { app: 'a', match: [], files: [], rules: [] };
const ways = (policy: EffectivePolicy | undefined) =>
  waysOfApp({ policySet, facts }, policy).map(({ rule, do: verb, via: taken }) => [rule, verb, taken?.at.line]);

describe('waysOfApp', () => {
  it('waysOfApp takes a rule’s own via before the application’s, and none where nothing is allowed', () => {
    const policy: EffectivePolicy = {
      ...bare,
      rules: [
        { to: [any], do: 'allow', via: ofRule, at: at(5), layer },
        { to: [any], do: 'deny', via: ofRule, at: at(6), layer },
        { to: [any], do: 'allow', at: at(7), layer },
      ],
      otherwise: { value: { do: 'allow', at: at(8) }, layer },
      via: { value: ofApp, layer },
    };
    expect(ways(policy)).toEqual([
      [0, 'allow', 1],
      [1, 'deny', undefined],
      [2, 'allow', 2],
      ['otherwise', 'allow', 2],
    ]);
  });

  it('waysOfApp takes the default’s via only where the default decides', () => {
    expect(ways(undefined)).toEqual([['default', 'allow', 3]]);
    expect(ways(bare)).toEqual([['default', 'allow', 3]]);
    expect(ways({ ...bare, via: { value: ofApp, layer } })).toEqual([['default', 'allow', 2]]);
    const stated = { value: { do: 'allow', at: at(8) }, layer } as const;
    expect(ways({ ...bare, otherwise: stated })).toEqual([['otherwise', 'allow', undefined]]);
  });

  it('waysOfApp finds none for an application that is blocked', () => {
    expect(ways({ ...bare, blocked: { because: 'x' } })).toEqual([]);
  });
});
