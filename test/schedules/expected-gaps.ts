/**
 * What schedules find and docs/security.md does not promise: one entry for each gap, which goes when the gap does. `stated` are the words of that page.
 */
import type { Finding } from './judge-run.ts';
import type { Schedule } from './schedule.ts';

export interface ExpectedGap {
  readonly what: string;
  readonly stated: string;
  readonly covers: (finding: Finding, schedule: Schedule) => boolean;
}

export const EXPECTED_GAPS: readonly ExpectedGap[] = [];
