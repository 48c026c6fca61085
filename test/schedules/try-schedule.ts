/** One schedule, generated, run and judged. */
import { describeFinding } from './describe-finding.ts';
import { EXPECTED_GAPS } from './expected-gaps.ts';
import { generateSchedule } from './generate-schedule.ts';
import { type Finding, type FindingKind, judgeRun } from './judge-run.ts';
import { runSchedule } from './run-schedule.ts';
import { describeSchedule, narrowed } from './schedule.ts';

export interface Trial {
  readonly seed: number;
  readonly tookMs: number;
  readonly rows: number;
  readonly events: number;
  readonly attempts: number;
  readonly packets: number;
  /** Beyond the expected gaps. */
  readonly faults: Readonly<Record<FindingKind, number>>;
  /** By gap. */
  readonly gaps: Readonly<Record<string, number>>;
  /** For people; empty without faults. */
  readonly text: string;
}

/** `POINTSMAN_SCHEDULE_ROWS=0,15 POINTSMAN_SCHEDULE_EVENTS=3`: what is left of it. */
function stated(name: string): readonly number[] | undefined {
  return process.env[name]?.split(',').filter(Boolean).map(Number);
}

export async function trySchedule(seed: number): Promise<Trial> {
  const beganMs = performance.now();
  const [rows, events] = [stated('POINTSMAN_SCHEDULE_ROWS'), stated('POINTSMAN_SCHEDULE_EVENTS')];
  const schedule = narrowed(generateSchedule(seed), { ...(rows && { rows }), ...(events && { events }) });
  const run = await runSchedule(schedule, { withDaemon: true });
  const faults: Record<FindingKind, number> = { astray: 0, refused: 0, lost: 0, silent: 0 };
  const gaps: Record<string, number> = {};
  const unexpected: Finding[] = [];
  for (const finding of judgeRun(run)) {
    const gap = EXPECTED_GAPS.find(({ covers }) => covers(finding, schedule));
    if (gap !== undefined) {
      gaps[gap.what] = (gaps[gap.what] ?? 0) + finding.count;
      continue;
    }
    faults[finding.kind] += finding.count;
    unexpected.push(finding);
  }
  const lines = unexpected.map((finding) => describeFinding(schedule, finding));
  return {
    seed,
    tookMs: Math.round(performance.now() - beganMs),
    rows: schedule.rows.length,
    events: schedule.steps.length,
    attempts: run.attempts.length,
    packets: run.packets.length,
    faults,
    gaps,
    text: lines.length === 0 ? '' : [describeSchedule(schedule), ...lines].join('\n'),
  };
}
