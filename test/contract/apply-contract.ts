import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { removeEverything } from '../../src/apply/cleanup.ts';
import { changesBetween } from '../../src/apply/observe-plan.ts';
import { panicClosed, panicOff, panicOpen } from '../../src/apply/panic.ts';
import { runChange } from '../../src/apply/run-change.ts';
import { wholePrint } from '../../src/apply/table-prints.ts';
import { type AppliedReport, applyPlan } from '../../src/apply/transaction.ts';
import type { Kernel, Prints } from '../../src/kernel/kernel.ts';
import type { NftCommand } from '../../src/plan/nft/command.ts';
import { accept, rule } from '../../src/plan/nft/expressions.ts';
import type { NftMap, NftSet, Ruleset } from '../../src/plan/nft/ruleset.ts';
import { withSeal } from '../../src/plan/nft/seal.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { PANIC_TABLE, TABLE, wayMark } from '../../src/plan/reserved.ts';
import type { ContractWorld, OpenWorld } from './contract-world.ts';
import { expectInForce, expectNothingOfOurs, firstPlan, secondPlan } from './sample-plans.ts';
import { element, PORTS, TIMED } from './sample-ruleset.ts';

const nowMs = Date.now();

export async function applyOrFail(
  kernel: Kernel,
  wanted: Plan,
  before?: { plan: Plan; generation?: number; prints?: Prints },
  predecessor?: Ruleset,
  print?: string,
): Promise<AppliedReport> {
  const { generation, prints } = before ?? {};
  const seen = print ?? (predecessor && (await printOfTable(kernel, predecessor)));
  const report = await applyPlan({
    kernel,
    current: before?.plan,
    ...(generation !== undefined && { generation }),
    wanted,
    ...(prints !== undefined && { prints }),
    ...(predecessor !== undefined && seen !== undefined && { predecessor: { ruleset: predecessor, print: seen } }),
    nowMs,
  });
  if (!report.ok) throw report.error;
  return report;
}

async function printOfTable(kernel: Kernel, ruleset: Ruleset): Promise<string | undefined> {
  const table = await kernel.nft.observe(ruleset.table);
  return table && wholePrint(table.prints, ruleset);
}

/** What applying plans does, whatever the kernel: run on the fake and on the real one. */
export function applyContract(kernelName: string, openWorld: OpenWorld): void {
  describe(`applying plans, ${kernelName}`, () => {
    let world: ContractWorld;
    beforeEach(async () => {
      world = await openWorld();
    });
    afterEach(() => world.close());
    transactionContract(() => world);
    crashContract(() => world);
    removalContract(() => world);
  });
}

function transactionContract(world: () => ContractWorld): void {
  it('applyPlan() puts a plan into force, and finds nothing to do the second time', async () => {
    const { kernel } = world();
    const plan = firstPlan(world());
    const first = await applyOrFail(kernel, plan);
    expect(first.changes).toBeGreaterThan(0);
    await expectInForce(kernel, plan);
    expect(await applyOrFail(kernel, plan, { plan, generation: first.generation })).toMatchObject({ changes: 0 });
    expect(await applyOrFail(kernel, plan, { plan, prints: first.prints })).toMatchObject({ changes: 0 });
  });

  it('applyPlan() goes from one plan to another and back', async () => {
    const { kernel } = world();
    const [one, two] = [firstPlan(world()), secondPlan(world())];
    const first = await applyOrFail(kernel, one);
    const second = await applyOrFail(kernel, two, { plan: one, generation: first.generation });
    await expectInForce(kernel, two);
    await applyOrFail(kernel, one, { plan: two, generation: second.generation });
    await expectInForce(kernel, one);
  });

  it('applyPlan() repairs what somebody else has removed', async () => {
    const { kernel } = world();
    const plan = firstPlan(world());
    const { generation } = await applyOrFail(kernel, plan);
    await kernel.nft.apply([{ kind: 'delete table', table: TABLE }], nowMs);
    for (const rule of kernel.routing.ownRules()) kernel.routing.deleteRule(rule);
    await applyOrFail(kernel, plan, { plan, generation });
    await expectInForce(kernel, plan);
  });

  it.each([
    ['flushed', (set: NftSet): NftCommand[] => [{ kind: 'flush set', set: set.name }]],
    ['emptied', (set: NftSet): NftCommand[] => [{ kind: 'delete elements', set, elements: set.elements }]],
    ['added to', (set: NftSet): NftCommand[] => [{ kind: 'add elements', set, elements: [element([7n, 7n])] }]],
  ])(
    'applyPlan() refills a set of what is learned that somebody else has %s, and nothing else',
    async (_what, byHand) => {
      const { kernel } = world();
      const plan = firstPlan(world());
      const { generation, prints } = await applyOrFail(kernel, plan);
      const { lasting } = (await kernel.nft.observe(TABLE)) ?? {};
      await kernel.nft.apply(byHand(TIMED), nowMs);
      expect(await applyOrFail(kernel, plan, { plan, generation, prints })).toMatchObject({ changes: 1, commands: 2 });
      expect((await kernel.nft.observe(TABLE))?.lasting).toEqual(lasting);
      expect(lasting?.get(TIMED.name)).toBe(1);
      await expectInForce(kernel, plan);
    },
  );

  it.each(TAMPERED)('applyPlan() loads a table anew in which somebody else has replaced %s', async (_what, byHand) => {
    const { kernel } = world();
    const plan = firstPlan(world());
    const { generation, prints } = await applyOrFail(kernel, plan);
    await kernel.nft.apply(byHand(plan), nowMs);
    // The second look at it tells no more than the first: it is not believed by having been seen.
    const report = await applyOrFail(kernel, plan, { plan, generation, prints });
    expect(report).toMatchObject({ changes: 3, tableWasForeign: true, isPrecaution: false });
    expect(await applyOrFail(kernel, plan, { plan, prints: report.prints })).toMatchObject({ changes: 0 });
  });

  it('applyPlan() writes rules again that nobody had looked at before somebody else committed something, and no others', async () => {
    const { kernel } = world();
    const [one, two] = [firstPlan(world()), secondPlan(world())];
    const first = await applyOrFail(kernel, one);
    const second = await applyOrFail(kernel, two, { plan: one, generation: first.generation, prints: first.prints });
    const shared: NftCommand = { kind: 'flush chain', chain: 'app_1' };
    const rules = (two.nft.chains.get('app_1')?.rules ?? []).map(() => rule(accept));
    const byHand = rules.map((made): NftCommand => ({ kind: 'add rule', chain: 'app_1', rule: made }));
    await kernel.nft.apply([shared, ...byHand], nowMs);
    const { generation, prints } = second;
    const third = await applyOrFail(kernel, two, { plan: two, generation, prints });
    expect(third).toMatchObject({ changes: 1, isPrecaution: true });
    expect(await applyOrFail(kernel, two, { plan: two, ...third })).toMatchObject({ changes: 0 });
    await expectInForce(kernel, two);
  });

  it('applyPlan() reports what the kernel refused, and leaves the last good plan in force', async () => {
    const { kernel } = world();
    const one = firstPlan(world());
    const { generation } = await applyOrFail(kernel, one);
    const [route] = one.routes;
    if (route === undefined) throw new Error('no route');
    const gone = { ...route, table: route.table + 1, target: { kind: 'unicast', deviceIndex: 54321 } } as const;
    const wanted = { ...secondPlan(world()), routes: [...secondPlan(world()).routes, gone] };
    const report = await applyPlan({ kernel, current: one, generation, wanted, nowMs });
    expect(report).toMatchObject({ ok: false, restored: true, failedChange: { kind: 'add route', route: gone } });
    expect(report).toMatchObject({ error: { code: 'ENODEV' } });
    await expectInForce(kernel, one);
  });

  it('applyPlan() leaves nothing behind where the first plan is refused', async () => {
    const { kernel } = world();
    const plan = firstPlan(world());
    const chains = new Map(plan.nft.chains);
    chains.delete('shared');
    const wanted = { ...plan, nft: { ...plan.nft, chains } };
    const report = await applyPlan({ kernel, current: undefined, wanted, nowMs });
    expect(report).toMatchObject({
      ok: false,
      restored: true,
      failedChange: { kind: 'nft' },
      error: { code: 'ENOENT' },
    });
    await expectNothingOfOurs(kernel);
  });
}

/** By names and counts it is what it was. */
const TAMPERED: readonly (readonly [what: string, byHand: (plan: Plan) => readonly NftCommand[]])[] = [
  [
    'a rule',
    () => [
      { kind: 'flush chain', chain: 'shared' },
      { kind: 'add rule', chain: 'shared', rule: rule(accept) },
    ],
  ],
  [
    'an element of a set',
    () => [
      { kind: 'delete elements', set: PORTS, elements: PORTS.elements.slice(1) },
      { kind: 'add elements', set: PORTS, elements: [element([9n, 9n])] },
    ],
  ],
  [
    'an element of a map',
    (plan) => {
      const map = mapOf(plan, 'apps');
      const [first] = map.elements;
      if (first === undefined) throw new Error('the sample has no element');
      const other = { ...first, data: { kind: 'verdict', verdict: { kind: 'goto', chain: 'shared' } } } as const;
      return [
        { kind: 'delete map elements', map, elements: [first] },
        { kind: 'add map elements', map, elements: [other] },
      ];
    },
  ],
];

function crashContract(world: () => ContractWorld): void {
  it('applyPlan() of a new daemon finishes what a crash between any two changes left', async () => {
    const { kernel } = world();
    const [one, two] = [firstPlan(world()), secondPlan(world())];
    const changes = changesBetween(sealed(one), sealed(two));
    // The new one may know what the last one had written down, or what it was about to.
    for (const predecessor of [undefined, one.nft, two.nft])
      for (let survived = 0; survived <= changes.length; survived += 1) {
        await applyOrFail(kernel, one);
        for (const change of changes.slice(0, survived)) await runChange(kernel, change, nowMs);
        await applyOrFail(kernel, two, undefined, predecessor);
        await expectInForce(kernel, two);
      }
  });

  it('applyPlan() of a new daemon leaves what is already right as it is, and changes what differs', async () => {
    const { kernel } = world();
    const [one, two] = [firstPlan(world()), secondPlan(world())];
    await applyOrFail(kernel, one);
    // A set of what is learned is emptied, and filled anew.
    expect(await applyOrFail(kernel, one, undefined, one.nft)).toMatchObject({ changes: 1, commands: 2 });
    await expectInForce(kernel, one);
    await applyOrFail(kernel, two, undefined, one.nft);
    await expectInForce(kernel, two);
    await applyOrFail(kernel, one, undefined, two.nft);
    // What nobody has told it of is loaded anew: its cgroup elements apart, and then what seals it.
    expect(await applyOrFail(kernel, one)).toMatchObject({ changes: 3 });
  });

  it.each(TAMPERED)(
    'applyPlan() of a new daemon loads a table anew in which somebody has replaced %s',
    async (_what, byHand) => {
      const { kernel } = world();
      const plan = firstPlan(world());
      await applyOrFail(kernel, plan);
      const print = await printOfTable(kernel, plan.nft);
      await kernel.nft.apply(byHand(plan), nowMs);
      expect(await applyOrFail(kernel, plan, undefined, plan.nft, print)).toMatchObject({ changes: 3 });
      await expectInForce(kernel, plan);
    },
  );

  it('applyPlan() of a new daemon loads a table anew that has its seal and lacks something', async () => {
    const { kernel } = world();
    const plan = firstPlan(world());
    await applyOrFail(kernel, plan);
    const map = mapOf(plan, 'apps');
    await kernel.nft.apply([{ kind: 'delete map elements', map, elements: map.elements.slice(0, 1) }], nowMs);
    expect(await applyOrFail(kernel, plan, undefined, plan.nft)).toMatchObject({ changes: 3 });
    await expectInForce(kernel, plan);
  });

  it('applyPlan() of a new daemon loads a table anew that has its seal and turns out to be another one', async () => {
    const { kernel } = world();
    const plan = firstPlan(world());
    await applyOrFail(kernel, plan);
    const map = mapOf(plan, 'apps');
    const [element, ...others] = map.elements;
    if (element === undefined) throw new Error('the sample has no element');
    const other = { ...element, key: element.key + 0x7f00n };
    await kernel.nft.apply([{ kind: 'delete map elements', map, elements: [element] }], nowMs);
    await kernel.nft.apply([{ kind: 'add map elements', map, elements: [other] }], nowMs);
    const maps = new Map(plan.nft.maps).set(map.name, { ...map, elements: others });
    const wanted = { ...plan, nft: { ...plan.nft, maps } };
    await applyOrFail(kernel, wanted, undefined, plan.nft);
    await expectInForce(kernel, wanted);
  });
}

const sealed = (plan: Plan): Plan => ({ ...plan, nft: withSeal(plan.nft) });

function mapOf({ nft }: Plan, name: string): NftMap {
  const map = nft.maps.get(name);
  if (map === undefined) throw new Error(`the sample has no map ${name}`);
  return map;
}

function removalContract(world: () => ContractWorld): void {
  it('removeEverything() leaves nothing of ours, and finds nothing the second time', async () => {
    const { kernel } = world();
    const [routes, rules] = [kernel.routing.routes().length, kernel.routing.rules().length];
    // Before: what the sample drops is not tracked.
    await world().sendMarked((wayMark(3) | 0x00050007) >>> 0);
    await applyOrFail(kernel, firstPlan(world()));
    expect(kernel.conntrack.ownEntries()).toHaveLength(1);
    await removeEverything(kernel);
    await expectNothingOfOurs(kernel);
    expect([kernel.routing.routes().length, kernel.routing.rules().length]).toEqual([routes, rules]);
    await removeEverything(kernel);
  });

  it('panicClosed() stands beside a plan in force, until panicOff()', async () => {
    const { kernel } = world();
    const plan = firstPlan(world());
    await applyOrFail(kernel, plan);
    await panicClosed(kernel);
    await panicClosed(kernel);
    expect(await kernel.nft.observe(PANIC_TABLE)).toBeDefined();
    await expectInForce(kernel, plan);
    await panicOff(kernel);
    await panicOff(kernel);
    expect(await kernel.nft.observe(PANIC_TABLE)).toBeUndefined();
    await expectInForce(kernel, plan);
  });

  it('panicOpen() removes a plan in force and the closed state', async () => {
    const { kernel } = world();
    await applyOrFail(kernel, firstPlan(world()));
    await panicClosed(kernel);
    await panicOpen(kernel);
    expect(await kernel.nft.observe(PANIC_TABLE)).toBeUndefined();
    await expectNothingOfOurs(kernel);
  });
}
