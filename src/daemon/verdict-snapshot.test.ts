import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EffectivePolicy } from '../policy/effective-policy.ts';
import type { Facts } from '../policy/facts.ts';
import { applyUpdate, diffSnapshot, type VerdictSnapshot } from './verdict-snapshot.ts';

const AT = { file: 'a.yaml', line: 1, column: 1 };
const POLICIES = ['a', 'b', 'c', 'd'].map((app) =>
  [1, 2].map(
    (line): EffectivePolicy => ({
      app,
      match: [{ kind: 'exec', value: `/${app}`, at: { ...AT, line } }],
      rules: [],
      files: [],
    }),
  ),
);
const DEFAULTS = (['closed', 'open'] as const).map((whenAway) => {
  const otherwise = { do: 'deny' as const, at: AT };
  return { otherwise, unknown: otherwise, whenAway };
});
const OTHER_FACTS = [0, 1000].map((uid) => ({
  uplinks: [],
  onLink: [],
  resolvers: [],
  names: new Map(),
  users: new Map([['u', uid]]),
  groups: new Map(),
  packages: new Map(),
  containers: new Map(),
}));
const NAME_STATES = [203n, 204n].map((value) => ({
  known: true as const,
  addresses: [{ address: { family: 4 as const, value }, expiresAtMs: 1 }],
}));
/** The first with other names: the rest of it is the same. */
const FACTS: readonly Facts[] = [
  ...OTHER_FACTS,
  ...NAME_STATES.map((state): Facts => ({ ...(OTHER_FACTS[0] as Facts), names: new Map([['a.example', state]]) })),
];
const APP_IDS = [new Map([['a', 1]]), new Map([['b', 2]])];
const UPLINKS = [[], []];

/** Absent, or one of two versions, of each application. */
const snapshots = fc
  .record({
    revision: fc.nat(),
    versions: fc.tuple(...POLICIES.map((versions) => fc.option(fc.constantFrom(...versions), { nil: undefined }))),
    systemDefault: fc.constantFrom(...DEFAULTS),
    facts: fc.constantFrom(...FACTS),
    appIds: fc.constantFrom(...APP_IDS),
    uplinks: fc.constantFrom(...UPLINKS),
  })
  .map(({ revision, versions, systemDefault, facts, appIds, uplinks }): VerdictSnapshot => {
    const apps = versions.filter((policy) => policy !== undefined);
    return { revision, policySet: { apps, systemDefault, uplinks }, facts, appIds };
  });

describe('diffSnapshot', () => {
  it('diffSnapshot says all that applyUpdate needs to make the new snapshot of the old, also through a clone', () => {
    fc.assert(
      fc.property(snapshots, snapshots, (before, after) => {
        const update = structuredClone(diffSnapshot(before, after));
        expect(applyUpdate(before, update)).toEqual(after);
      }),
    );
  });

  it('diffSnapshot of a name with other addresses is that name', () => {
    const [, , one, other] = FACTS;
    const [systemDefault, appIds] = [DEFAULTS[0], APP_IDS[0]];
    if (one === undefined || other === undefined || systemDefault === undefined || appIds === undefined)
      throw new Error('unreachable');
    const before = { revision: 1, policySet: { apps: [], systemDefault, uplinks: [] }, facts: one, appIds };
    const names = new Map(other.names);
    expect(diffSnapshot(before, { ...before, revision: 2, facts: other })).toEqual({ revision: 2, names });
  });

  it('diffSnapshot of one changed application names no other', () => {
    const [a, b] = [POLICIES[0]?.[0], POLICIES[1]?.[0]];
    const changed = POLICIES[1]?.[1];
    if (a === undefined || b === undefined || changed === undefined || DEFAULTS[0] === undefined)
      throw new Error('unreachable');
    const [systemDefault, facts, appIds] = [DEFAULTS[0], FACTS[0], APP_IDS[0]];
    if (facts === undefined || appIds === undefined) throw new Error('unreachable');
    const before = { revision: 1, policySet: { apps: [a, b], systemDefault, uplinks: [] }, facts, appIds };
    const after = { ...before, revision: 2, policySet: { ...before.policySet, apps: [a, changed] } };
    expect(diffSnapshot(before, after)).toEqual({ revision: 2, apps: { changed: [changed], removed: [] } });
  });
});

describe('applyUpdate', () => {
  it('applyUpdate keeps the policy set as the same object where only facts change, so that its index can stay', () => {
    fc.assert(
      fc.property(snapshots, fc.constantFrom(...FACTS), (before, facts) => {
        const after = applyUpdate(before, diffSnapshot(before, { ...before, revision: 9, facts }));
        expect(after.policySet).toBe(before.policySet);
      }),
    );
  });
});
