import { describe, expect, it } from 'vitest';
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { hostNames, namedHosts, refusedHosts } from './named-things.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };

function policy(app: string, ...names: string[]): EffectivePolicy {
  const to = names.map((name) => ({ text: name, target: { kind: 'name', name } as const, at }));
  return { app, match: [], files: [], rules: to.map((each) => ({ to: [each], do: 'allow', layer: 'package', at })) };
}

const setOf = (...apps: EffectivePolicy[]): PolicySet => ({ apps, uplinks: [], systemDefault: builtinSystemDefault });

describe('hostNames', () => {
  it('hostNames gives the names in rules, each once', () => {
    expect(hostNames(setOf(policy('a', 'x', 'y', 'x'), policy('b'), policy('c', 'y', 'z')))).toEqual(['x', 'y', 'z']);
  });
});

describe('namedHosts', () => {
  it('namedHosts follows applications that come, change and go', () => {
    const b = policy('b', 'y');
    const first = namedHosts(setOf(policy('a', 'x'), b));
    const second = namedHosts(setOf(b, policy('c', 'z')), first);
    expect(Object.fromEntries(second.byApp)).toEqual({ b: ['y'], c: ['z'] });
    expect(Object.fromEntries(namedHosts(setOf(policy('b'), policy('c', 'z')), second).byApp)).toEqual({ c: ['z'] });
  });

  it('namedHosts keeps the map where other rules name the same hosts', () => {
    const first = namedHosts(setOf(policy('a', 'x'), policy('b')));
    expect(namedHosts(setOf(policy('a', 'x', 'x'), policy('b'), policy('c')), first).byApp).toBe(first.byApp);
  });
});

describe('refusedHosts', () => {
  it('refusedHosts gives the names in rules that deny or drop, and notices a rule that turns to denying', () => {
    const allowing = policy('a', 'x', 'y');
    const [first] = allowing.rules;
    if (first === undefined) throw new Error('the policy has no rules');
    const denying: EffectivePolicy = { ...allowing, rules: [{ ...first, do: 'deny' }, ...allowing.rules.slice(1)] };
    const before = refusedHosts(setOf(allowing));
    expect(Object.fromEntries(before.byApp)).toEqual({});
    expect(Object.fromEntries(refusedHosts(setOf(denying), before).byApp)).toEqual({ a: ['x'] });
  });
});
