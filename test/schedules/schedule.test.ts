import { describe, expect, it } from 'vitest';
import { generateSchedule } from './generate-schedule.ts';
import { describeSchedule, narrowed, withoutPolicies } from './schedule.ts';

const schedules = Array.from({ length: 50 }, (_, seed) => generateSchedule(seed));

describe('narrowed()', () => {
  it('leaves rows in their places, and only events of rows that are left', () => {
    for (const schedule of schedules) {
      const { rows, steps } = narrowed(schedule, { rows: [3] });
      expect(rows).toHaveLength(schedule.rows.length);
      expect(rows[3]).toEqual(schedule.rows[3]);
      expect(rows.filter(({ isIdle }) => isIdle)).toHaveLength(schedule.rows.length - 1);
      const others = /row (?!3\b)\d+/;
      for (const line of describeSchedule({ ...schedule, rows, steps })
        .split('\n')
        .filter((text) => text.startsWith('event')))
        expect(line).not.toMatch(others);
    }
  });

  it('keeps the events that are named, and all where none is', () => {
    for (const schedule of schedules) {
      expect(narrowed(schedule, { events: [1, 4] }).steps).toEqual([schedule.steps[1], schedule.steps[4]]);
      expect(narrowed(schedule, {})).toEqual(schedule);
    }
  });
});

describe('withoutPolicies()', () => {
  it('has nobody with a policy at any time, and is the same in all else', () => {
    for (const schedule of schedules) {
      const text = describeSchedule(withoutPolicies(schedule));
      expect(text).not.toMatch(/: (deny|cellular|vpn|allow),| is (deny|cellular|vpn|allow)/);
      const blank = (of: string): string => of.replaceAll(/: \w+,/g, ':').replaceAll(/ is \w+/g, '');
      expect(blank(text)).toBe(blank(describeSchedule(schedule)));
    }
  });
});
