/** Random schedules: the same seed gives the same one. */
import fc from 'fast-check';
import type {
  Kind,
  PathForm,
  PolicyChange,
  Row,
  RowPolicy,
  Schedule,
  ScheduleEvent,
  Step,
  Style,
  Telling,
  Touch,
  UplinkName,
} from './schedule.ts';

export const MIN_ROWS = 20;
const MAX_ROWS = 26;
export const MIN_EVENTS = 6;
const MAX_EVENTS = 9;
/** Starts of the daemon take most of the time. */
const MAX_ABSENCES = 3;
const MAX_CHANGES = 4;
const UPLINKS: readonly UplinkName[] = ['wifi', 'cellular', 'vpn'];
const POLICIES: readonly RowPolicy[] = ['deny', 'cellular', 'vpn', 'allow', 'none'];

/** Which kinds of `match` entry policies have: what the kernel must ask about depends on it. */
const TELLINGS: readonly (readonly Telling[])[] = [
  ['exec', 'exec', 'cgroup', 'user', 'children'],
  ['exec', 'exec', 'cgroup', 'user', 'children'],
  ['exec', 'children'],
  ['cgroup'],
  ['cgroup', 'user'],
  ['exec', 'cgroup', 'children', 'script'],
];

const kind: fc.Arbitrary<Kind> = fc.constantFrom('tcp', 'udp', 'udp-connected');
const style: fc.Arbitrary<Style> = fc.constantFrom('brief', 'brief', 'ask', 'keep', 'reuse', 'pass', 'forks');
const path: fc.Arbitrary<PathForm> = fc.constantFrom('plain', 'plain', 'directory-link', 'file-link');

function rowOf(tellings: readonly Telling[], policy: RowPolicy): fc.Arbitrary<Row> {
  return fc
    .record({
      telling: fc.constantFrom(...tellings),
      kind,
      family: fc.constantFrom(4 as const, 6 as const),
      style,
      path,
      periodMs: fc.integer({ min: 80, max: 320 }),
    })
    .map((row) => {
      // Without a policy nothing says that children count as it, nor that a script is one.
      const telling = policy === 'none' && ['children', 'script'].includes(row.telling) ? 'exec' : row.telling;
      return {
        ...row,
        policy,
        telling,
        style: telling === 'children' ? 'family' : row.style,
        path: telling === 'exec' ? row.path : 'plain',
      };
    });
}

/** Each policy at least twice, whatever else there is. */
const rowsFor = (tellings: readonly Telling[]): fc.Arbitrary<readonly Row[]> =>
  fc
    .tuple(
      fc.tuple(...[...POLICIES, ...POLICIES].map((policy) => rowOf(tellings, policy))),
      fc.array(
        fc.constantFrom(...POLICIES).chain((policy) => rowOf(tellings, policy)),
        { minLength: MIN_ROWS - 2 * POLICIES.length, maxLength: MAX_ROWS - 2 * POLICIES.length },
      ),
      fc.infiniteStream(fc.nat()),
    )
    .map(([first, more, dice]) => withNamesakes([...first, ...more], dice));

/** Half of the programs without a policy are called as one that has one. */
function withNamesakes(rows: readonly Row[], dice: Iterator<number>): readonly Row[] {
  const roll = (): number => dice.next().value ?? 0;
  const named = rows.flatMap(({ telling, policy }, i) => (telling === 'exec' && policy !== 'none' ? [i] : []));
  return rows.map((row) => {
    if (row.telling !== 'exec' || row.policy !== 'none' || named.length === 0 || roll() % 2 === 0) return row;
    const namesakeOf = named[roll() % named.length];
    return { ...row, path: 'plain', ...(namesakeOf !== undefined && { namesakeOf }) };
  });
}

/** What can become of a row. */
function touchesOf({ telling, path: form, policy, namesakeOf }: Row): readonly Touch['kind'][] {
  if (namesakeOf !== undefined) return [];
  switch (telling) {
    case 'cgroup':
      return ['new-cgroup', 'cgroup-again'];
    case 'exec':
      if (policy === 'none') return [];
      return form === 'plain' ? ['upgrade', 'chmod', 'hard-link'] : ['upgrade', 'chmod', 'switch', 'switch'];
    case 'children':
      return ['upgrade', 'chmod', 'hard-link'];
    case 'script':
    case 'user':
      return [];
  }
}

function touchFor(rows: readonly Row[]): fc.Arbitrary<Touch> | undefined {
  const all = rows.flatMap((row, i) => touchesOf(row).map((touch): Touch => ({ kind: touch, row: i })));
  return all.length === 0 ? undefined : fc.constantFrom(...all);
}

/** Of rows whose sockets end: what was opened under a policy before is another matter. */
function changesFor(rows: readonly Row[]): fc.Arbitrary<readonly PolicyChange[]> {
  const candidates = rows.flatMap(({ style: how, telling, namesakeOf, path: form }, i) =>
    how === 'keep' || namesakeOf !== undefined || form === 'file-link' || telling === 'script' ? [] : [i],
  );
  if (candidates.length === 0) return fc.constant([]);
  const change = fc.record({ row: fc.constantFrom(...candidates), policy: fc.constantFrom(...POLICIES) });
  return fc.uniqueArray(change, { selector: ({ row }) => row, maxLength: MAX_CHANGES });
}

function eventFor(rows: readonly Row[]): fc.Arbitrary<ScheduleEvent> {
  const touch = touchFor(rows);
  const away = fc.record({
    kind: fc.constantFrom('kill' as const, 'kill' as const, 'stop' as const),
    awayMs: fc.integer({ min: 0, max: 400 }),
    meanwhile: touch === undefined ? fc.constant([]) : fc.array(touch, { maxLength: 1 }),
  });
  const crowds = rows.flatMap(({ style: how }, i) => (how === 'forks' || how === 'brief' ? [i] : []));
  return fc.oneof(
    { weight: 4, arbitrary: away },
    { weight: 1, arbitrary: fc.constant({ kind: 'replace' } as const) },
    { weight: 4, arbitrary: changesFor(rows).map((changes) => ({ kind: 'reload', changes }) as const) },
    ...(touch === undefined
      ? []
      : [{ weight: 9, arbitrary: touch.map((one) => ({ kind: 'touch', touch: one }) as const) }]),
    ...(crowds.length === 0
      ? []
      : [{ weight: 2, arbitrary: fc.constantFrom(...crowds).map((row) => ({ kind: 'crowd', row }) as const) }]),
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('uplink' as const),
        uplink: fc.constantFrom(...UPLINKS),
        downMs: fc.integer({ min: 50, max: 500 }),
      }),
    },
    { weight: 1, arbitrary: fc.boolean().map((isStrange) => ({ kind: 'flood', isStrange }) as const) },
  );
}

const isAbsence = ({ kind: what }: ScheduleEvent): boolean => what === 'kill' || what === 'stop' || what === 'replace';
const RELOAD: ScheduleEvent = { kind: 'reload', changes: [] };
const KILL: ScheduleEvent = { kind: 'kill', awayMs: 100, meanwhile: [] };

/** At least one absence, at most MAX_ABSENCES. */
function balanced(steps: readonly Step[]): readonly Step[] {
  let absences = 0;
  const bounded = steps.map((step): Step => {
    if (!isAbsence(step.event)) return step;
    absences += 1;
    return absences > MAX_ABSENCES ? { ...step, event: RELOAD } : step;
  });
  return absences > 0 ? bounded : bounded.map((step, i) => (i === 1 ? { ...step, event: KILL } : step));
}

function schedules(seed: number): fc.Arbitrary<Schedule> {
  return fc
    .constantFrom(...TELLINGS)
    .chain(rowsFor)
    .chain((rows) =>
      fc
        .array(fc.record({ afterMs: fc.integer({ min: 20, max: 350 }), event: eventFor(rows) }), {
          minLength: MIN_EVENTS,
          maxLength: MAX_EVENTS,
        })
        .map((steps) => ({ seed, rows, steps: balanced(steps) })),
    );
}

export function generateSchedule(seed: number): Schedule {
  const [schedule] = fc.sample(schedules(seed), { seed, numRuns: 1 });
  if (schedule === undefined) throw new Error('no schedule was generated');
  return schedule;
}
