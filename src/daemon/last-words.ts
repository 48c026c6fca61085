import type { Removal } from './removal.ts';

const KEPT =
  'policies stay in force in the kernel; what has to be asked is answered by whenAway until the next start (pointsman up); pointsman down removes them';
const REMOVED = 'nothing of pointsman is left in the kernel';
const PANIC = 'but "panic closed" is in force: nothing passes until pointsman panic off';

/** The last line of the log: what there is now, and what to type. */
export function lastWords(left: 'kept' | Removal): string {
  if (left === 'kept') return `pointsman: stopped; ${KEPT}`;
  const { failures, isPanicClosed } = left;
  if (failures.length > 0) {
    return `pointsman: stopped; not everything could be removed (${failures.join('; ')}): pointsman down tries again`;
  }
  return `pointsman: stopped; ${REMOVED}${isPanicClosed ? `, ${PANIC}` : ''}`;
}
