import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AccountTotal } from '../api/traffic-totals.ts';
import { IPS_DYING } from '../netlink/conntrack.ts';
import type { ConntrackCounts } from '../netlink/conntrack-counts.ts';
import { MARK_ASK_AGAIN, UPLINK_INBOUND, UPLINK_LOCAL, UPLINK_NONE, UPLINK_SYSTEM, wayMark } from '../plan/reserved.ts';
import { FURTHER_APPS, MAX_ACCOUNTS, MAX_REMEMBERED, TrafficAccounts } from './traffic-accounts.ts';

const NUMBERS = {
  apps: new Map([
    ['mail', 3],
    ['sync', 4],
  ]),
  uplinks: new Map([
    ['wifi', 7],
    ['cell', 8],
  ]),
};

const markOf = (way: number, app: number): number => (wayMark(way) | app) >>> 0;

/** `carried`: bytes of the original direction; twice as many come back, in packets of a byte each. */
function counts(id: number, mark: number, carried: number, status = 0): ConntrackCounts {
  const reply = { packets: 2 * carried, bytes: 2 * carried };
  return { id, mark, status, isCounted: true, original: { packets: carried, bytes: carried }, reply };
}

function following(): TrafficAccounts {
  const accounts = new TrafficAccounts();
  accounts.follow(NUMBERS);
  return accounts;
}

function lookAt(accounts: TrafficAccounts, entries: readonly ConntrackCounts[], isWhole = true): void {
  accounts.beginLook();
  for (const entry of entries) accounts.noteOpen(entry);
  accounts.endLook({ isWhole });
}

const shown = (accounts: TrafficAccounts): string[] =>
  accounts
    .totals()
    .map(
      ({ app, way, uplink, begun, ended, open, sent, received }) =>
        `${app} ${uplink ?? way}: +${begun} -${ended} =${open} ${sent?.bytes}/${received?.bytes}`,
    );

describe('TrafficAccounts', () => {
  it('TrafficAccounts counts what has ended by application and way', () => {
    const accounts = following();
    for (const [id, mark] of [
      [1, markOf(7, 3)],
      [2, markOf(7, 3)],
      [3, markOf(8, 3)],
      [4, markOf(UPLINK_SYSTEM, 0)],
      [5, markOf(UPLINK_LOCAL, 4)],
      [6, markOf(UPLINK_NONE, 4)],
      [7, 0],
    ] as const)
      accounts.noteEnded(counts(id, mark, 10));
    expect(shown(accounts)).toEqual([
      'mail cell: +1 -1 =0 10/20',
      'mail wifi: +2 -2 =0 20/40',
      'no policy system: +1 -1 =0 10/20',
      'sync local: +1 -1 =0 10/20',
      'sync refused: +1 -1 =0 10/20',
    ]);
  });

  it('TrafficAccounts takes what a peer sends for received, also while its connection waits to be decided again', () => {
    const accounts = following();
    lookAt(accounts, [counts(1, markOf(UPLINK_INBOUND, 3), 10)]);
    accounts.noteEnded(counts(1, MARK_ASK_AGAIN, 15));
    expect(shown(accounts)).toEqual(['mail inbound: +1 -1 =0 30/15']);
  });

  it('TrafficAccounts counts no byte of an open connection twice, however often it is looked at', () => {
    const accounts = following();
    const entry = counts(1, markOf(7, 3), 10);
    lookAt(accounts, [entry, entry]);
    expect(shown(accounts)).toEqual(['mail wifi: +1 -0 =1 10/20']);
    lookAt(accounts, [counts(1, markOf(7, 3), 12)]);
    accounts.noteEnded(counts(1, markOf(7, 3), 15));
    lookAt(accounts, []);
    expect(shown(accounts)).toEqual(['mail wifi: +1 -1 =0 15/30']);
  });

  it('TrafficAccounts leaves alone what is looked at while it ends', () => {
    const accounts = following();
    accounts.noteEnded(counts(1, markOf(7, 3), 10));
    lookAt(accounts, [counts(1, markOf(7, 3), 10, IPS_DYING)]);
    expect(shown(accounts)).toEqual(['mail wifi: +1 -1 =0 10/20']);
  });

  it('TrafficAccounts counts of what was open before only what comes after, and no beginning', () => {
    const accounts = new TrafficAccounts();
    accounts.noteStanding(counts(1, markOf(7, 3), 100));
    accounts.noteStanding(counts(2, 0, 100));
    accounts.noteStanding(counts(3, 0, 100));
    accounts.follow(NUMBERS);
    lookAt(accounts, [counts(1, markOf(7, 3), 104), counts(2, markOf(8, 3), 100)]);
    expect(shown(accounts)).toEqual(['mail cell: +0 -0 =1 0/0', 'mail wifi: +0 -0 =1 4/8']);
    accounts.noteEnded(counts(1, markOf(7, 3), 105));
    accounts.noteEnded(counts(2, markOf(8, 3), 101));
    accounts.noteEnded(counts(3, 0, 200));
    expect(shown(accounts)).toEqual(['mail cell: +0 -1 =0 1/2', 'mail wifi: +0 -1 =0 5/10']);
  });

  it('TrafficAccounts keeps what was counted where it was counted when a mark changes', () => {
    const accounts = following();
    lookAt(accounts, [counts(1, markOf(7, 3), 10)]);
    lookAt(accounts, [counts(1, markOf(UPLINK_NONE, 3), 12)]);
    accounts.noteEnded(counts(1, markOf(UPLINK_NONE, 3), 12));
    lookAt(accounts, []);
    expect(shown(accounts)).toEqual(['mail refused: +0 -0 =0 2/4', 'mail wifi: +1 -1 =0 10/20']);
  });

  it('TrafficAccounts knows the end of what it had seen and has missed, once it looks', () => {
    const accounts = following();
    lookAt(accounts, [counts(1, markOf(7, 3), 10), counts(2, markOf(7, 3), 10)]);
    accounts.noteOverrun();
    lookAt(accounts, [counts(2, markOf(7, 3), 11)], false);
    expect(shown(accounts)).toEqual(['mail wifi: +2 -0 =2 21/42']);
    lookAt(accounts, [counts(2, markOf(7, 3), 11)]);
    expect(shown(accounts)).toEqual(['mail wifi: +2 -1 =1 21/42']);
    expect(accounts.overruns).toBe(1);
  });

  it('TrafficAccounts goes on counting where somebody has set the kernel’s counters to 0', () => {
    const accounts = following();
    lookAt(accounts, [counts(1, markOf(7, 3), 10)]);
    accounts.noteEnded(counts(1, markOf(7, 3), 4));
    expect(shown(accounts)).toEqual(['mail wifi: +1 -1 =0 14/28']);
  });

  it('TrafficAccounts counts connections alone where the kernel counts no bytes', () => {
    const accounts = following();
    accounts.noteEnded({ ...counts(1, markOf(7, 3), 0), isCounted: false });
    expect(accounts.totals()).toEqual([{ app: 'mail', way: 'uplink', uplink: 'wifi', begun: 1, ended: 1, open: 0 }]);
  });

  it('TrafficAccounts knows the last connections of who has gone, and never as those of who has its number now', () => {
    const accounts = following();
    const mark = markOf(7, 3);
    accounts.follow({ ...NUMBERS, apps: new Map([['sync', 4]]) });
    accounts.noteEnded(counts(1, mark, 10));
    expect(shown(accounts)).toEqual(['mail wifi: +1 -1 =0 10/20']);
    const reassigned = { ...NUMBERS, apps: new Map([['news', 3]]) };
    expect(accounts.reassigns(reassigned)).toBe(true);
    lookAt(accounts, [counts(2, mark, 1)]);
    accounts.follow(reassigned);
    expect(accounts.reassigns(reassigned)).toBe(false);
    accounts.noteEnded(counts(2, mark, 3));
    accounts.noteEnded(counts(4, mark, 5));
    expect(shown(accounts)).toEqual(['mail wifi: +2 -2 =0 13/26', 'news wifi: +1 -1 =0 5/10']);
  });

  it('TrafficAccounts says so where it never knew a name', () => {
    const accounts = following();
    accounts.noteEnded(counts(1, markOf(99, 99), 1));
    expect(accounts.totals()).toMatchObject([{ app: 'applications that have gone', way: 'unknown' }]);
  });

  it('TrafficAccounts counts what is beyond its bound when that ends', () => {
    const accounts = following();
    const many = Array.from({ length: MAX_REMEMBERED + 1 }, (_, id) => counts(id, markOf(7, 3), 1));
    lookAt(accounts, many);
    expect(accounts.totals()).toMatchObject([{ begun: MAX_REMEMBERED, open: MAX_REMEMBERED }]);
    for (const entry of many) accounts.noteEnded(entry);
    lookAt(accounts, []);
    const all = MAX_REMEMBERED + 1;
    expect(accounts.totals()).toMatchObject([{ begun: all, ended: all, open: 0, sent: { bytes: all } }]);
  });
});

describe('totals of many', () => {
  it('totals have so many accounts and one of all further applications', () => {
    const accounts = new TrafficAccounts();
    const names = Array.from({ length: MAX_ACCOUNTS + 3 }, (_, i) => `app${i + 1}`);
    accounts.follow({ apps: new Map(names.map((name, i) => [name, i + 1])), uplinks: NUMBERS.uplinks });
    for (const i of names.keys()) accounts.noteEnded(counts(i, markOf(7, i + 1), 1));
    const totals = accounts.totals();
    expect(totals).toHaveLength(MAX_ACCOUNTS + 1);
    expect(totals.find(({ app }) => app === FURTHER_APPS)).toMatchObject({ way: 'unknown', begun: 3, ended: 3 });
  });
});

/** What may happen, with numbers that choose among what there is. */
type Step =
  | { readonly kind: 'begin'; readonly mark: number }
  | { readonly kind: 'carry'; readonly which: number; readonly bytes: number }
  | { readonly kind: 'remark'; readonly which: number; readonly mark: number }
  /** `heard`: 0: its event is lost; 1: at once; 2: at the next look, after conntrack was read. */
  | { readonly kind: 'end'; readonly which: number; readonly heard: 0 | 1 | 2 }
  | { readonly kind: 'look' };

interface Connection {
  readonly id: number;
  mark: number;
  carried: number;
}

const MARKS = [markOf(7, 3), markOf(7, 4), markOf(8, 3), markOf(UPLINK_SYSTEM, 0), markOf(UPLINK_INBOUND, 4)];
const mark = fc.constantFrom(...MARKS);
const which = fc.nat(20);
const step = (isLossy: boolean): fc.Arbitrary<Step> =>
  fc.oneof(
    fc.record({ kind: fc.constant('begin' as const), mark }),
    fc.record({ kind: fc.constant('carry' as const), which, bytes: fc.nat(1000) }),
    fc.record({
      kind: fc.constant('end' as const),
      which,
      heard: isLossy ? fc.constantFrom(0, 1, 2) : fc.constantFrom(1, 2),
    }),
    fc.record({ kind: fc.constant('look' as const) }),
    ...(isLossy
      ? [fc.record({ kind: fc.constant('remark' as const), which, mark: fc.oneof(mark, fc.constant(MARK_ASK_AGAIN)) })]
      : []),
  );

/** A kernel and who looks at it. `told`: the totals after each step. */
function play(standing: readonly Step[], steps: readonly Step[]) {
  const accounts = new TrafficAccounts();
  const open: Connection[] = [];
  const begun = new Map<number, number>();
  const carried = new Map<number, number>();
  const told: AccountTotal[][] = [];
  let late: ConntrackCounts[] = [];
  let nextId = 1;
  let isCounting = false;
  const at = (index: number): Connection | undefined => open[index % Math.max(1, open.length)];
  const countsOf = ({ id, mark, carried }: Connection): ConntrackCounts => counts(id, mark, carried);
  const note = (of: Map<number, number>, key: number, by: number): void => {
    if (isCounting) of.set(key, (of.get(key) ?? 0) + by);
  };
  const look = (): void => {
    accounts.beginLook();
    // As in the kernel: whoever ends while its table is read may or may not be in what was read.
    const dying = late.filter(({ id }) => id % 2 === 0);
    for (const entry of [...dying, ...open.map(countsOf)]) accounts.noteOpen(entry);
    for (const entry of late) accounts.noteEnded(entry);
    late = [];
    accounts.endLook({ isWhole: true });
  };
  const run = (todo: Step): void => {
    switch (todo.kind) {
      case 'begin':
        open.push({ id: nextId++, mark: todo.mark, carried: 0 });
        note(begun, todo.mark, 1);
        break;
      case 'carry': {
        const connection = at(todo.which);
        if (connection === undefined) break;
        connection.carried += todo.bytes;
        note(carried, connection.mark, todo.bytes);
        break;
      }
      case 'remark': {
        const connection = at(todo.which);
        if (connection !== undefined) connection.mark = todo.mark;
        break;
      }
      case 'end': {
        const connection = at(todo.which);
        if (connection === undefined) break;
        open.splice(open.indexOf(connection), 1);
        if (todo.heard === 0) accounts.noteOverrun();
        else if (todo.heard === 1) accounts.noteEnded(countsOf(connection));
        else late.push(countsOf(connection));
        break;
      }
      case 'look':
        look();
        break;
    }
  };
  for (const each of standing) run(each);
  for (const connection of open) accounts.noteStanding(countsOf(connection));
  late = [];
  isCounting = true;
  accounts.follow(NUMBERS);
  for (const each of steps) {
    run(each);
    told.push(accounts.totals());
  }
  look();
  told.push(accounts.totals());
  return { accounts, told, open, begun, carried };
}

/** By the mark whose name an account has. */
const accountOf = (totals: readonly AccountTotal[], mark: number): AccountTotal | undefined => {
  const names = new TrafficAccounts();
  names.follow(NUMBERS);
  names.noteEnded(counts(1, mark, 0));
  const [name] = names.totals();
  return totals.find(({ app, way, uplink }) => app === name?.app && way === name.way && uplink === name.uplink);
};

const begins = fc.array(fc.record({ kind: fc.constant('begin' as const), mark }), { maxLength: 4 });
const carries = fc.array(fc.record({ kind: fc.constant('carry' as const), which, bytes: fc.nat(50) }), {
  maxLength: 4,
});
const standing = fc.tuple(begins, carries).map((parts): readonly Step[] => parts.flat());

const COUNTERS = [
  ({ begun }: AccountTotal) => begun,
  ({ ended }: AccountTotal) => ended,
  ({ sent }: AccountTotal) => sent?.bytes ?? 0,
  ({ sent }: AccountTotal) => sent?.packets ?? 0,
  ({ received }: AccountTotal) => received?.bytes ?? 0,
];

describe('totals', () => {
  it('totals are the truth, for every application and way, where no event is lost', () => {
    fc.assert(
      fc.property(standing, fc.array(step(false), { maxLength: 60 }), (before, steps) => {
        const { told, open, begun, carried } = play(before, steps);
        const last = told.at(-1) ?? [];
        for (const of of MARKS) {
          const account = accountOf(last, of);
          const isInbound = account?.way === 'inbound';
          const bytes = carried.get(of) ?? 0;
          expect(account?.begun ?? 0).toBe(begun.get(of) ?? 0);
          expect(account?.sent?.bytes ?? 0).toBe(isInbound ? 2 * bytes : bytes);
          expect(account?.received?.bytes ?? 0).toBe(isInbound ? bytes : 2 * bytes);
          expect(account?.open ?? 0).toBe(open.filter((connection) => connection.mark === of).length);
        }
        const ends = steps.length === 0 ? 0 : last.reduce((sum, { ended }) => sum + ended, 0);
        const started = before.filter(({ kind }) => kind === 'begin').length;
        expect(started + [...begun.values()].reduce((a, b) => a + b, 0) - ends).toBe(open.length);
      }),
      { numRuns: 300 },
    );
  });

  it('totals never fall and never say too much, whatever is lost or marked anew', () => {
    fc.assert(
      fc.property(standing, fc.array(step(true), { maxLength: 60 }), (before, steps) => {
        const { told, begun, carried } = play(before, steps);
        const highest = new Map<string, number[]>();
        for (const totals of told) {
          for (const total of totals) {
            const key = `${total.app} ${total.way} ${total.uplink}`;
            const now = COUNTERS.map((of) => of(total));
            const most = highest.get(key) ?? [];
            for (const [i, value] of now.entries()) expect(value).toBeGreaterThanOrEqual(most[i] ?? 0);
            highest.set(key, now);
          }
          expect(highest.size).toBe(totals.length);
        }
        const sum = (values: Iterable<number>): number => [...values].reduce((a, b) => a + b, 0);
        const last = told.at(-1) ?? [];
        const all = (of: (total: AccountTotal) => number): number => sum(last.map(of));
        expect(all((total) => total.begun)).toBeLessThanOrEqual(sum(begun.values()));
        const bytes = all(({ sent, received }) => (sent?.bytes ?? 0) + (received?.bytes ?? 0));
        expect(bytes).toBeLessThanOrEqual(3 * sum(carried.values()));
      }),
      { numRuns: 300 },
    );
  });
});
