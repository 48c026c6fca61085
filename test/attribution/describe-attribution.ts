/** The tests, for every kernel: real programs, the real daemon, and counters that know nothing of it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keepRows } from './keep-results.ts';
import { SCENARIOS } from './scenarios/all.ts';
import type { DeadVerdict, Sent, Verdict } from './score/score.ts';
import type { Row } from './score/table.ts';
import { World } from './world.ts';

/** Nobody can do better than these; the page says why. */
const GOOD: readonly Verdict[] = ['PASS', 'NOT GOVERNED', 'NOT HERE'];

/** And the kernel alone can do no better than these. */
const GOOD_WITHOUT_DAEMON: readonly DeadVerdict[] = [...GOOD, 'REFUSED'];

export interface AttributionOptions {
  /** How much longer everything takes than on a real machine; 1. */
  readonly patience?: number;
  /** Everything is sent once more after the daemon was killed. */
  readonly sendsAgain?: boolean;
}

export function describeAttribution({ patience = 1, sendsAgain = false }: AttributionOptions = {}): void {
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

    it.runIf(sendsAgain)('attribution: the daemon is killed, and nothing of its rules goes', async () => {
      await world.killDaemon();
      expect(await world.device.must('device', ['nft', 'list', 'tables'])).toContain('table inet pointsman');
    });

    it.each(sendsAgain ? SCENARIOS : [])('attribution without the daemon: $name, $what', async ({ name }) => {
      const { outcome, ...dead } = await world.performAgain(name);
      const at = rows.findIndex((row) => row.name === name);
      const row = rows[at];
      if (row !== undefined) rows[at] = { ...row, dead };
      expect(GOOD_WITHOUT_DAEMON, JSON.stringify({ ...dead, ...outcome }, undefined, 1)).toContain(dead.verdict);
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
