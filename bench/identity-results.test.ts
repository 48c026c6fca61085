import { describe, expect, it } from 'vitest';
import { identityTables } from './identity-report.ts';
import { ASKED, type IdentityResults, identityTargets } from './identity-results.ts';
import type { FirstConnectResult } from './measure-first-connect.ts';

const first = (name: string, p50Us: number): FirstConnectResult => ({
  name,
  p50Us,
  p99Us: 2 * p50Us,
  p50Ratio: p50Us / 50,
  p99Ratio: p50Us / 50,
  failed: 0,
  connections: 200,
  queued: name === ASKED.daemon ? 0 : 200,
});

/** Everything is as it should be. */
const GOOD: IdentityResults = {
  tiers: { executables: { inKernel: true }, scripts: { inKernel: true } },
  known: { connections: 1000, queued: 0 },
  firstConnect: [
    first(ASKED.acceptAll, 50),
    first(ASKED.daemon, 90),
    first(ASKED.namesake, 95),
    first(ASKED.openSnitch, 900),
  ],
  sustained: [{ name: 'x', connections: 100, perSecond: 5050, p50Us: 1, p99Us: 2, queued: 100, lostOrLate: 0 }],
  flood: [
    {
      name: ASKED.daemon,
      quiet: { p50Us: 100, p99Us: 200 },
      flooded: { p50Us: 110, p99Us: 220 },
      p50Ratio: 1.1,
      p99Ratio: 1.1,
      failed: 0,
      floodPerSecond: 1e5,
      queuedPerSecond: 1e4,
    },
  ],
  sockets: [
    { executables: 0, p50Ns: 2000, p99Ns: 3000, p50Ratio: 1 },
    { executables: 10, p50Ns: 2500, p99Ns: 3500, p50Ratio: 1.25 },
    { executables: 10_000, p50Ns: 2600, p99Ns: 3600, p50Ratio: 1.3 },
  ],
  script: {
    unlisted: { p50Ms: 1, p99Ms: 2 },
    listed: { p50Ms: 1.2, p99Ms: 2.4 },
    addedP50Ms: 0.2,
    addedP99Ms: 0.4,
  },
};

const missed = (results: IdentityResults): string[] =>
  identityTargets(results)
    .filter(({ met }) => met === false)
    .map(({ what }) => what);

describe('identityTargets', () => {
  it('identityTargets() of results within all bounds are all met', () => {
    expect(identityTargets(GOOD).map(({ met }) => met)).toEqual(Array(11).fill(true));
  });

  it('identityTargets() misses exactly the target whose bound is passed', () => {
    const [sustained] = GOOD.sustained;
    const [flood] = GOOD.flood;
    const [none, few, many] = GOOD.sockets;
    if (!sustained || !flood || !none || !few || !many) throw new Error('a result is missing');
    const [acceptAll, daemon, namesake, openSnitch] = GOOD.firstConnect;
    if (!acceptAll || !daemon || !namesake || !openSnitch) throw new Error('a result is missing');
    const withFirst = (...firstConnect: FirstConnectResult[]): IdentityResults => ({ ...GOOD, firstConnect });
    const cases: [IdentityResults, RegExp][] = [
      [{ ...GOOD, known: { connections: 1000, queued: 1 } }, /packets queued for 1000/],
      [withFirst(acceptAll, first(ASKED.daemon, 101), namesake, openSnitch), /pointsman, to C accept-all/],
      [withFirst(acceptAll, daemon, first(ASKED.namesake, 101), openSnitch), /named program, to C accept-all/],
      [withFirst(acceptAll, { ...daemon, queued: 1 }, namesake, openSnitch), /packets queued for 200 first/],
      [withFirst(acceptAll, daemon, namesake, first(ASKED.openSnitch, 449)), /OpenSnitch/],
      [{ ...GOOD, sustained: [{ ...sustained, perSecond: 4999 }] }, /a second, x/],
      [{ ...GOOD, sustained: [{ ...sustained, lostOrLate: 1 }] }, /without a timely verdict, x/],
      [{ ...GOOD, flood: [{ ...flood, p50Ratio: 2.1 }] }, /p50 beside a flood/],
      [{ ...GOOD, flood: [{ ...flood, p99Ratio: 2.1 }] }, /p99 beside a flood/],
      [{ ...GOOD, sockets: [none, few, { ...many, p50Ns: 2800 }] }, /10000 executables known to 10/],
      [{ ...GOOD, script: { ...GOOD.script, addedP50Ms: 1.1 } }, /listed script/],
    ];
    for (const [results, what] of cases) expect(missed(results)).toEqual([expect.stringMatching(what)]);
  });

  it('identityTargets() of what could not be measured are neither met nor missed, and say why', () => {
    const because = 'package opensnitch is not installed';
    const without: IdentityResults = {
      ...GOOD,
      firstConnect: GOOD.firstConnect.slice(0, 3),
      openSnitchMissing: because,
      tiers: { executables: { inKernel: false, because: 'no BTF' }, scripts: { inKernel: false, because: 'no mark' } },
    };
    const unmeasured = identityTargets(without).filter(({ met }) => met === undefined);
    expect(unmeasured.map(({ found }) => found)).toEqual([
      `not measured: ${because}`,
      'not measured: no BTF',
      'not measured: no mark',
    ]);
    expect(missed(without)).toEqual([]);
  });

  it('identityTargets() asks nothing of the C loop beside a flood', () => {
    const flood = GOOD.flood.map((result) => ({ ...result, name: ASKED.acceptAll, p50Ratio: 9, p99Ratio: 9 }));
    expect(missed({ ...GOOD, flood })).toEqual([]);
  });
});

describe('identityTables', () => {
  it('identityTables() have as many cells in every row as in the head', () => {
    for (const openSnitchMissing of [undefined, 'gone']) {
      const results = { ...GOOD, ...(openSnitchMissing !== undefined && { openSnitchMissing }) };
      for (const { title, head, rows } of identityTables(results)) {
        expect(rows.length, title).toBeGreaterThan(0);
        for (const row of rows) expect(row, title).toHaveLength(head.length);
      }
    }
  });

  it('identityTables() show what a socket costs more than without a daemon', () => {
    const sockets = identityTables(GOOD).find(({ title }) => title.startsWith('socket'));
    expect(sockets?.rows[1]).toEqual(['10', '2500', '3500', '500', '1.25x']);
  });
});
