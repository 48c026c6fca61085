/**
 * What schedules find and docs/security.md does not promise: one entry for each gap, which goes when the gap does. `stated` are the words of that page.
 */
import type { Finding } from './judge-run.ts';
import { type Row, type Schedule, type Touch, touchesIn } from './schedule.ts';

export interface ExpectedGap {
  readonly what: string;
  readonly stated: string;
  readonly covers: (finding: Finding, schedule: Schedule) => boolean;
}

/** Whether such a thing became of the row before the finding. */
function wasTouched({ row, event }: Finding, { steps }: Schedule, kind: Touch['kind']): boolean {
  const before = event === undefined ? [] : steps.slice(0, event + 1);
  return before.some((step) => touchesIn(step.event).some((touch) => touch.row === row && touch.kind === kind));
}

const speaksOfPrograms = ({ rows }: Schedule): boolean =>
  rows.some(({ telling, policy }: Row) => policy !== 'none' && ['exec', 'children', 'script'].includes(telling));

export const EXPECTED_GAPS: readonly ExpectedGap[] = [
  {
    what: 'a cgroup that is made anew where policies speak of cgroups alone',
    stated:
      "Where they speak of cgroups that are all there, and of no program, one that is made anew is nobody's until it has been seen, about 50 ms later.",
    // What began on the wrong way is refused later.
    covers: (finding, schedule) =>
      ['astray', 'refused'].includes(finding.kind) &&
      wasTouched(finding, schedule, 'cgroup-again') &&
      !speaksOfPrograms(schedule),
  },
  {
    what: 'a link that is switched to a file of another name',
    stated:
      'A file of another name that comes to be the one at a named path without being renamed to it counts as the application after up to 15 seconds',
    covers: (finding, schedule) =>
      finding.kind === 'astray' &&
      schedule.rows[finding.row]?.path === 'file-link' &&
      wasTouched(finding, schedule, 'switch'),
  },
];
