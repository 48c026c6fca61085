/** A small ruleset with one of everything, for the contract and for tests of what applies plans. */
import { accept, drop, goto, inSet, is, jump, rule, vmap } from '../../src/plan/nft/expressions.ts';
import type { Chain, MapElement, NftMap, NftSet, Rule, Ruleset, SetElement } from '../../src/plan/nft/ruleset.ts';
import { TABLE } from '../../src/plan/reserved.ts';

/** No kernel has a cgroup with such a number: elements are numbers, whether or not the cgroup is there. */
export const VANISHED_CGROUP = 0x7fff_0000_1234n;

export const chain = (name: string, ...rules: readonly Rule[]): Chain => ({ name, rules });

export const element = (...key: readonly (readonly [first: bigint, last: bigint])[]): SetElement => ({
  key: key.map(([first, last]) => ({ first, last })),
});

export const gotoElement = (key: bigint, target: string): MapElement => ({
  key,
  data: { kind: 'verdict', verdict: { kind: 'goto', chain: target } },
});

export const markElement = (key: bigint, mark: number): MapElement => ({ key, data: { kind: 'mark', mark } });

export const PORTS: NftSet = {
  name: 'ports',
  key: ['inet_service'],
  flags: ['interval'],
  elements: [element([80n, 90n]), element([443n, 443n])],
};

export const TIMED: NftSet = {
  name: 'timed',
  key: ['ipv4_addr'],
  flags: ['timeout'],
  elements: [element([0xc0000201n, 0xc0000201n])],
};

export const APPS: NftMap = {
  name: 'apps',
  key: 'mark',
  data: 'verdict',
  elements: [gotoElement(1n, 'app_1'), gotoElement(2n, 'app_2')],
};

export const WAYS: NftMap = { name: 'ways', key: 'mark', data: 'mark', elements: [markElement(1n, 0x80000001)] };

export const CGROUPS: NftMap = {
  name: 'cgroups_1',
  key: 'cgroupsv2',
  level: 1,
  data: 'verdict',
  elements: [gotoElement(VANISHED_CGROUP, 'app_1')],
};

const OUTPUT: Chain = {
  name: 'output',
  hook: { type: 'route', hook: 'output', priority: -151, policy: 'accept' },
  rules: [
    rule(is({ kind: 'meta oifname' }, 'lo'), accept),
    rule(vmap({ kind: 'meta mark' }, APPS.name)),
    rule(jump('shared')),
  ],
};

export function rulesetOf(parts: {
  readonly chains: readonly Chain[];
  readonly sets?: readonly NftSet[];
  readonly maps?: readonly NftMap[];
}): Ruleset {
  const byName = <T extends { readonly name: string }>(objects: readonly T[]): Map<string, T> =>
    new Map(objects.map((object) => [object.name, object]));
  return { table: TABLE, chains: byName(parts.chains), sets: byName(parts.sets ?? []), maps: byName(parts.maps ?? []) };
}

/** Chains output, app_1, app_2, shared; sets ports, timed; maps apps, ways, cgroups_1. */
export const SAMPLE: Ruleset = rulesetOf({
  chains: [
    OUTPUT,
    chain('app_1', rule(inSet(PORTS.name, { kind: 'th dport' }), accept), rule(drop)),
    chain('app_2', rule(goto('shared'))),
    chain('shared', rule(drop)),
  ],
  sets: [PORTS, TIMED],
  maps: [APPS, WAYS, CGROUPS],
});
