import type { PanicNote } from '../api/panic.ts';
import type { Paint } from './paint.ts';

/** Before anything that policies would make of a connection: ends with an empty line, or is nothing. */
export function panicLine({ panicClosed }: PanicNote, paint: Paint): string {
  if (panicClosed === undefined) return '';
  return `${paint('"panic closed" is in force', 'alarm')}: nothing gets in, out or through but loopback. What follows holds again after: sudo pointsman panic off\n\n`;
}
