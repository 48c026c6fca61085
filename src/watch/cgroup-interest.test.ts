import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cgroupTreeAt } from '../kernel/cgroup.ts';
import { indexApps } from '../policy/match-app.ts';
import type { Match, MatchKind } from '../policy/model.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { type CgroupInterest, cgroupInterest } from './cgroup-interest.ts';

const ID = 'a1'.repeat(32);
const MANAGER = '/user.slice/user-1000.slice/user@1000.service';
let mountDir: string;

const make = (...paths: string[]): void => {
  for (const path of paths) mkdirSync(join(mountDir, path), { recursive: true });
};

function interestIn(...entries: (readonly [MatchKind, string])[]): CgroupInterest {
  const match: Match[] = entries.map(([kind, value]) => ({ kind, value, at: { file: 'a.yaml', line: 1, column: 1 } }));
  const apps = [{ app: 'a', match, files: [], rules: [] }];
  return cgroupInterest(indexApps({ apps, uplinks: [], systemDefault: builtinSystemDefault }), cgroupTreeAt(mountDir));
}

const directories = (interest: CgroupInterest): string[] =>
  interest.directories.map((directory) => directory.slice(mountDir.length));

const concerning = (interest: CgroupInterest, ...paths: string[]): string[] =>
  paths.filter((path) => interest.concerns(`${mountDir}${path}`));

beforeEach(() => {
  mountDir = mkdtempSync(join(tmpdir(), 'cgroup-interest-'));
});

afterEach(() => {
  rmSync(mountDir, { recursive: true });
});

describe('cgroupInterest', () => {
  it('cgroupInterest has nothing to watch where no cgroup is named', () => {
    make('system.slice');
    expect(directories(interestIn(['exec', '/usr/bin/x']))).toEqual([]);
  });

  it('cgroupInterest watches the parent of a path, or what there is above it', () => {
    make('a/b', 'x');
    const interest = interestIn(['cgroup', '/a/b'], ['cgroup', '/a/b/c/d'], ['cgroup', '/x/y/z'], ['cgroup', '/new']);
    expect(directories(interest).sort()).toEqual(['', '/a', '/a/b', '/x']);
    expect(concerning(interest, '/a', '/a/b/c', '/a/b/c/d', '/x/y', '/a/c', '/x/y/z/deeper', '/other')).toEqual([
      '/a',
      '/a/b/c',
      '/a/b/c/d',
      '/x/y',
    ]);
  });

  it('cgroupInterest watches slices for a unit, and is not concerned by others', () => {
    make('system.slice/a.service', `docker/${ID}`, `${MANAGER}/app.slice`);
    const interest = interestIn(['unit', 'a.service']);
    expect(directories(interest)).toEqual(['', '/system.slice', '/user.slice', '/user.slice/user-1000.slice']);
    const others = ['/system.slice/b.service', '/docker', MANAGER, `${MANAGER}/a.service`, '/a.service/x'];
    expect(concerning(interest, '/system.slice/a.service', '/new.slice', ...others)).toEqual([
      '/system.slice/a.service',
      '/new.slice',
    ]);
  });

  it('cgroupInterest is concerned by every container where one is named', () => {
    make('system.slice', 'docker');
    const interest = interestIn(['container', 'web']);
    expect(directories(interest)).toEqual(['', '/docker', '/system.slice']);
    const containers = [`/docker/${ID}`, `/system.slice/docker-${ID}.scope`, '/kubepods', '/kubepods/podX'];
    expect(concerning(interest, ...containers, '/system.slice/a.service')).toEqual(containers);
  });

  it("cgroupInterest watches users' managers for what they start", () => {
    make(`${MANAGER}/app.slice`);
    for (const [kind, value, group] of [
      ['flatpak', 'org.x.Y', 'app-flatpak-org.x.Y-123.scope'],
      ['snap', 'firefox', 'snap.firefox.firefox-0b1c2d3e-aaaa-bbbb-cccc-1234567890ab.scope'],
      ['desktop', 'org.gnome.Maps', 'app-gnome-org.gnome.Maps-1234.scope'],
    ] as const) {
      const interest = interestIn([kind, value]);
      expect(directories(interest)).toContain(`${MANAGER}/app.slice`);
      const path = `${MANAGER}/app.slice/${group}`;
      expect(concerning(interest, path, `${MANAGER}/app.slice/app-gnome-other-1.scope`)).toEqual([path]);
    }
  });
});
