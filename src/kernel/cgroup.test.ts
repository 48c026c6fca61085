import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cgroup2MountDir, cgroupTreeAt, MAX_CGROUP_DEPTH, openCgroupTree } from './cgroup.ts';

const V1_LINE = '32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu';
let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pointsman-cgroup-'));
});

afterEach(() => {
  rmSync(dir, { recursive: true });
});

describe('cgroup2MountDir', () => {
  it('cgroup2MountDir finds the unified mount of a hybrid layout', () => {
    const line = '41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw';
    expect(cgroup2MountDir(`${V1_LINE}\n${line}\n`)).toBe('/sys/fs/cgroup/unified');
  });

  it('cgroup2MountDir reads octal escapes and optional fields', () => {
    const line = '41 31 0:38 / /mnt/my\\040cg\\134x rw shared:4 master:1 - cgroup2 none rw';
    expect(cgroup2MountDir(line)).toBe('/mnt/my cg\\x');
  });

  it('cgroup2MountDir prefers a mount of the whole hierarchy to a part of it', () => {
    const lines = ['40 31 0:38 /part /bound rw - cgroup2 x rw', '41 31 0:38 / /whole rw - cgroup2 x rw'];
    expect(cgroup2MountDir(lines.join('\n'))).toBe('/whole');
    expect(cgroup2MountDir(lines[0] ?? '')).toBe('/bound');
  });

  it('cgroup2MountDir is undefined without cgroup2', () => {
    expect(cgroup2MountDir(`${V1_LINE}\n`)).toBeUndefined();
  });
});

describe('cgroupTreeAt', () => {
  it('cgroupTreeAt translates between ids and paths', () => {
    mkdirSync(join(dir, 'user.slice/a.service'), { recursive: true });
    const tree = cgroupTreeAt(dir);
    const id = statSync(join(dir, 'user.slice/a.service'), { bigint: true }).ino;
    expect(tree.idOfPath('/user.slice/a.service')).toBe(id);
    expect(tree.pathOfId(id)).toBe('/user.slice/a.service');
    expect(tree.idOfPath('/none')).toBeUndefined();
    expect(tree.pathOfId(1n)).toBeUndefined();
  });

  it('cgroupTreeAt walks parents before children with their levels, files left out', () => {
    mkdirSync(join(dir, 'b/c'), { recursive: true });
    mkdirSync(join(dir, 'a'));
    writeFileSync(join(dir, 'cgroup.procs'), '');
    const seen = [...cgroupTreeAt(dir).walk()].map(({ path, level }) => `${level} ${path}`);
    expect(seen).toEqual(['0 /', '1 /a', '1 /b', '2 /b/c']);
  });

  it('cgroupTreeAt does not walk deeper than the bound', () => {
    mkdirSync(join(dir, 'd/'.repeat(MAX_CGROUP_DEPTH + 5)), { recursive: true });
    expect([...cgroupTreeAt(dir).walk()].at(-1)?.level).toBe(MAX_CGROUP_DEPTH);
  });
});

describe('openCgroupTree', () => {
  it('openCgroupTree reads the mount table it is given', () => {
    writeFileSync(join(dir, 'mountinfo'), `41 31 0:38 / ${dir} rw - cgroup2 x rw\n`);
    expect(openCgroupTree(join(dir, 'mountinfo'))?.mountDir).toBe(dir);
  });
});
