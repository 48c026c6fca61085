/**
 * Beside `trace-equals-decide.test.ts`, which looks at marks: for generated policies, routes, VPN layouts and packets, the device
 * and the source address with which a packet really leaves are what `decide` says. That the property can fail is seen by faults
 * that are put into the plan.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LAYOUTS, type Layout, setting } from '../../../test/ways/generated-machine.ts';
import { PROTOCOLS, packet, policySet } from '../../../test/ways/generated-policy.ts';
import { answer, judgeAnswer } from '../../../test/ways/judge-answer.ts';
import { canBind, explainCase, type Judgement, judge, type World, worldOf } from '../../../test/ways/judge-way.ts';
import { FAULTS } from '../../../test/ways/seeded-faults.ts';

const CASES = 20_000;
const ANSWERS = 8_000;
const PACKETS_PER_WORLD = 20;
/** Of all cases, for each pair of layout, protocol and family. */
const LEAST_SHARE = 0.01;
const LEAST_REFUSED_DEVICES = 50;
/** Some cases are none: nobody can bind to an address that the machine does not have. */
const SPARE = 1.15;
const SEED = 20_261_130;
/** It takes some seconds; a loaded machine takes its time. */
const TIMEOUT_MS = 600_000;

const circumstances = fc.boolean().chain((isMarked) => fc.tuple(setting, policySet(isMarked), fc.constant(isMarked)));
const packets = fc.array(packet, { minLength: PACKETS_PER_WORLD, maxLength: PACKETS_PER_WORLD });

interface Ran {
  /** What failed, and how to have it again: a whole world says nothing to anybody. */
  readonly failure: string | undefined;
  readonly runs: number;
}

function run<T>(property: fc.IProperty<T>, cases: number, endOnFailure = false): Ran {
  const numRuns = Math.ceil((cases * SPARE) / PACKETS_PER_WORLD);
  const details = fc.check(property, { numRuns, seed: SEED, endOnFailure });
  const { failed, errorInstance, counterexamplePath, numRuns: runs } = details;
  const text = errorInstance instanceof Error ? errorInstance.message : String(errorInstance);
  return { runs, failure: failed ? `seed ${SEED}, path ${counterexamplePath}\n${text}` : undefined };
}

/** `change`: what is wrong with the plan that is in force. */
const waysHold = (
  change: (world: World) => World,
  onCase?: (world: World, judgement: Judgement, key: string) => void,
) =>
  fc.property(circumstances, packets, (where, all) => {
    const world = change(worldOf(...where));
    for (const one of all) {
      if (!canBind(world, one)) continue;
      const judgement = judge(world, one);
      if (judgement.fault !== undefined) throw new Error(explainCase(world, one, judgement));
      const { layout } = world.setting;
      onCase?.(world, judgement, keyOf(layout, one.protocol, one.destination.family));
    }
  });

const keyOf = (layout: Layout, protocol: string, family: number): string =>
  `${layout === 'wg-quick' ? 'half defaults' : layout}, ${protocol}, IPv${family}`;

const answersHold = (change: (world: World) => World, onCase?: () => void) =>
  fc.property(circumstances, fc.array(answer, { minLength: 20, maxLength: PACKETS_PER_WORLD }), (where, all) => {
    const world = change(worldOf(...where));
    for (const one of all) {
      const judged = judgeAnswer(world, one);
      if (judged === 'no case') continue;
      if (judged !== undefined) throw new Error(judged);
      onCase?.();
    }
  });

const same = (world: World): World => world;

describe('wayOfPacket(machine, plan, packet)', { timeout: TIMEOUT_MS }, () => {
  it('wayOfPacket() is what decide(policy, packet) says, in each layout, by each protocol and family', () => {
    const met = new Map<string, number>();
    const outcomes = new Map<string, number>();
    let cases = 0;
    const { failure } = run(
      waysHold(same, (_, { way, decision }, key) => {
        cases += 1;
        met.set(key, (met.get(key) ?? 0) + 1);
        const decided = decision?.verdict === 'accept' ? decision.way.kind : (decision?.verdict ?? 'no route');
        const outcome = `${decided}: ${way.kind}`;
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }),
      CASES,
    );
    if (failure !== undefined) throw new Error(failure);
    console.log(`${cases} cases by seed ${SEED}`, Object.fromEntries(outcomes));
    expect(cases).toBeGreaterThanOrEqual(CASES);
    for (const layout of LAYOUTS)
      for (const protocol of PROTOCOLS)
        for (const family of [4, 6]) {
          const key = keyOf(layout, protocol, family);
          expect((met.get(key) ?? 0) / cases, key).toBeGreaterThan(LEAST_SHARE);
        }
    // Nothing holds because it never happens.
    for (const outcome of ['system: left', 'uplink: left', 'local: left', 'reject: refused', 'drop: dropped'])
      expect((outcomes.get(outcome) ?? 0) / cases, outcome).toBeGreaterThan(LEAST_SHARE);
    // Devices that programs chose against their policy.
    expect(outcomes.get('reject: dropped')).toBeGreaterThan(LEAST_REFUSED_DEVICES);
  });

  it('wayOfAnswer() is by the uplink that was asked, whatever its socket is marked for', () => {
    let cases = 0;
    const { failure } = run(
      answersHold(same, () => {
        cases += 1;
      }),
      ANSWERS,
    );
    if (failure !== undefined) throw new Error(failure);
    expect(cases).toBeGreaterThan(ANSWERS / 3);
  });

  it.each(FAULTS)('wayOfPacket() finds this fault: $name', ({ change, about = 'ways' }) => {
    const found = about === 'ways' ? run(waysHold(change), CASES, true) : run(answersHold(change), CASES, true);
    const { failure, runs } = found;
    console.log(`found in world ${runs}: ${failure?.split('\n')[1]}`);
    expect(failure).toBeDefined();
  });
});
