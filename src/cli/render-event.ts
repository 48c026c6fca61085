/** `watch` for people: one line for each event, in columns that fit most of what comes. */

import type { ChangeEvent, DecisionEvent, UplinkEvent, WarningEvent, WatchEvent } from '../api/event.ts';
import { printable } from '../net/printable.ts';
import { displayWidth } from '../policy/caret.ts';
import { clockTime } from '../watch/local-time.ts';
import type { Paint, Style } from './paint.ts';

export interface EventTextOptions {
  readonly paint: Paint;
  /** `20:47:29.123` of a time in milliseconds since 1970. */
  readonly timeOfDay: (timeMs: number) => string;
}

const VERDICT_COLUMNS = 8;
const WHO_COLUMNS = 24;
const PROTOCOL_COLUMNS = 4;
const DESTINATION_COLUMNS = 26;
const WAY_COLUMNS = 9;

const VERDICT_STYLES: Readonly<Record<DecisionEvent['verdict'], Style>> = {
  accept: 'green',
  reject: 'red',
  drop: 'yellow',
  queue: 'cyan',
};

/** Without a newline. */
export function renderEvent(event: WatchEvent, options: EventTextOptions): string {
  const time = options.paint(options.timeOfDay(event.timeMs), 'dim');
  return `${time}  ${body(event, options.paint)}`;
}

function body(event: WatchEvent, paint: Paint): string {
  switch (event.kind) {
    case 'decision':
      return decision(event, paint);
    case 'change':
      return change(event, paint);
    case 'uplink':
      return uplink(event, paint);
    case 'warning':
      return warning(event, paint);
  }
}

function decision(event: DecisionEvent, paint: Paint): string {
  const { verdict, protocol, source, destination, inbound, way, cause, reason, by } = event;
  const columns = [
    column(verdict, VERDICT_COLUMNS, (text) => paint(text, VERDICT_STYLES[verdict])),
    column(who(event), WHO_COLUMNS),
    column(protocol, PROTOCOL_COLUMNS),
    column(inbound ? `from ${source}` : destination, DESTINATION_COLUMNS),
    column(way ?? (cause === 'no-uplink' ? 'none' : '-'), WAY_COLUMNS),
  ];
  const notes = [
    ...(event.latencyMicroseconds === undefined ? [] : [`${Math.round(event.latencyMicroseconds)} µs`]),
    ...(by === 'kernel' ? ['by the kernel'] : []),
  ];
  const note = notes.length === 0 ? '' : paint(` (${notes.join(', ')})`, 'dim');
  return `${columns.join(' ')} ${printable(reason)}${note}`;
}

function who({ app, executable, uid, pid }: DecisionEvent): string {
  if (app !== undefined) return app;
  if (executable !== undefined) return executable.slice(executable.lastIndexOf('/') + 1);
  if (pid !== undefined) return `process ${pid}`;
  return uid === undefined ? 'unknown' : `uid ${uid}`;
}

function change({ revision, changes, durationMs, because, error }: ChangeEvent, paint: Paint): string {
  const head = column('change', VERDICT_COLUMNS, (text) => paint(text, error === undefined ? 'cyan' : 'alarm'));
  const steps = `${changes} ${changes === 1 ? 'change' : 'changes'} in ${Math.round(durationMs)} ms`;
  const outcome = error === undefined ? steps : `failed, the last good state stays: ${printable(error)}`;
  return `${head} revision ${revision}: ${outcome} (${printable(because)})`;
}

const UPLINK_STYLES: Readonly<Record<UplinkEvent['what'], Style>> = { found: 'green', gone: 'red', changed: 'cyan' };

function uplink({ uplink: name, device, what, details }: UplinkEvent, paint: Paint): string {
  const head = column('uplink', VERDICT_COLUMNS, (text) => paint(text, UPLINK_STYLES[what]));
  const said = details === '' ? '' : `: ${printable(details)}`;
  return `${head} ${printable(name)} (${printable(device)}) ${what}${said}`;
}

function warning({ code, message, over }: WarningEvent, paint: Paint): string {
  const head = column(over ? 'over' : 'warning', VERDICT_COLUMNS, (text) => paint(text, over ? 'green' : 'yellow'));
  return `${head} ${printable(message)} [${printable(code)}]`;
}

function column(text: string, columns: number, style: (text: string) => string = (plain) => plain): string {
  const shown = printable(text);
  return `${style(shown)}${' '.repeat(Math.max(0, columns - displayWidth(shown)))}`;
}

/** Local time of the day with milliseconds. */
export function localTimeOfDay(timeMs: number): string {
  return `${clockTime(timeMs)}.${`${timeMs % 1000}`.padStart(3, '0')}`;
}
