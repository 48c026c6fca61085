/** The tests, for every kernel: real programs, the real daemon, and counters that know nothing of it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keepRows } from './keep-results.ts';
import { SCENARIOS } from './scenarios/all.ts';
import type { Sent, Verdict } from './score/score.ts';
import type { Row } from './score/table.ts';
import { World } from './world.ts';

/** Nobody can do better than these; the page says why. */
const GOOD: readonly Verdict[] = ['PASS', 'NOT GOVERNED', 'NOT HERE'];

/** `patience`: how much longer everything takes than on a real machine. */
export function describeAttribution(patience = 1): void {
  describe('attribution', () => {
    let world: World;
    const rows: Row[] = [];

    beforeAll(async () => {
      world = await World.build({
        name: 'attr',
        scenarios: SCENARIOS,
        without: process.env.POINTSMAN_WITHOUT ?? '',
        patience,
      });
    });

    afterAll(async () => {
      await world?.[Symbol.asyncDispose]();
      keepRows(rows);
    });

    it.each(SCENARIOS)('attribution: $name, $what', async ({ name, what, sends, expected = { app: name } }) => {
      const result = await world.perform(name);
      const { verdict, note } = result;
      rows.push({
        name,
        what,
        sent: sentText(sends),
        expected: 'app' in expected ? expected.app : 'nobody',
        verdict,
        note,
      });
      expect(GOOD, explain(result)).toContain(verdict);
    });
  });
}

function sentText(sent: Sent): string {
  const text = (count: number, unit: string): string =>
    `${count.toLocaleString('en')} ${count === 1 ? unit.slice(0, -1) : unit}`;
  if (sent.unit === 'attempts') return `at least ${text(sent.count, 'packets')}`;
  return `${text(sent.count, sent.unit)}, ${text(sent.bytes, 'bytes')}`;
}

function explain({ verdict, note, left, arrived, said, outcome }: Awaited<ReturnType<World['perform']>>): string {
  const { exitCode, stderr } = outcome;
  return JSON.stringify({ verdict, note, left, arrived, said, exitCode, stderr }, undefined, 1);
}
