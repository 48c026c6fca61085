/** Two plans that differ in every kind of object, and what a kernel shows where one of them is in force. */
import { expect } from 'vitest';
import { tableDifference } from '../../src/apply/table-counts.ts';
import type { Kernel } from '../../src/kernel/kernel.ts';
import { accept, goto, inSet, jump, rule, vmap } from '../../src/plan/nft/expressions.ts';
import type { Plan } from '../../src/plan/plan.ts';
import {
  CODE_QUEUE,
  MARK_APP,
  MARK_OURS,
  QUEUE_NUMBER,
  ROUTE_TABLE_BASE,
  RULE_PREF_SOURCE,
} from '../../src/plan/reserved.ts';
import type { ContractWorld } from './contract-world.ts';
import { address, sampleRoutes, sampleRules } from './routing-contract.ts';
import {
  APPS,
  CGROUPS,
  chain,
  element,
  gotoElement,
  PORTS,
  rulesetOf,
  SAMPLE,
  VANISHED_CGROUP,
  WAYS,
} from './sample-ruleset.ts';

const QUEUE = { number: QUEUE_NUMBER, mark: (MARK_OURS | CODE_QUEUE) >>> 0, mask: (MARK_OURS | MARK_APP) >>> 0 };

export function firstPlan(world: ContractWorld): Plan {
  return {
    socketWays: new Map(),
    nft: SAMPLE,
    routes: sampleRoutes(world),
    rules: sampleRules(world),
    xtablesQueue: { ...QUEUE, bypass: false },
  };
}

/** An application more and one less, other elements, another gateway at the same place, another fail mode. */
export function secondPlan(world: ContractWorld): Plan {
  const output = SAMPLE.chains.get('output');
  if (output === undefined) throw new Error('the sample has no output chain');
  const gateway = address('192.0.2.9');
  const target = { kind: 'unicast', deviceIndex: world.deviceIndex, gateway } as const;
  const ports = { ...PORTS, elements: [element([80n, 80n]), element([443n, 443n]), element([993n, 993n])] };
  const apps = { ...APPS, elements: [gotoElement(1n, 'app_1'), gotoElement(3n, 'app_3')] };
  return {
    socketWays: new Map(),
    nft: rulesetOf({
      chains: [
        { ...output, rules: [rule(vmap({ kind: 'meta mark' }, APPS.name)), rule(jump('app_3'))] },
        chain('app_1', rule(inSet(PORTS.name, { kind: 'th dport' }), accept), rule(goto('app_3'))),
        chain('app_3', rule(accept)),
      ],
      sets: [ports],
      maps: [apps, WAYS, { ...CGROUPS, elements: [gotoElement(VANISHED_CGROUP, 'app_3')] }],
    }),
    routes: sampleRoutes(world)
      .filter(({ metric, family }) => family === 4 || metric !== 1)
      .map((route) => (route.family === 4 && route.metric === 2 ? { ...route, target } : route)),
    rules: [
      ...sampleRules(world).slice(1),
      { family: 4, priority: RULE_PREF_SOURCE + 1, action: { kind: 'table', table: ROUTE_TABLE_BASE + 3 } },
    ],
    xtablesQueue: { ...QUEUE, bypass: true },
  };
}

/** That plan and nothing else of ours. */
export async function expectInForce(kernel: Kernel, plan: Plan): Promise<void> {
  expect(tableDifference(await kernel.nft.observe(plan.nft.table), plan.nft)).toBeUndefined();
  expect(kernel.routing.ownRoutes()).toHaveLength(plan.routes.length);
  expect(kernel.routing.ownRoutes()).toEqual(expect.arrayContaining([...plan.routes]));
  expect(kernel.routing.ownRules()).toHaveLength(plan.rules.length);
  expect(kernel.routing.ownRules()).toEqual(expect.arrayContaining([...plan.rules]));
  expect(await kernel.xtables.observeQueue()).toEqual(plan.xtablesQueue);
}

export async function expectNothingOfOurs(kernel: Kernel): Promise<void> {
  expect(await kernel.nft.observe(SAMPLE.table)).toBeUndefined();
  expect(kernel.routing.ownRoutes()).toEqual([]);
  expect(kernel.routing.ownRules()).toEqual([]);
  expect(await kernel.xtables.observeQueue()).toBeUndefined();
  expect(kernel.conntrack.ownEntries()).toEqual([]);
}
