/**
 * A sample of random schedules: a daemon is killed, stopped, replaced and reloaded, files, links and cgroups change under it, uplinks come and go,
 * while some twenty programs send. Nothing goes astray by what the other end of each link counts, and of what may pass hardly anything is held back.
 * `npm run test:long` runs a thousand of them.
 *
 *     POINTSMAN_SCHEDULE_SEED=7 npx vitest run --project netns test/netns/schedules.test.ts     this one alone
 *     POINTSMAN_SCHEDULES=50 npx vitest run --project netns test/netns/schedules.test.ts        so many
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { describeFinding } from '../schedules/describe-finding.ts';
import { generateSchedule } from '../schedules/generate-schedule.ts';
import { inLanes } from '../schedules/in-lanes.ts';
import { judgeRun } from '../schedules/judge-run.ts';
import { runSchedule } from '../schedules/run-schedule.ts';
import { withoutPolicies } from '../schedules/schedule.ts';
import { type Trial, trySchedule } from '../schedules/try-schedule.ts';
import { buildProgram } from './support/build-program.ts';

const GATE_SAMPLE = 12;
const STATED_SEED = process.env.POINTSMAN_SCHEDULE_SEED;
const COUNT = Number(process.env.POINTSMAN_SCHEDULES ?? (STATED_SEED === undefined ? GATE_SAMPLE : 1));
/** The same ones each time, so that a failure is the change's; `npm run test:long` takes others for each commit. */
const GATE_SEED = 820_560;
const SEED = Number(STATED_SEED ?? GATE_SEED);
const SEEDS = Array.from({ length: COUNT }, (_, i) => SEED + i);
const LANES = 2;
/** Of all attempts, refused or lost of who may pass: docs/security.md, "held back now and then", says of whom. */
const MOST_HELD_BACK = 1 / 500;
const TIMEOUT_PER_SCHEDULE_MS = 300_000;

beforeAll(buildProgram);

describe(`schedules ${SEED} to ${SEED + COUNT - 1}`, () => {
  it(
    'let nothing go astray, and hold back hardly anything that may pass',
    async () => {
      const trials: Trial[] = [];
      await inLanes(LANES, SEEDS, async (seed) => void trials.push(await trySchedule(seed)));
      const sum = (of: (trial: Trial) => number): number => trials.reduce((all, trial) => all + of(trial), 0);
      const [attempts, refused, lost] = [
        sum((trial) => trial.attempts),
        sum(({ faults }) => faults.refused),
        sum(({ faults }) => faults.lost),
      ];
      console.log(
        `${COUNT} schedules from seed ${SEED}: ${sum(({ events }) => events)} events, ${attempts} attempts, ` +
          `${sum(({ packets }) => packets)} packets, of those who may send ${refused} refused and ` +
          `${lost} lost; expected gaps ${JSON.stringify(trials.map(({ gaps }) => gaps))}`,
      );
      const bad = trials.filter(({ faults }) => faults.astray > 0 || faults.silent > 0);
      expect(bad.map(({ text }) => text)).toEqual([]);
      const texts = trials.map(({ text }) => text).filter(Boolean);
      expect(refused + lost, texts.join('\n')).toBeLessThanOrEqual(attempts * MOST_HELD_BACK);
    },
    COUNT * TIMEOUT_PER_SCHEDULE_MS,
  );

  it(
    'lose nothing, and are seen to go anywhere, where there is no daemon',
    async () => {
      const schedule = generateSchedule(SEED);
      const run = await runSchedule(schedule, { withDaemon: false });
      const free = withoutPolicies(schedule);
      expect(judgeRun({ ...run, schedule: free }).map((finding) => describeFinding(free, finding))).toEqual([]);
      const astray = judgeRun(run).filter(({ kind, era }) => kind === 'astray' && era === 0);
      const governed = [...schedule.rows.keys()].filter((row) =>
        ['deny', 'cellular', 'vpn'].includes(schedule.rows[row]?.policy ?? ''),
      );
      expect([...new Set(astray.map(({ row }) => row))].sort((a, b) => a - b)).toEqual(governed);
    },
    TIMEOUT_PER_SCHEDULE_MS,
  );
});
