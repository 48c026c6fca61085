/** Of each kind of `match` entry that there is: whoever tells, weighs or names what policies speak of knows it. */
import { describe, expect, it } from 'vitest';
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import type { ProcessOwner, UnknownOwner } from './identity.ts';
import {
  type AppIndex,
  type AppMatch,
  indexApps,
  matchApp,
  matchKernel,
  type Names,
  type Traits,
} from './match-app.ts';
import { mayBelongTo } from './may-be.ts';
import type { MatchKind } from './model.ts';
import { policiesBehind } from './policies-behind.ts';
import { CGROUP_NAME_MAPS, INDEX_MAPS, PROGRAM_MAPS, speaksOfCgroups, speaksOfUsers } from './told-by.ts';
import { builtinSystemDefault } from './validate-system-default.ts';

/** Those that name processes. */
type Kind = Exclude<AppMatch['match']['kind'], 'package' | 'kernel'>;

const at = { file: 'a.yaml', line: 1, column: 1 };
const MANAGER = '/user.slice/user-1000.slice/user@1000.service/app.slice';

/** An entry, and somebody of whom just what it tells by is known. */
const EXAMPLES: Readonly<Record<Kind, readonly [value: string, traits: Traits]>> = {
  script: ['/opt/x.py', { script: '/opt/x.py' }],
  exec: ['/usr/bin/curl', { executable: '/usr/bin/curl' }],
  children: ['app', { childOf: 'app' }],
  cgroup: ['/a', { cgroup: '/a/b' }],
  unit: ['x.service', { cgroup: '/system.slice/x.service' }],
  container: ['0123456789ab', { cgroup: `/system.slice/docker-${'0123456789abcdef'.repeat(4)}.scope` }],
  flatpak: ['org.example.Mail', { cgroup: `${MANAGER}/app-flatpak-org.example.Mail-1.scope` }],
  snap: ['mail.app', { cgroup: `${MANAGER}/snap.mail.app-0b6e8e9a-6d1c-4a07-9e3a-8c2a53c7a3f1.scope` }],
  desktop: ['org.example.Mail', { cgroup: `${MANAGER}/app-org.example.Mail-1.scope` }],
  user: ['1000', { uid: 1000 }],
  group: ['100', { gid: 100 }],
};
const KINDS = Object.keys(EXAMPLES) as readonly Kind[];
const names: Names = { users: new Map(), groups: new Map(), containers: new Map() };

function policySetOf(kind: Kind): PolicySet {
  const policy: EffectivePolicy = {
    app: 'app',
    match: kind === 'children' ? [] : [{ kind: kind satisfies MatchKind, value: EXAMPLES[kind][0], at }],
    ...(kind === 'children' && { children: { layer: 'administrator', value: { are: 'same', at } } as const }),
    rules: [],
    files: [],
  };
  return { apps: [policy], uplinks: [], systemDefault: builtinSystemDefault };
}
const indexOf = (kind: Kind): AppIndex => indexApps(policySetOf(kind));

describe.each(KINDS)('an entry of the kind %s', (kind) => {
  const index = indexOf(kind);
  const [, traits] = EXAMPLES[kind];
  const nothingKnown: UnknownOwner = { kind: 'unknown', because: 'it has ended' };

  it('matchApp() finds it', () => {
    expect(matchApp(index, traits, names)?.match.kind).toBe(kind);
    expect(matchApp(index, {}, names)).toBeUndefined();
  });

  it('mayBelongTo() weighs it where nothing is known, and not where that is known by which it tells', () => {
    expect(mayBelongTo(index, nothingKnown)).toHaveLength(1);
    const { uid = 7, gid = 7, cgroup = '/elsewhere' } = traits;
    const isProgram = PROGRAM_MAPS.some((map) => index[map].size > 0);
    expect(mayBelongTo(index, { ...nothingKnown, uid, gid, cgroup })).toHaveLength(isProgram ? 1 : 0);
    expect(mayBelongTo(index, { kind: 'kernel' })).toEqual([]);
  });

  it('mayBelongTo() weighs it of a process whose cgroup is gone, where it tells by that', () => {
    const gone: ProcessOwner = { kind: 'process', pid: 1, uid: 7, gid: 7, cgroup: '/', cgroupGone: true };
    expect(mayBelongTo(index, gone)).toHaveLength(speaksOfCgroups(index) ? 1 : 0);
    expect(mayBelongTo(index, { kind: 'process', pid: 1, uid: 7, cgroup: '/' })).toEqual([]);
  });

  it('policiesBehind() has it for its own user', () => {
    expect(policiesBehind(index, { uid: 1000 }, { users: new Map() })).toHaveLength(1);
  });

  it('is in one map, that tells by program, cgroup or user', () => {
    expect(INDEX_MAPS.filter((map) => index[map].size > 0)).toHaveLength(1);
    const told = [PROGRAM_MAPS.some((map) => index[map].size > 0), speaksOfCgroups(index), speaksOfUsers(index)];
    expect(told.filter(Boolean)).toHaveLength(1);
    if (CGROUP_NAME_MAPS.some((map) => index[map].size > 0)) expect(speaksOfCgroups(index)).toBe(true);
  });
});

describe('an entry of the kind kernel', () => {
  const match = { kind: 'kernel', value: 'nfs', at } as const;
  const index = indexApps({
    apps: [{ app: 'app', match: [match], rules: [], files: [] }],
    uplinks: [],
    systemDefault: builtinSystemDefault,
  });

  it('names what the kernel sends, and no process', () => {
    expect(matchKernel(index, 'nfs')?.match).toEqual(match);
    expect(matchKernel(index, 'cifs')).toBeUndefined();
    expect(mayBelongTo(index, { kind: 'unknown', because: 'it has ended' })).toEqual([]);
    expect(policiesBehind(index, { uid: 0 }, { users: new Map() })).toEqual([]);
    expect(INDEX_MAPS.filter((map) => index[map].size > 0)).toEqual(['byKernel']);
  });
});
