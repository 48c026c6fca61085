import { describe, expect, it } from 'vitest';
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import type { Uplink, Via } from './model.ts';
import { usesUplinks } from './uses-uplinks.ts';
import { builtinSystemDefault } from './validate-system-default.ts';

const at = { file: '/p/a.yaml', line: 1, column: 1 };
const via: Via = { require: {}, prefer: {}, avoid: {}, prohibit: {}, else: 'block', at };
const layer = 'administrator';
const app: EffectivePolicy = { app: 'a', match: [], files: [], rules: [{ to: [], do: 'allow', at, layer }] };
const found: Uplink = {
  ...{ name: 'wifi', device: 'wlan0', priority: 1, gateways: {}, at, discovered: true },
  properties: { type: 'wifi', metered: false, roaming: false, trusted: false, encrypted: false },
};
const { discovered: _, ...stated } = found;
const set: PolicySet = { apps: [app], uplinks: [found], systemDefault: builtinSystemDefault };

describe('usesUplinks', () => {
  it('usesUplinks is false where uplinks are only found', () => {
    expect(usesUplinks(set)).toBe(false);
  });

  it.each([
    ['a file names one', { ...set, uplinks: [found, stated] }],
    ['the default has a via', { ...set, systemDefault: { ...builtinSystemDefault, via } }],
    ['an application has a via', { ...set, apps: [app, { ...app, via: { value: via, layer } }] }],
    ['a rule has a via', { ...set, apps: [{ ...app, rules: [{ to: [], do: 'allow', at, layer, via }] }] }],
  ] satisfies [string, PolicySet][])('usesUplinks is true where %s', (_what, policySet) => {
    expect(usesUplinks(policySet)).toBe(true);
  });
});
