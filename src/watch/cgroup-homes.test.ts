import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scopesOfCgroup } from '../policy/cgroup-scope.ts';
import { cgroupHomes, isCgroupHome, MAX_CGROUPS_PER_USER, type Sought } from './cgroup-homes.ts';

const ALL: Sought = { inUserManagers: true, inRuntimes: true };
const SYSTEM: Sought = { inUserManagers: false, inRuntimes: false };
const ID = 'a1'.repeat(32);
const MANAGER = '/user.slice/user-1000.slice/user@1000.service';
let mountDir: string;

const make = (...paths: string[]): void => {
  for (const path of paths) mkdirSync(join(mountDir, path), { recursive: true });
};

const homes = (sought: Sought): string[] => Array.from(cgroupHomes({ mountDir }, sought), ({ path }) => path);

beforeEach(() => {
  mountDir = mkdtempSync(join(tmpdir(), 'cgroup-homes-'));
});

afterEach(() => {
  rmSync(mountDir, { recursive: true });
});

describe('isCgroupHome', () => {
  it.each([
    ['/', SYSTEM],
    ['/system.slice', SYSTEM],
    ['/user.slice/user-1000.slice', SYSTEM],
    [MANAGER, { ...SYSTEM, inUserManagers: true }],
    [`${MANAGER}/app.slice/app-x.slice`, { ...SYSTEM, inUserManagers: true }],
    ['/docker', { ...SYSTEM, inRuntimes: true }],
    ['/kubepods/burstable/pod0b1c', { ...SYSTEM, inRuntimes: true }],
  ])('isCgroupHome is true for %s', (path, sought) => {
    expect(isCgroupHome(path, sought)).toBe(true);
  });

  it.each([
    [MANAGER, SYSTEM],
    ['/docker', SYSTEM],
    ['/system.slice/a.service', ALL],
    ['/system.slice/a.service/b.slice', ALL],
    [`${MANAGER}/a.service/app.slice`, ALL],
    ['/user.slice/user-1000.slice/user@1001.service', ALL],
    [`${MANAGER}.d/app.slice`, ALL],
    [`/docker/${ID}`, ALL],
  ])('isCgroupHome is false for %s', (path, sought) => {
    expect(isCgroupHome(path, sought)).toBe(false);
  });

  it('isCgroupHome is true for whatever is right above a cgroup that a name says something of', () => {
    const part = fc.constantFrom(
      ...['system.slice', 'user.slice', 'user-1000.slice', 'user@1000.service', 'app.slice', 'a.service', 'kubepods'],
      ...[
        'docker',
        'libpod_parent',
        'burstable',
        'podX',
        ID,
        `docker-${ID}.scope`,
        `libpod-${ID}`,
        `libpod-${ID}.scope`,
      ],
      ...['app-flatpak-org.x.Y-1.scope', 'snap.a.b.service', 'app-x.service', 'machine-x.scope', 'session-1.scope'],
    );
    const parts = fc.oneof(
      fc.array(part, { minLength: 1, maxLength: 6 }),
      fc.array(part, { minLength: 1, maxLength: 3 }).map((rest) => [...MANAGER.split('/').slice(1), ...rest]),
    );
    let said = 0;
    fc.assert(
      fc.property(parts, (all) => {
        const { unit, containerId, machine, flatpak, snap, desktop } = scopesOfCgroup(`/${all.join('/')}`);
        const inUserManagers = (flatpak ?? snap ?? desktop) !== undefined;
        const inRuntimes = containerId !== undefined;
        if (!inUserManagers && !inRuntimes && (unit ?? machine) === undefined) return;
        said += 1;
        expect(isCgroupHome(`/${all.slice(0, -1).join('/')}`, { inUserManagers, inRuntimes })).toBe(true);
      }),
      { numRuns: 20_000 },
    );
    expect(said).toBeGreaterThan(1000);
  });
});

describe('cgroupHomes', () => {
  it('cgroupHomes lists the places for what is sought, and their children', () => {
    make(
      'system.slice/b.service/inner.slice',
      'system.slice/a.service',
      `docker/${ID}`,
      `${MANAGER}/app.slice/x.scope/y`,
    );
    writeFileSync(join(mountDir, 'cgroup.procs'), '');
    expect([...cgroupHomes({ mountDir }, SYSTEM)]).toEqual([
      { path: '/', children: ['docker', 'system.slice', 'user.slice'] },
      { path: '/system.slice', children: ['a.service', 'b.service'] },
      { path: '/user.slice', children: ['user-1000.slice'] },
      { path: '/user.slice/user-1000.slice', children: ['user@1000.service'] },
    ]);
    expect(homes({ ...SYSTEM, inRuntimes: true })).toContain('/docker');
    expect(homes({ ...SYSTEM, inUserManagers: true }).slice(-2)).toEqual([MANAGER, `${MANAGER}/app.slice`]);
  });

  it("cgroupHomes lists no more of one user's groups than the bound, and others' all the same", () => {
    const other = '/user.slice/user-2000.slice/user@2000.service';
    make(
      ...Array.from({ length: MAX_CGROUPS_PER_USER + 10 }, (_, i) => `${MANAGER}/g${i}.slice`),
      `${other}/app.slice/x`,
    );
    const children = [...cgroupHomes({ mountDir }, ALL)].filter(({ path }) => path.startsWith(MANAGER));
    expect(children.flatMap((home) => home.children)).toHaveLength(MAX_CGROUPS_PER_USER);
    expect(homes(ALL)).toContain(`${other}/app.slice`);
  });

  it('cgroupHomes passes over what is gone', () => {
    expect([...cgroupHomes({ mountDir: join(mountDir, 'none') }, ALL)]).toEqual([{ path: '/', children: [] }]);
  });
});
