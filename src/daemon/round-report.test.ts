import { describe, expect, it } from 'vitest';
import { FakeClock } from '../kernel/fake/fake-clock.ts';
import type { WallMs } from '../net/clock.ts';
import type { Round } from './enforce.ts';
import { Health } from './health.ts';
import { NOTHING_PENDING, type Pending } from './pending.ts';
import { RepairPace } from './repair-pace.ts';
import { changeEvent, isRepair, reportHealth } from './round-report.ts';

interface Given {
  readonly changes?: number;
  readonly isNewPlan?: boolean;
  readonly tableWasForeign?: boolean;
  readonly isPrecaution?: boolean;
  readonly pending?: Partial<Pending>;
}

function roundOf({
  changes = 1,
  isNewPlan = false,
  tableWasForeign = false,
  isPrecaution = false,
  pending = {},
}: Given): Round {
  return {
    pending: { ...NOTHING_PENDING, ...pending },
    because: 'test',
    loaded: {
      policySet: { apps: [], uplinks: [], systemDefault: DEFAULT },
      diagnostics: [],
      revision: 1,
      changedApps: [],
      lastGood: [],
    },
    isNewPlan,
    outcome: {
      ok: true,
      changes,
      commands: 0,
      tableWasForeign,
      isPrecaution,
      prints: new Map(),
      durationMs: 1,
      generation: 1,
    },
    changedApps: [],
    endedFlows: 0,
    movedFlows: 0,
  };
}

const at = { file: 'default.yaml', line: 1, column: 1 };
const DEFAULT = { otherwise: { do: 'allow', at }, unknown: { do: 'allow', at }, whenAway: 'closed' } as const;

describe('isRepair()', () => {
  it.each<[string, Given, boolean]>([
    ['the same plan had to be put there again', {}, true],
    ['nothing had to be changed', { changes: 0 }, false],
    ['the plan is another one', { isNewPlan: true }, false],
    ['the plan is another one, and the table was gone', { isNewPlan: true, tableWasForeign: true }, true],
    ['nobody had looked at it before', { isPrecaution: true }, false],
    ['the last round failed', { tableWasForeign: true, pending: { kinds: new Set(['retry']) } }, false],
  ])('isRepair() where %s: %o is %s', (_, given, expected) => {
    expect(isRepair(roundOf(given))).toBe(expected);
  });
});

describe('reportHealth()', () => {
  it('reportHealth() names who changed our table, also when the plan has changed with it', () => {
    const health = new Health({ clock: new FakeClock(), onChange: () => undefined });
    const pending = { kinds: new Set(['foreign', 'network'] as const), foreignBy: 'nft (process 7)' };
    reportHealth(health, roundOf({ isNewPlan: true, tableWasForeign: true, pending }), new RepairPace());
    expect(health.list()).toMatchObject([
      { code: 'foreign-change', message: 'nft (process 7) changed what belongs to pointsman; it was repaired' },
    ]);
  });
});

describe('changeEvent()', () => {
  it('changeEvent() names whose policies files have changed, and whose are gone', () => {
    const files = { isNewPlan: true, pending: { kinds: new Set(['files'] as const) } };
    const round = roundOf(files);
    const apps = [{ app: 'mail', match: [], rules: [], files: [] }];
    const loaded = { ...round.loaded, policySet: { ...round.loaded.policySet, apps } };
    const because = (changedApps: readonly string[]): string | undefined =>
      changeEvent({ ...round, loaded, changedApps }, 1, 0 as WallMs)?.because;
    expect(because([])).toBe('test');
    expect(because(['mail'])).toBe('test (mail)');
    expect(because(['chat', 'mail'])).toBe('test (mail; no policy any more: chat)');
    expect(because(['a', 'b', 'c', 'd', 'e', 'f', 'g'])).toBe('test (no policy any more: a, b, c, d, e and 2 more)');
    expect(changeEvent({ ...roundOf({ isNewPlan: true }), changedApps: ['a'] }, 1, 0 as WallMs)?.because).toBe('test');
  });
});
