import { beforeEach, describe, expect, it } from 'vitest';
import { applyOrFail } from '../../test/contract/apply-contract.ts';
import { type FakeWorld, openFakeWorld } from '../../test/contract/fake-world.ts';
import { firstPlan, secondPlan } from '../../test/contract/sample-plans.ts';
import { type FakeProcess, FakeSocketMarks } from '../kernel/fake/fake-socket-marks.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { WayBits } from '../kernel/socket-marks.ts';
import type { Plan, SocketWay } from '../plan/plan.ts';
import { wayMark } from '../plan/reserved.ts';
import { applyPlan } from './transaction.ts';

const nowMs = Date.now();
const refusal = new KernelError('test', 12, 'ENOMEM', 'anything', 'ordered');
/** More calls of one kind than a change of the samples makes. */
const MOST_CALLS = 40;
const NUMBER = 5;
const WAY_MASK = 0x7f000000;
const way = (uplink: number): SocketWay => ({ v4: wayMark(uplink) & WAY_MASK, v6: wayMark(uplink) & WAY_MASK });
const withWay = (plan: Plan, uplink: number | undefined): Plan => ({
  ...plan,
  socketWays: uplink === undefined ? new Map() : new Map([[NUMBER, way(uplink)]]),
});

/** Refuses so many of the next calls, after so many that it takes. */
class Marks extends FakeSocketMarks {
  refusals = 0;
  taken = 0;
  /** Some are written before one is refused: what is there then is not known. */
  isHalfDone = false;
  #isKnown = true;

  override ways(): ReadonlyMap<number, WayBits> | undefined {
    return this.#isKnown ? super.ways() : undefined;
  }

  override setWays(ways: ReadonlyMap<number, WayBits>): void {
    if (this.taken > 0) {
      this.taken -= 1;
    } else if (this.refusals > 0) {
      this.refusals -= 1;
      this.#isKnown = !this.isHalfDone;
      if (this.isHalfDone) super.setWays(new Map());
      throw refusal;
    }
    super.setWays(ways);
    this.#isKnown = true;
  }
}

describe('applyPlan with socket ways', () => {
  let world: FakeWorld;
  let marks: Marks;
  let kernel: Kernel;
  let program: FakeProcess;
  let one: Plan;
  let two: Plan;

  beforeEach(async () => {
    world = await openFakeWorld();
    marks = new Marks();
    marks.setExecutable(marks.writeFile('/usr/bin/mail'), { number: NUMBER });
    program = marks.start('/usr/bin/mail');
    const { nft, routing, xtables, conntrack, connections, neighbours, wireless, tunnels, keptPrograms } = world.kernel;
    kernel = {
      nft,
      routing,
      xtables,
      conntrack,
      connections,
      neighbours,
      wireless,
      tunnels,
      keptPrograms,
      sockets: marks,
    };
    [one, two] = [withWay(firstPlan(world), 1), withWay(secondPlan(world), 2)];
  });

  /** The way that a socket has which is made now. */
  const wayNow = (): number => (marks.makeSocket(program, 4).mark & WAY_MASK) >>> 24;

  it('applyPlan() has new sockets go the way of the plan in force, and none where it has none', async () => {
    await applyOrFail(kernel, one);
    expect(wayNow()).toBe(1);
    const next = { plan: one };
    await applyOrFail(kernel, two, next);
    expect(wayNow()).toBe(2);
    await applyOrFail(kernel, withWay(two, undefined), { plan: two });
    expect(wayNow()).toBe(0);
  });

  it('applyPlan() puts the ways back wherever the rest of the change fails', async () => {
    const { failures } = world.kernel;
    let failed = 0;
    for (const operation of [
      'nft apply',
      'nft elements',
      'nft observe',
      'add route',
      'delete route',
      'delete rule',
    ] as const) {
      await applyOrFail(kernel, one);
      failures.failNext(operation, refusal);
      const report = await applyPlan({ kernel, current: one, wanted: two, nowMs });
      failures.clear();
      expect([operation, wayNow()]).toEqual([operation, report.ok ? 2 : 1]);
      if (!report.ok) failed += 1;
      expect(report).toMatchObject(report.ok ? {} : { restored: true });
      await applyOrFail(kernel, one, { plan: two });
    }
    expect(failed).toBeGreaterThan(3);
  });

  it('applyPlan() takes ways back where there were none before', async () => {
    const none = withWay(one, undefined);
    const seen: number[] = [];
    for (let afterCalls = 0; afterCalls < MOST_CALLS; afterCalls += 1) {
      await applyOrFail(kernel, none);
      world.kernel.failures.failNext('nft observe', refusal, { afterCalls });
      const report = await applyPlan({ kernel, current: none, wanted: two, nowMs });
      world.kernel.failures.clear();
      if (report.ok) break;
      seen.push(wayNow());
    }
    expect(seen.length).toBeGreaterThan(1);
    expect(new Set(seen)).toEqual(new Set([0]));
  });

  it('applyPlan() restores everything else where the ways themselves are refused', async () => {
    await applyOrFail(kernel, one);
    marks.refusals = 1;
    const report = await applyPlan({ kernel, current: one, wanted: two, nowMs });
    expect(report).toMatchObject({
      ok: false,
      error: refusal,
      failedChange: { kind: 'set socket ways' },
      restored: true,
    });
    expect(wayNow()).toBe(1);
  });

  it('applyPlan() says so where the ways cannot be put back', async () => {
    await applyOrFail(kernel, one);
    Object.assign(marks, { refusals: 10, isHalfDone: true });
    const report = await applyPlan({ kernel, current: one, wanted: two, nowMs });
    expect(report).toMatchObject({ ok: false, restored: false });
    expect(!report.ok && report.restoreErrors).toContain(refusal);
    marks.refusals = 0;
    await applyOrFail(kernel, two);
    expect(wayNow()).toBe(2);
  });

  it('applyPlan() brings the ways right in the next round where they could not be put back', async () => {
    for (const isHalfDone of [false, true]) {
      await applyOrFail(kernel, one);
      // The new ones are set, what comes after them is refused, and so is the way back: wholly, or in the middle of it.
      world.kernel.failures.failNext('delete rule', refusal);
      Object.assign(marks, { taken: 1, refusals: 10, isHalfDone });
      const report = await applyPlan({ kernel, current: one, wanted: two, nowMs });
      world.kernel.failures.clear();
      marks.refusals = 0;
      expect(report).toMatchObject({ ok: false, failedChange: { kind: 'delete rule' }, restored: false });
      expect(wayNow()).toBe(isHalfDone ? 0 : 2);
      const { generation } = await applyOrFail(kernel, one, { plan: one, generation: -1 });
      expect(wayNow()).toBe(1);
      expect(await applyOrFail(kernel, one, { plan: one, generation })).toMatchObject({ changes: 0 });
    }
  });

  it('applyPlan() takes ways away in the next round that a first plan has left behind', async () => {
    await applyOrFail(kernel, withWay(two, undefined));
    world.kernel.failures.failNext('delete rule', refusal);
    Object.assign(marks, { taken: 1, refusals: 10 });
    const report = await applyPlan({ kernel, current: undefined, wanted: one, nowMs });
    world.kernel.failures.clear();
    marks.refusals = 0;
    expect(report).toMatchObject({ ok: false, failedChange: { kind: 'delete rule' } });
    expect(wayNow()).toBe(1);
    await applyOrFail(kernel, withWay(one, undefined));
    expect(wayNow()).toBe(0);
  });

  it('applyPlan() leaves no way behind where the first plan fails', async () => {
    world.kernel.failures.failNext('nft elements', refusal);
    const report = await applyPlan({ kernel, current: undefined, wanted: one, nowMs });
    expect(report).toMatchObject({ ok: false });
    expect(wayNow()).toBe(0);
  });

  it('applyPlan() applies a plan with ways where sockets cannot be marked', async () => {
    await applyOrFail(world.kernel, one);
    const { generation } = await applyOrFail(world.kernel, two, { plan: one });
    expect(await applyOrFail(world.kernel, two, { plan: two, generation })).toMatchObject({ changes: 0 });
  });
});
