import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import { indexApps, indexAppsAgain } from './match-app.ts';
import type { Match } from './model.ts';
import { matchKey } from './policy-source.ts';
import { builtinSystemDefault } from './validate-system-default.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };
const name = fc.constantFrom('/a', '/b', '/c', '/d');
const matchEntry: fc.Arbitrary<Match> = fc.oneof(
  name.map((path): Match => ({ kind: 'exec', path, at })),
  name.map((path): Match => ({ kind: 'cgroup', path, at })),
  name.map((unit): Match => ({ kind: 'unit', unit, at })),
  name.map((user): Match => ({ kind: 'user', user, at })),
);
const policyOf = (app: string, match: readonly Match[]): EffectivePolicy => ({ app, match, rules: [], files: [] });
const matches = fc.uniqueArray(matchEntry, { maxLength: 4, selector: matchKey });
const setOf = (apps: readonly EffectivePolicy[]): PolicySet => ({
  apps,
  uplinks: [],
  systemDefault: builtinSystemDefault,
});

describe('indexAppsAgain', () => {
  it('indexAppsAgain gives what indexing all applications gives', () => {
    const change = fc.record({ app: fc.constantFrom('p', 'q', 'r'), match: fc.option(matches, { nil: undefined }) });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 8 }), (changes) => {
        const now = new Map<string, EffectivePolicy>();
        let indexed = { policySet: setOf([]), index: indexApps(setOf([])) };
        for (const { app, match } of changes) {
          now.delete(app);
          const taken = new Set([...now.values()].flatMap((policy) => policy.match.map(matchKey)));
          if (match !== undefined)
            now.set(
              app,
              policyOf(
                app,
                match.filter((entry) => !taken.has(matchKey(entry))),
              ),
            );
          const policySet = setOf([...now.values()].sort((a, b) => (a.app < b.app ? -1 : 1)));
          indexed = { policySet, index: indexAppsAgain(policySet, indexed) };
          expect(indexed.index).toEqual(indexApps(policySet));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('indexAppsAgain keeps maps in which nothing changed, and the order of those in which something did', () => {
    const user = (uid: string): Match => ({ kind: 'user', user: uid, at });
    const before = setOf([policyOf('p', [user('1')]), policyOf('q', [user('2')])]);
    const index = indexApps(before);
    const after = setOf([policyOf('p', [user('1')]), ...before.apps.slice(1)]);
    const again = indexAppsAgain(after, { policySet: before, index });
    expect(again.byExecutable).toBe(index.byExecutable);
    expect([...again.byUser.keys()]).toEqual(['1', '2']);
    expect(again.byUser.get('1')?.policy).toBe(after.apps[0]);
    expect(index.byUser.get('1')?.policy).toBe(before.apps[0]);
  });
});
