import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import { indexApps, indexAppsAgain, matchApp, matchCgroup, type Names, type Traits } from './match-app.ts';
import { MATCH_KINDS, type Match, type MatchKind } from './model.ts';
import { matchKey } from './policy-source.ts';
import { builtinSystemDefault } from './validate-system-default.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };
const name = fc.constantFrom('/a', '/b', '/c', '/d', '/usr/bin/passt', '/usr/bin/passt.avx2');
const matchEntry: fc.Arbitrary<Match> = fc.record({
  kind: fc.constantFrom(...MATCH_KINDS),
  value: name,
  at: fc.constant(at),
});
const same = { layer: 'package', value: { are: 'same', at } } as const;
const own = { layer: 'package', value: { are: 'own', at } } as const;
const policyOf = (app: string, match: readonly Match[], children?: EffectivePolicy['children']): EffectivePolicy => ({
  app,
  match,
  rules: [],
  ...(children && { children }),
  files: [],
});
const matches = fc.uniqueArray(matchEntry, { maxLength: 4, selector: matchKey });
const setOf = (apps: readonly EffectivePolicy[]): PolicySet => ({
  apps,
  uplinks: [],
  systemDefault: builtinSystemDefault,
});

describe('indexAppsAgain', () => {
  it('indexAppsAgain gives what indexing all applications gives', () => {
    const change = fc.record({
      app: fc.constantFrom('p', 'q', 'r'),
      match: fc.option(matches, { nil: undefined }),
      children: fc.constantFrom(undefined, same, own),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 8 }), (changes) => {
        const now = new Map<string, EffectivePolicy>();
        let indexed = { policySet: setOf([]), index: indexApps(setOf([])) };
        for (const { app, match, children } of changes) {
          now.delete(app);
          const taken = new Set([...now.values()].flatMap((policy) => policy.match.map(matchKey)));
          if (match !== undefined)
            now.set(
              app,
              policyOf(
                app,
                match.filter((entry) => !taken.has(matchKey(entry))),
                children,
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
    const user = (uid: string): Match => ({ kind: 'user', value: uid, at });
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

const ID = '4f5a'.repeat(16);
const SERVICE = '/user.slice/user-1000.slice/user@1000.service/app.slice';
const NOBODY: Names = { users: new Map(), groups: new Map(), containers: new Map() };
const entry = (kind: MatchKind, value: string): Match => ({ kind, value, at });
/** One application for each entry, named by the entry. */
const appEach = (...entries: readonly (readonly [MatchKind, string])[]) =>
  indexApps(setOf(entries.map(([kind, value]) => policyOf(`${kind} ${value}`, [entry(kind, value)]))));
const appOf = (index: ReturnType<typeof appEach>, traits: Traits, names = NOBODY) =>
  matchApp(index, traits, names)?.policy.app;

describe('matchApp', () => {
  it.each([
    ['administrator', true, 'backup'],
    ['locks', true, 'backup'],
    ['package', true, 'ssh'],
    ['administrator', false, 'ssh'],
  ] as const)(
    'matchApp leaves a child with `children: same` of %s, named by a package alone: %s, to %s',
    (layer, shipped, app) => {
      const named = (kind: MatchKind, value: string): Match => ({ ...entry(kind, value), ...(shipped && { shipped }) });
      const index = indexApps(
        setOf([
          policyOf('backup', [entry('exec', '/usr/bin/backup')], { ...same, layer }),
          policyOf('ssh', [named('exec', '/usr/bin/ssh'), named('script', '/usr/bin/ssh-argv0')]),
        ]),
      );
      expect(appOf(index, { executable: '/usr/bin/ssh', childOf: 'backup' })).toBe(app);
      expect(appOf(index, { executable: '/bin/sh', script: '/usr/bin/ssh-argv0', childOf: 'backup' })).toBe(app);
      expect(appOf(index, { executable: '/usr/bin/ssh' })).toBe('ssh');
      expect(appOf(index, { executable: '/usr/bin/ssh', childOf: 'nobody' })).toBe('ssh');
    },
  );

  const traits: Required<Omit<Traits, 'executableUnproven'>> = {
    script: '/opt/x.py',
    executable: '/usr/bin/python3',
    childOf: 'parent',
    cgroup: `/system.slice/docker-${ID}.scope`,
    uid: 1000,
    gid: 100,
  };
  const names: Names = { ...NOBODY, users: new Map([['alice', 1000]]), groups: new Map([['users', 100]]) };

  it('matchApp takes the most exact kind of those that hold', () => {
    const strongestFirst: readonly EffectivePolicy[] = [
      policyOf('by script', [entry('script', '/opt/x.py')]),
      policyOf('by executable', [entry('exec', '/usr/bin/python3')]),
      policyOf('parent', [], same),
      policyOf('by cgroup', [entry('cgroup', traits.cgroup)]),
      policyOf('by unit', [entry('unit', `docker-${ID}.scope`)]),
      policyOf('by container', [entry('container', ID.slice(0, 12))]),
      policyOf('by slice', [entry('cgroup', '/system.slice')]),
      policyOf('by user', [entry('user', 'alice')]),
      policyOf('by group', [entry('group', 'users')]),
    ];
    for (let weakest = strongestFirst.length; weakest > 0; weakest -= 1) {
      const rest = strongestFirst.slice(strongestFirst.length - weakest);
      const byName = [...rest].sort((a, b) => (a.app < b.app ? -1 : 1));
      expect(matchApp(indexApps(setOf(byName)), traits, names)?.policy).toBe(rest[0]);
    }
    expect(matchApp(indexApps(setOf([])), traits, names)).toBeUndefined();
  });

  it('matchApp knows children only of an application that says so, and says where', () => {
    const index = indexApps(setOf([policyOf('p', [], same), policyOf('q', [], own)]));
    expect(matchApp(index, { childOf: 'p' }, NOBODY)).toMatchObject({ match: { kind: 'children', value: 'p', at } });
    expect(appOf(index, { childOf: 'q' })).toBeUndefined();
    expect(appOf(index, { childOf: 'r' })).toBeUndefined();
  });

  it('matchApp takes a number for an id before a name of that number', () => {
    const index = appEach(['group', 'staff'], ['group', '50'], ['user', 'bob'], ['user', '50']);
    const both: Names = { ...NOBODY, users: new Map([['bob', 50]]), groups: new Map([['staff', 50]]) };
    expect(appOf(index, { gid: 50 }, both)).toBe('group 50');
    expect(appOf(index, { uid: 50 }, both)).toBe('user 50');
    expect(appOf(appEach(['group', 'staff']), { gid: 50 }, both)).toBe('group staff');
    expect(appOf(appEach(['group', 'staff']), { uid: 50 }, both)).toBeUndefined();
  });

  it('matchApp does not take an unproven executable, but its script, which is known by itself', () => {
    const index = appEach(['exec', '/usr/bin/python3'], ['script', '/opt/x.py']);
    expect(appOf(index, { executable: '/usr/bin/python3', executableUnproven: true })).toBeUndefined();
    expect(appOf(index, { executable: '/usr/bin/python3', script: '/opt/x.py' })).toBe('script /opt/x.py');
  });

  it('matchApp leaves packages to the entries that are made of them', () => {
    expect(Object.values(appEach(['package', 'curl'])).every(({ size }) => size === 0)).toBe(true);
  });
});

describe('matchCgroup', () => {
  const matched = (index: ReturnType<typeof appEach>, path: string, containers: Names['containers'] = new Map()) =>
    matchCgroup(index, path, containers)?.policy.app;

  it('matchCgroup does not let a user make a cgroup of a unit’s name', () => {
    const index = appEach(['unit', 'ssh.service']);
    expect(matched(index, '/system.slice/ssh.service/child')).toBe('unit ssh.service');
    expect(matched(index, '/user.slice/user-1000.slice/user@1000.service/ssh.service')).toBeUndefined();
  });

  it('matchCgroup takes the deepest cgroup that says something', () => {
    const index = appEach(
      ['cgroup', '/system.slice'],
      ['container', 'web'],
      ['cgroup', `/system.slice/docker-${ID}.scope/x`],
    );
    const containers = new Map([[ID, ['web']]]);
    expect(matched(index, `/system.slice/docker-${ID}.scope/x/y`, containers)).toMatch(/^cgroup .*x$/);
    expect(matched(index, `/system.slice/docker-${ID}.scope/y`, containers)).toBe('container web');
    expect(matched(index, `/system.slice/docker-${ID}.scope/y`)).toBe('cgroup /system.slice');
  });

  it('matchCgroup tells a container by the longest part of its id, and by a name only after that', () => {
    const path = `/docker/${ID}`;
    const containers = new Map([[ID, ['web', 'web.service']]]);
    const entries = [ID.slice(0, 12), ID.slice(0, 20), 'web'].map((value) => ['container', value] as const);
    expect(matched(appEach(...entries), path, containers)).toBe(`container ${ID.slice(0, 20)}`);
    expect(matched(appEach(...entries.slice(2)), path, containers)).toBe('container web');
    expect(matched(appEach(['container', ID.slice(0, 11)]), path, containers)).toBeUndefined();
    expect(matched(appEach(['container', 'web']), '/machine.slice/machine-web.scope')).toBe('container web');
  });

  it('matchCgroup tells what the desktop started', () => {
    const index = appEach(
      ['flatpak', 'org.example.Mail'],
      ['desktop', 'org.example.Mail'],
      ['snap', 'mail'],
      ['snap', 'mail.send'],
    );
    expect(matched(index, `${SERVICE}/app-flatpak-org.example.Mail-1.scope`)).toBe('flatpak org.example.Mail');
    expect(matched(index, `${SERVICE}/app-gnome-org.example.Mail-1.scope`)).toBe('desktop org.example.Mail');
    expect(matched(index, '/system.slice/snap.mail.send.service')).toBe('snap mail.send');
    expect(matched(index, '/system.slice/snap.mail.other.service')).toBe('snap mail');
    expect(matched(index, '/system.slice/snap.mailer.send.service')).toBeUndefined();
  });
});
