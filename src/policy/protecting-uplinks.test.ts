import { describe, expect, it } from 'vitest';
import type { PolicySet } from './effective-policy.ts';
import { propertiesOf } from './join-uplinks.ts';
import type { Uplink, UplinkProperties, Via } from './model.ts';
import { localCarriers, protectingUplinks } from './protecting-uplinks.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };
const uplink = (name: string, told: Partial<UplinkProperties>): Uplink => ({
  ...{ name, device: `${name}0`, priority: 100, gateways: {}, at },
  ...propertiesOf([{ by: 'file', told }]),
});
const via = (require: Via['require']): Via => ({ require, prefer: {}, avoid: {}, prohibit: {}, else: 'block', at });

const UPLINKS = [
  ...[uplink('wifi', { type: 'wifi' }), uplink('vpn', { type: 'vpn', encrypted: true })],
  uplink('lan', { type: 'ethernet', trusted: true }),
];
const otherwise = { do: 'allow', at } as const;
const set = (systemVia?: Via, ruleVia?: Via): PolicySet => ({
  apps: [
    {
      ...{ app: 'a', match: [], files: [] },
      rules: ruleVia === undefined ? [] : [{ to: [], do: 'allow', via: ruleVia, layer: 'administrator', at }],
    },
  ],
  uplinks: UPLINKS,
  systemDefault: { otherwise, unknown: otherwise, whenAway: 'closed', ...(systemVia && { via: systemVia }) },
});

describe('protectingUplinks', () => {
  it.each([
    ['by name', { name: ['wifi'] }, ['wifi']],
    ['because they are encrypted', { encrypted: true }, ['vpn']],
    ['because they are VPNs', { type: ['vpn'] }, ['vpn']],
    ['because they are trusted', { trusted: true }, ['lan']],
    ['for another reason', { metered: false }, []],
  ] satisfies [string, Via['require'], string[]][])(
    'protectingUplinks() has those that are taken %s',
    (_, require, names) => {
      expect([...protectingUplinks(set(via(require)))]).toEqual(names);
      expect([...protectingUplinks(set(undefined, via(require)))]).toEqual(names);
      expect([...protectingUplinks(set())]).toEqual([]);
    },
  );
});

describe('localCarriers', () => {
  it.each<[string, Partial<Via>, string[]]>([
    ['that it requires', { local: 'via', require: { type: ['vpn'] } }, ['vpn']],
    ['that are the only ones', { local: 'via' }, ['wifi', 'vpn', 'lan']],
    [
      'that it takes for want of these',
      { local: 'via', require: { type: ['vpn'] }, else: 'any' },
      ['wifi', 'vpn', 'lan'],
    ],
    ['that are to be measured first', { local: 'via', require: { name: ['wifi'], validated: true } }, ['wifi']],
    ['of a via that blocks what is local', { local: 'block' }, []],
    ['of one that says nothing of it', {}, []],
  ])('localCarriers() has those %s', (_, part, names) => {
    const one = { ...via({}), ...part };
    expect([...localCarriers(set(one))]).toEqual(names);
    expect([...localCarriers(set(undefined, one))]).toEqual(names);
  });
});
