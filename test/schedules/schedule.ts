/** What happens to a daemon, and who sends meanwhile: pure data, with a form for people. */

/** Of a row's application, by its own file; `none`: no file. `cellular` by name, `vpn` by `encrypted`, both with `else: block`. */
export type RowPolicy = 'deny' | 'cellular' | 'vpn' | 'allow' | 'none';
/** The kind of `match` entry; `none` has one, too: what it would be told by. */
export type Telling = 'exec' | 'cgroup' | 'user' | 'children' | 'script';
export type Kind = 'tcp' | 'udp' | 'udp-connected';
/** See actors/sender.c. */
export type Style = 'brief' | 'ask' | 'keep' | 'reuse' | 'pass' | 'forks' | 'family';
/** How the path that the policy names leads to the file: as it is, by a link of a directory, or by a link to a file of another name. */
export type PathForm = 'plain' | 'directory-link' | 'file-link';
export type UplinkName = 'wifi' | 'cellular' | 'vpn';

/** One sender: a program that is started every `periodMs`, or (`keep`) goes on. */
export interface Row {
  readonly telling: Telling;
  readonly policy: RowPolicy;
  readonly kind: Kind;
  readonly family: 4 | 6;
  readonly style: Style;
  readonly path: PathForm;
  /** Called as the program of that row, which a policy names, without being it. */
  readonly namesakeOf?: number;
  readonly periodMs: number;
  /** Has neither a policy nor a program: it was left out. */
  readonly isIdle?: true;
}

/** Something becomes of what tells a row. */
export interface Touch {
  readonly kind: 'upgrade' | 'switch' | 'chmod' | 'hard-link' | 'new-cgroup' | 'cgroup-again';
  readonly row: number;
}

export interface PolicyChange {
  readonly row: number;
  readonly policy: RowPolicy;
}

export type ScheduleEvent =
  | { readonly kind: 'kill' | 'stop'; readonly awayMs: number; readonly meanwhile: readonly Touch[] }
  | { readonly kind: 'replace' }
  /** Without changes: the files are written again as they are. */
  | { readonly kind: 'reload'; readonly changes: readonly PolicyChange[] }
  | { readonly kind: 'touch'; readonly touch: Touch }
  | { readonly kind: 'crowd'; readonly row: number }
  | { readonly kind: 'uplink'; readonly uplink: UplinkName; readonly downMs: number }
  /** Of a program without a policy by one socket, or of one that has to be asked about by many. */
  | { readonly kind: 'flood'; readonly isStrange: boolean };

export interface Step {
  readonly afterMs: number;
  readonly event: ScheduleEvent;
}

export interface Schedule {
  readonly seed: number;
  readonly rows: readonly Row[];
  readonly steps: readonly Step[];
}

/** By whose policy a row sends in each of its eras: one begins with each change. */
export function erasOf({ rows, steps }: Schedule, row: number): readonly RowPolicy[] {
  const eras: RowPolicy[] = [rows[row]?.policy ?? 'none'];
  for (const { event } of steps) {
    if (event.kind !== 'reload') continue;
    for (const change of event.changes) if (change.row === row) eras.push(change.policy);
  }
  return eras;
}

export function touchesIn(event: ScheduleEvent): readonly Touch[] {
  switch (event.kind) {
    case 'kill':
    case 'stop':
      return event.meanwhile;
    case 'touch':
      return [event.touch];
    case 'reload':
    case 'crowd':
    case 'replace':
    case 'uplink':
    case 'flood':
      return [];
  }
}

function rowsOf(event: ScheduleEvent): readonly number[] {
  if (event.kind === 'reload') return event.changes.map(({ row }) => row);
  return event.kind === 'crowd' ? [event.row] : touchesIn(event).map(({ row }) => row);
}

/** With these rows and events alone, and without events of other rows: what is left of a fault with less around it. */
export function narrowed(
  { seed, rows, steps }: Schedule,
  only: { readonly rows?: readonly number[]; readonly events?: readonly number[] },
): Schedule {
  const isIn = (row: number): boolean => only.rows?.includes(row) ?? true;
  return {
    seed,
    rows: rows.map((row, i): Row => (isIn(i) ? row : { ...row, policy: 'none', isIdle: true })),
    steps: steps.filter(({ event }, i) => (only.events?.includes(i) ?? true) && rowsOf(event).every(isIn)),
  };
}

/** The same without anybody in the way of anything. */
export function withoutPolicies({ seed, rows, steps }: Schedule): Schedule {
  const free = ({ afterMs, event }: Step): Step =>
    event.kind === 'reload'
      ? { afterMs, event: { kind: 'reload', changes: event.changes.map(({ row }) => ({ row, policy: 'none' })) } }
      : { afterMs, event };
  return { seed, rows: rows.map((row) => ({ ...row, policy: 'none' })), steps: steps.map(free) };
}

const FIRST_PORT = 1000;
const ERAS = 16;

/** What a row sends in an era goes to a port of its own. */
export const portOf = (row: number, era: number): number => FIRST_PORT + row * ERAS + era;

export function ofPort(port: number): { readonly row: number; readonly era: number } {
  return { row: Math.floor((port - FIRST_PORT) / ERAS), era: (port - FIRST_PORT) % ERAS };
}

export function describeRow(row: Row, index: number): string {
  const { telling, policy, kind, family, style, path, namesakeOf, periodMs } = row;
  const by = namesakeOf === undefined ? `told by ${telling}` : `called as the program of row ${namesakeOf}`;
  const where = path === 'plain' ? '' : `, by a ${path}`;
  return `row ${index}: ${policy}, ${by}${where}; ${style}, ${kind}, IPv${family}, every ${periodMs} ms`;
}

const describeTouch = ({ kind, row }: Touch): string => `${kind} of row ${row}`;

export function describeEvent(event: ScheduleEvent): string {
  switch (event.kind) {
    case 'kill':
    case 'stop': {
      const meanwhile = event.meanwhile.map((touch) => `, meanwhile ${describeTouch(touch)}`).join('');
      return `${event.kind === 'kill' ? 'kill -9' : 'SIGTERM'}, start after ${event.awayMs} ms${meanwhile}`;
    }
    case 'replace':
      return 'up --replace';
    case 'reload': {
      const changes = event.changes.map(({ row, policy }) => `row ${row} is ${policy}`).join(', ');
      return `reload, ${changes || 'nothing has changed'}`;
    }
    case 'touch':
      return describeTouch(event.touch);
    case 'crowd':
      return `40 forks of row ${event.row}`;
    case 'uplink':
      return `${event.uplink} down for ${event.downMs} ms`;
    case 'flood':
      return event.isStrange ? 'many sockets of one who has to be asked about' : 'a flood by one socket';
  }
}

export function describeSchedule({ seed, rows, steps }: Schedule): string {
  return [
    `schedule ${seed} (POINTSMAN_SCHEDULE_SEED=${seed})`,
    ...rows.flatMap((row, i) => (row.isIdle ? [] : [describeRow(row, i)])),
    ...steps.map(({ afterMs, event }, i) => `event ${i}, after ${afterMs} ms: ${describeEvent(event)}`),
  ].join('\n');
}
