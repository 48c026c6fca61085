import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { EXPECTED_GAPS } from './expected-gaps.ts';
import { generateSchedule } from './generate-schedule.ts';
import type { Finding } from './judge-run.ts';

describe('EXPECTED_GAPS', () => {
  it('are what docs/security.md says, in its words', () => {
    const file = fileURLToPath(new URL('../../docs/security.md', import.meta.url));
    const page = readFileSync(file, 'utf8').replaceAll(/\s+/g, ' ');
    for (const { stated } of EXPECTED_GAPS) expect(page).toContain(stated);
  });

  it('cover little: nothing of whom nothing has become, and nothing that is lost or silent', () => {
    for (const seed of Array.from({ length: 100 }, (_, i) => i)) {
      const schedule = generateSchedule(seed);
      for (const [row, { policy }] of schedule.rows.entries()) {
        const finding: Finding = {
          kind: 'astray',
          row,
          era: 0,
          policy,
          how: 'wifi',
          count: 1,
          event: undefined,
          msAfterEvent: 0,
          isAway: false,
        };
        const late = { ...finding, event: schedule.steps.length - 1 };
        const others = [finding, { ...late, kind: 'lost' as const }, { ...late, kind: 'silent' as const }];
        for (const one of others) expect(EXPECTED_GAPS.filter(({ covers }) => covers(one, schedule))).toEqual([]);
      }
    }
  });
});
