import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import { indexApps, indexAppsAgain, matchCgroup, unitOfCgroup } from './match-app.ts';
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

describe('unitOfCgroup', () => {
  it('unitOfCgroup names units of the system manager, which puts them into slices only', () => {
    expect(unitOfCgroup('/system.slice/ssh.service')).toBe('ssh.service');
    expect(unitOfCgroup('/user.slice/user-1000.slice/session-3.scope')).toBe('session-3.scope');
    expect(unitOfCgroup('/user.slice/user-1000.slice/user@1000.service')).toBe('user@1000.service');
    expect(unitOfCgroup('/init.scope')).toBe('init.scope');
  });

  it.each([
    '/user.slice/user-1000.slice/user@1000.service/app.slice/ssh.service',
    '/user.slice/user-1000.slice/user@1000.service/ssh.service',
    '/machine.slice/web.service/payload/system.slice/ssh.service',
    '/docker/ssh.service',
    '/',
  ])('unitOfCgroup does not take a name from %s', (path) => {
    expect(unitOfCgroup(path)).toBeUndefined();
  });
});

describe('matchCgroup', () => {
  it('matchCgroup does not let a user make a cgroup of a unit’s name', () => {
    const index = indexApps(setOf([policyOf('p', [{ kind: 'unit', unit: 'ssh.service', at }])]));
    expect(matchCgroup(index, '/system.slice/ssh.service/child')?.policy.app).toBe('p');
    expect(matchCgroup(index, '/user.slice/user-1000.slice/user@1000.service/ssh.service')).toBeUndefined();
  });
});
