import type { LocalTime } from '../policy/model.ts';

/** In the zone of the process (TZ, /etc/localtime). `epochMs`: milliseconds since 1970. */
export function localTime(epochMs: number): LocalTime {
  const date = new Date(epochMs);
  return { weekday: date.getDay(), minute: date.getHours() * 60 + date.getMinutes() };
}
