import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cgroupTreeAt } from '../kernel/cgroup.ts';
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import { type AppIndex, indexApps } from '../policy/match-app.ts';
import type { MatchKind } from '../policy/model.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { hostNames, namedCgroups, namedGroups, namedHosts, namedUsers, refusedHosts } from './named-things.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };

function policy(app: string, ...names: string[]): EffectivePolicy {
  const to = names.map((name) => ({ text: name, target: { kind: 'name', name } as const, at }));
  return { app, match: [], files: [], rules: to.map((each) => ({ to: [each], do: 'allow', layer: 'package', at })) };
}

const setOf = (...apps: EffectivePolicy[]): PolicySet => ({ apps, uplinks: [], systemDefault: builtinSystemDefault });

describe('hostNames', () => {
  it('hostNames gives the names in rules, each once', () => {
    expect(hostNames(setOf(policy('a', 'x', 'y', 'x'), policy('b'), policy('c', 'y', 'z')))).toEqual(['x', 'y', 'z']);
  });
});

describe('namedHosts', () => {
  it('namedHosts follows applications that come, change and go', () => {
    const b = policy('b', 'y');
    const first = namedHosts(setOf(policy('a', 'x'), b));
    const second = namedHosts(setOf(b, policy('c', 'z')), first);
    expect(Object.fromEntries(second.byApp)).toEqual({ b: ['y'], c: ['z'] });
    expect(Object.fromEntries(namedHosts(setOf(policy('b'), policy('c', 'z')), second).byApp)).toEqual({ c: ['z'] });
  });

  it('namedHosts keeps the map where other rules name the same hosts', () => {
    const first = namedHosts(setOf(policy('a', 'x'), policy('b')));
    expect(namedHosts(setOf(policy('a', 'x', 'x'), policy('b'), policy('c')), first).byApp).toBe(first.byApp);
  });
});

describe('refusedHosts', () => {
  it('refusedHosts gives the names in rules that deny or drop, and notices a rule that turns to denying', () => {
    const allowing = policy('a', 'x', 'y');
    const [first] = allowing.rules;
    if (first === undefined) throw new Error('the policy has no rules');
    const denying: EffectivePolicy = { ...allowing, rules: [{ ...first, do: 'deny' }, ...allowing.rules.slice(1)] };
    const before = refusedHosts(setOf(allowing));
    expect(Object.fromEntries(before.byApp)).toEqual({});
    expect(Object.fromEntries(refusedHosts(setOf(denying), before).byApp)).toEqual({ a: ['x'] });
  });
});

function indexOf(...entries: (readonly [MatchKind, string])[]): AppIndex {
  return indexApps(setOf({ ...policy('a'), match: entries.map(([kind, value]) => ({ kind, value, at })) }));
}

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'named-things-'));
});

afterEach(() => {
  rmSync(dir, { recursive: true });
});

describe('namedUsers', () => {
  it('namedUsers gives the uids of those that are named and exist', () => {
    writeFileSync(
      join(dir, 'passwd'),
      'root:x:0:0:root:/root:/bin/sh\nu:x:1000:1000::/home/u:/bin/sh\nv:x:7:7:::\nbad\n',
    );
    const users = namedUsers(indexOf(['user', 'u'], ['user', 'none'], ['user', '0']), join(dir, 'passwd'));
    expect(Object.fromEntries(users)).toEqual({ u: 1000 });
  });
});

describe('namedGroups', () => {
  it('namedGroups gives the gids of those that are named and exist, the first of two', () => {
    writeFileSync(join(dir, 'group'), 'root:x:0:\naudio:x:29:u,v\naudio:x:30:\nnetdev:*:109:\nvpn::4000:\n\n:x:5:\n');
    const index = indexOf(['group', 'audio'], ['group', 'vpn'], ['group', 'none'], ['group', '0'], ['user', 'netdev']);
    expect(Object.fromEntries(namedGroups(index, join(dir, 'group')))).toEqual({ audio: 29, vpn: 4000 });
    expect(namedGroups(index, join(dir, 'none')).size).toBe(0);
  });

  it('namedGroups knows the groups of this machine', () => {
    expect(namedGroups(indexOf(['group', 'root'])).get('root')).toBe(0);
  });
});

describe('namedCgroups', () => {
  const ID = 'a1'.repeat(32);
  const APPS = '/user.slice/user-1000.slice/user@1000.service/app.slice';
  const make = (...paths: string[]): void => {
    for (const path of paths) mkdirSync(join(dir, path), { recursive: true });
  };
  const paths = (index: AppIndex, containers: ReadonlyMap<string, readonly string[]> = new Map()): string[] =>
    namedCgroups(index, cgroupTreeAt(dir), containers).map(({ path }) => path);

  it('namedCgroups gives id and level, sorted by path, each once', () => {
    make('z/y', 'system.slice/a.service');
    const index = indexOf(
      ['cgroup', '/z/y'],
      ['cgroup', '/none'],
      ['cgroup', '/system.slice/a.service'],
      ['unit', 'a.service'],
    );
    const id = (path: string): bigint => statSync(join(dir, path), { bigint: true }).ino;
    expect(namedCgroups(index, cgroupTreeAt(dir), new Map())).toEqual([
      { path: '/system.slice/a.service', id: id('system.slice/a.service'), level: 2 },
      { path: '/z/y', id: id('z/y'), level: 2 },
    ]);
  });

  it('namedCgroups finds units where the system manager puts them, and nowhere else', () => {
    make('system.slice/a.service', 'my.slice/my-own.slice/a.service', 'docker/a.service', `${APPS}/a.service`);
    expect(paths(indexOf(['unit', 'a.service']))).toEqual([
      '/my.slice/my-own.slice/a.service',
      '/system.slice/a.service',
    ]);
  });

  it('namedCgroups finds containers by name and by id', () => {
    const found = [`/docker/${ID}`, `/kubepods/burstable/podX/${ID}`, `/system.slice/docker-${ID}.scope`];
    make(...found, `system.slice/docker-${'b'.repeat(64)}.scope`, `system.slice/a.service/docker-${ID}.scope`);
    const containers = new Map([[ID, ['web']]]);
    expect(paths(indexOf(['container', 'web']), containers)).toEqual(found);
    expect(paths(indexOf(['container', 'web']))).toEqual([]);
    expect(paths(indexOf(['container', ID.slice(0, 12)]))).toEqual(found);
  });

  it('namedCgroups finds flatpaks, snaps and desktop applications', () => {
    const snap = 'snap.firefox.firefox-0b1c2d3e-aaaa-bbbb-cccc-1234567890ab.scope';
    make(`${APPS}/app-flatpak-org.x.Y-12.scope`, `${APPS}/${snap}`, `${APPS}/app-gnome-org.z.W-7.scope`);
    make('system.slice/snap.lxd.daemon.service');
    expect(paths(indexOf(['flatpak', 'org.x.Y']))).toEqual([`${APPS}/app-flatpak-org.x.Y-12.scope`]);
    expect(paths(indexOf(['snap', 'firefox'], ['snap', 'lxd.daemon']))).toEqual([
      '/system.slice/snap.lxd.daemon.service',
      `${APPS}/${snap}`,
    ]);
    expect(paths(indexOf(['desktop', 'org.z.W']))).toEqual([`${APPS}/app-gnome-org.z.W-7.scope`]);
  });

  it('namedCgroups is empty without a tree or names', () => {
    expect(namedCgroups(indexOf(['unit', 'a.service']), undefined, new Map())).toEqual([]);
    expect(paths(indexOf(['exec', '/bin/x']))).toEqual([]);
  });
});
