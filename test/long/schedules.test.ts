/**
 * Random schedules in number, for `npm run test:long`: those of POINTSMAN_LONG_SEEDS (FIRST-LAST) that the file POINTSMAN_LONG_STATE has not yet,
 * each a line of JSON there when it is done.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildProgram } from '../netns/support/build-program.ts';
import { inLanes } from '../schedules/in-lanes.ts';
import { trySchedule } from '../schedules/try-schedule.ts';

const STATE = process.env.POINTSMAN_LONG_STATE ?? '';
const [FIRST = 1, LAST = 0] = (process.env.POINTSMAN_LONG_SEEDS ?? '').split('-').map(Number);
const LANES = Number(process.env.POINTSMAN_LONG_LANES ?? 2);
/** A week: whoever started it ends it. */
const TIMEOUT_MS = 604_800_000;

interface Done {
  readonly seed: number;
  readonly error?: string;
}

function doneSeeds(): ReadonlySet<number> {
  if (!existsSync(STATE)) return new Set();
  const lines = readFileSync(STATE, 'utf8').split('\n').filter(Boolean);
  const done = lines.map((line) => JSON.parse(line) as Done);
  return new Set(done.filter(({ seed, error }) => seed !== undefined && error === undefined).map(({ seed }) => seed));
}

const keep = (line: object): void => appendFileSync(STATE, `${JSON.stringify(line)}\n`);

beforeAll(buildProgram);

describe(`schedules ${FIRST} to ${LAST}`, () => {
  it('are run', { timeout: TIMEOUT_MS }, async () => {
    const done = doneSeeds();
    const left = Array.from({ length: LAST - FIRST + 1 }, (_, i) => FIRST + i).filter((seed) => !done.has(seed));
    const broken: string[] = [];
    await inLanes(LANES, left, async (seed) => {
      try {
        keep(await trySchedule(seed));
      } catch (error) {
        // Of the world, not of the daemon, and tried again by the next run.
        const text = error instanceof Error ? `${error.stack} ${error.cause ?? ''}` : String(error);
        keep({ seed, error: text });
        broken.push(`schedule ${seed}: ${text}`);
      }
    });
    expect(broken).toEqual([]);
  });
});
