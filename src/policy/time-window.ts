/** Weekly times of day by the machine's own clock and zone: `Mon-Fri 08:00-18:00`, `Sat,Sun`, `22:00-06:00`. */
import type { LocalTime, TimeWindow } from './model.ts';
import { didYouMean } from './suggestion.ts';

/** In the order of Date.getDay(). */
export const WEEKDAYS: readonly string[] = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
export const MINUTES_PER_DAY: number = 24 * 60;

const EVERY_DAY: readonly number[] = WEEKDAYS.map((_, day) => day);
const TIMES = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)$/;
const TEXT = /^(?:([A-Za-z,-]+) ?)?(\S*)$/;

/** For JSON Schema: the form, not each value. */
export const TIME_PATTERN = '^([A-Za-z]{3}([,-][A-Za-z]{3})*)?( ?\\d\\d:\\d\\d-\\d\\d:\\d\\d)?$';

export type TimeWindowResult =
  | { readonly ok: true; readonly value: TimeWindow }
  | { readonly ok: false; readonly message: string; readonly hint?: string | undefined };

function dayOf(word: string): number | undefined {
  const day = WEEKDAYS.findIndex((name) => name.toLowerCase() === word.toLowerCase());
  return day < 0 ? undefined : day;
}

/** `Fri-Mon` goes round the end of the week. */
function daysFrom(first: number, last: number): number[] {
  const count = ((last - first + 7) % 7) + 1;
  return Array.from({ length: count }, (_, i) => (first + i) % 7);
}

function parseDays(text: string): readonly number[] | { readonly wrong: string } {
  const days = new Set<number>();
  for (const part of text.split(',')) {
    const [from = '', to = from, ...more] = part.split('-');
    const [first, last] = [dayOf(from), dayOf(to)];
    if (first === undefined || last === undefined || more.length > 0)
      return { wrong: first === undefined ? from : last === undefined ? to : part };
    for (const day of daysFrom(first, last)) days.add(day);
  }
  return [...days].sort((a, b) => a - b);
}

export function parseTimeWindow(text: string): TimeWindowResult {
  const example = 'such as "Mon-Fri 08:00-18:00"';
  const [, dayText, timeText = ''] = TEXT.exec(text) ?? [];
  if (dayText === undefined && timeText === '') return { ok: false, message: `this is no time ${example}` };
  const days = dayText === undefined ? EVERY_DAY : parseDays(dayText);
  if ('wrong' in days) {
    const meant = days.wrong.includes('-') ? undefined : didYouMean(days.wrong.slice(0, 3), WEEKDAYS);
    const hint = meant ?? `days are ${WEEKDAYS.join(', ')}`;
    return { ok: false, message: `${JSON.stringify(days.wrong)} is no day of the week`, hint };
  }
  if (timeText === '') return { ok: true, value: { days, fromMinute: 0, toMinute: MINUTES_PER_DAY } };
  const [, fromHour, fromPart, toHour, toPart] = TIMES.exec(timeText) ?? [];
  if (fromHour === undefined) return { ok: false, message: `${JSON.stringify(timeText)} is no time of day ${example}` };
  const fromMinute = Number(fromHour) * 60 + Number(fromPart);
  const toMinute = Number(toHour) * 60 + Number(toPart);
  if (toMinute > MINUTES_PER_DAY) return { ok: false, message: 'no day is longer than to 24:00' };
  if (fromMinute === toMinute) {
    return { ok: false, message: 'this time is empty', hint: 'leave the time out for the whole day' };
  }
  return { ok: true, value: { days, fromMinute, toMinute } };
}

/** From `fromMinute` on, to before `toMinute`; past midnight where that is the earlier one: then `days` are those of the start. */
export function isInWindow({ days, fromMinute, toMinute }: TimeWindow, { weekday, minute }: LocalTime): boolean {
  if (fromMinute < toMinute) return days.includes(weekday) && fromMinute <= minute && minute < toMinute;
  const yesterday = (weekday + 6) % 7;
  return (days.includes(weekday) && minute >= fromMinute) || (days.includes(yesterday) && minute < toMinute);
}
