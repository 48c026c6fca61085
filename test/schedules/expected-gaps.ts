/**
 * What schedules find and nobody has promised away yet: one entry for each gap, which goes when the gap does. `stated`: the words of
 * docs/security.md that say so.
 */
import type { Finding } from './judge-run.ts';
import type { Schedule } from './schedule.ts';

export interface ExpectedGap {
  readonly what: string;
  readonly stated: string;
  readonly covers: (finding: Finding, schedule: Schedule) => boolean;
}

export const EXPECTED_GAPS: readonly ExpectedGap[] = [];
