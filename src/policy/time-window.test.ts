import { describe, expect, it } from 'vitest';
import { isInWindow, parseTimeWindow, TIME_PATTERN, WEEKDAYS } from './time-window.ts';

const EVERY_DAY = [0, 1, 2, 3, 4, 5, 6];
/** `holds('Mon-Fri', 'Sat 12:00')` */
function holds(text: string, moment: string): boolean {
  const [day = '', time = ''] = moment.split(' ');
  const [hour = 0, minute = 0] = time.split(':').map(Number);
  const window = parseTimeWindow(text);
  if (!window.ok) throw new RangeError(window.message);
  return isInWindow(window.value, { weekday: WEEKDAYS.indexOf(day), minute: hour * 60 + minute });
}

describe('parseTimeWindow()', () => {
  it.each([
    ['Mon-Fri 08:00-18:00', [1, 2, 3, 4, 5], 480, 1080],
    ['Sat,Sun', [0, 6], 0, 1440],
    ['22:00-06:00', EVERY_DAY, 1320, 360],
    ['fri-mon,wed 00:00-24:00', [0, 1, 3, 5, 6], 0, 1440],
    ['Tue 00:00-00:01', [2], 0, 1],
  ])('parseTimeWindow() reads %s', (text, days, fromMinute, toMinute) => {
    expect(parseTimeWindow(text)).toEqual({ ok: true, value: { days, fromMinute, toMinute } });
    expect(new RegExp(TIME_PATTERN).test(text)).toBe(true);
  });

  it.each([
    ['', undefined],
    ['Mon-Fri 8:00-18:00', undefined],
    ['08:00', undefined],
    ['08:00-24:30', undefined],
    ['25:00-26:00', undefined],
    ['08:00-08:00', 'leave the time out for the whole day'],
    ['Monday 08:00-18:00', 'did you mean "Mon"?'],
    ['Mon-Fry', 'did you mean "Fri"?'],
    ['Mon-Wed-Fri', 'days are Sun, Mon, Tue, Wed, Thu, Fri, Sat'],
    ['Mon Tue', undefined],
  ])('parseTimeWindow() refuses "%s"', (text, hint) => {
    const result = parseTimeWindow(text);
    expect(result.ok).toBe(false);
    if (!result.ok && hint !== undefined) expect(result.hint).toBe(hint);
  });
});

describe('isInWindow()', () => {
  it.each([
    ['Mon-Fri 08:00-18:00', 'Mon 08:00', true],
    ['Mon-Fri 08:00-18:00', 'Fri 17:59', true],
    ['Mon-Fri 08:00-18:00', 'Fri 18:00', false],
    ['Mon-Fri 08:00-18:00', 'Sat 12:00', false],
    ['Fri 22:00-06:00', 'Fri 22:00', true],
    ['Fri 22:00-06:00', 'Sat 05:59', true],
    ['Fri 22:00-06:00', 'Fri 05:59', false],
    ['Sat 22:00-06:00', 'Sun 01:00', true],
    ['22:00-06:00', 'Wed 12:00', false],
    ['Sun', 'Sun 23:59', true],
    ['Sun', 'Mon 00:00', false],
  ])('isInWindow() of %s at %s is %s', (text, moment, expected) => {
    expect(holds(text, moment)).toBe(expected);
  });
});
