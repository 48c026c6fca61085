import type { WallMs } from '../net/clock.ts';
import type { LocalTime } from '../policy/model.ts';

/** In the zone of the process (TZ, /etc/localtime). */
export function localTime(epochMs: WallMs): LocalTime {
  const date = new Date(epochMs);
  return { weekday: date.getDay(), minute: date.getHours() * 60 + date.getMinutes() };
}

/** In the same zone: 20:47:59. */
export function clockTime(epochMs: number): string {
  const date = new Date(epochMs);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => `${part}`.padStart(2, '0')).join(':');
}
