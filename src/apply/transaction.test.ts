import { beforeEach, describe, expect, it } from 'vitest';
import { applyContract, applyOrFail } from '../../test/contract/apply-contract.ts';
import { type FakeWorld, openFakeWorld } from '../../test/contract/fake-world.ts';
import { expectInForce, expectNothingOfOurs, firstPlan, secondPlan } from '../../test/contract/sample-plans.ts';
import type { FakeOperation } from '../kernel/fake/failure-plan.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { Plan } from '../plan/plan.ts';
import { removeEverything } from './cleanup.ts';
import { applyPlan } from './transaction.ts';

applyContract('fake kernel', openFakeWorld);

const nowMs = Date.now();
const refusal = new KernelError('test', 12, 'ENOMEM', 'anything', 'ordered');
/** Every step that a change of the samples takes. */
const STEPS: readonly FakeOperation[] = [
  'nft apply',
  'nft elements',
  'nft observe',
  'add route',
  'delete route',
  'add rule',
  'delete rule',
  'observe routing',
  'add xtables queue',
  'delete xtables queue',
];
/** More calls of one kind than a change of the samples makes. */
const MOST_CALLS = 40;

describe('applyPlan', () => {
  let world: FakeWorld;
  let one: Plan;
  let two: Plan;
  beforeEach(async () => {
    world = await openFakeWorld();
    one = firstPlan(world);
    two = secondPlan(world);
  });

  it.each(STEPS)('applyPlan() restores the last good plan wherever "%s" fails', async (operation) => {
    const { kernel } = world;
    let failures = 0;
    await applyOrFail(kernel, one);
    for (let afterCalls = 0; afterCalls < MOST_CALLS; afterCalls += 1) {
      kernel.failures.failNext(operation, refusal, { afterCalls });
      const report = await applyPlan({ kernel, current: one, wanted: two, nowMs });
      kernel.failures.clear();
      if (report.ok) break;
      failures += 1;
      expect(report).toMatchObject({ error: refusal, restored: true, restoreErrors: [] });
      await expectInForce(kernel, one);
    }
    expect(failures).toBeGreaterThan(0);
    await expectInForce(kernel, two);
  });

  it('applyPlan() takes routing and queue back where the first plan fails, and says so where the table stays', async () => {
    const { kernel } = world;
    kernel.failures.failNext('nft elements', refusal);
    const report = await applyPlan({ kernel, current: undefined, wanted: one, nowMs });
    expect(report).toMatchObject({ ok: false, error: refusal, restored: false, failedChange: { kind: 'nft' } });
    expect(kernel.routing.ownRoutes()).toEqual([]);
    expect(kernel.routing.ownRules()).toEqual([]);
    expect(await kernel.xtables.observeQueue()).toBeUndefined();
  });

  it('applyPlan() says what stands in the way where the last good plan cannot be restored', async () => {
    const { kernel } = world;
    await applyOrFail(kernel, one);
    kernel.failures.failNext('nft elements', refusal);
    kernel.failures.failNext('nft elements', refusal);
    const report = await applyPlan({ kernel, current: one, wanted: two, nowMs });
    expect(report).toMatchObject({ ok: false, restored: false });
    expect(!report.ok && report.restoreErrors).toContain(refusal);
    await applyOrFail(kernel, two);
    await expectInForce(kernel, two);
  });

  it('applyPlan() tells a flushed ruleset from a believed one by the generation alone', async () => {
    const { kernel } = world;
    const { generation } = await applyOrFail(kernel, one);
    kernel.nft.flushRuleset();
    const repaired = await applyOrFail(kernel, one, { plan: one, generation });
    expect(repaired.tableWasForeign).toBe(true);
    await expectInForce(kernel, one);
  });

  it('applyPlan() tells a table that somebody has changed also where the plan is another one', async () => {
    const { kernel } = world;
    const first = await applyOrFail(kernel, one);
    expect(first.tableWasForeign).toBe(false);
    const second = await applyOrFail(kernel, two, { plan: one, generation: first.generation });
    expect(second.tableWasForeign).toBe(false);
    kernel.nft.flushRuleset();
    const third = await applyOrFail(kernel, one, { plan: two, generation: second.generation });
    expect(third.tableWasForeign).toBe(true);
  });

  it('applyPlan() does not list a table that nobody else has touched', async () => {
    const { kernel } = world;
    // Changes by xtables tools make more than one generation.
    const { xtablesQueue: _, ...first } = one;
    const { xtablesQueue: __, ...second } = two;
    const { generation } = await applyOrFail(kernel, first);
    kernel.failures.failNext('nft observe', refusal);
    await applyOrFail(kernel, second, { plan: first, generation });
    kernel.failures.clear();
    await expectInForce(kernel, second);
  });

  it('applyPlan() lets mistakes of our own through as they are', async () => {
    const { kernel } = world;
    const broken = { ...one, routes: undefined } as unknown as Plan;
    await expect(applyPlan({ kernel, current: undefined, wanted: broken, nowMs })).rejects.toThrow(TypeError);
  });
});

describe('removeEverything', () => {
  it('removeEverything() removes what was kept of programs, also where something before it fails', async () => {
    const world = await openFakeWorld();
    const { kernel } = world;
    await applyOrFail(kernel, firstPlan(world));
    kernel.keptPrograms.keep();
    kernel.failures.failNext('nft apply', refusal);
    await expect(removeEverything(kernel)).rejects.toMatchObject({ errors: [refusal] });
    expect(kernel.keptPrograms.areHere()).toBe(false);
  });

  it('removeEverything() goes on past failures, and collects them', async () => {
    const world = await openFakeWorld();
    const { kernel } = world;
    await applyOrFail(kernel, firstPlan(world));
    for (const operation of ['delete route', 'delete xtables queue'] as const)
      kernel.failures.failNext(operation, refusal);
    await expect(removeEverything(kernel)).rejects.toMatchObject({ errors: [refusal, refusal] });
    expect(kernel.routing.ownRoutes()).toHaveLength(1);
    await removeEverything(kernel);
    await expectNothingOfOurs(kernel);
  });
});
