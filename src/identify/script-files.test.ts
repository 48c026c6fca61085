import { describe, expect, it } from 'vitest';
import type { FileIdentity } from '../kernel/file-identity.ts';
import { MISSED_FILE_MS, ScriptFiles } from './script-files.ts';

const file = (inode: number): FileIdentity => ({
  device: 1n,
  inode: BigInt(inode),
  uid: 0n,
  birthNs: 0n,
  modifiedNs: 0n,
});

function world(files: Readonly<Record<string, number>>): {
  readonly disk: Map<string, number>;
  readonly scripts: ScriptFiles;
  readonly looked: string[];
  nowMs: number;
} {
  const disk = new Map(Object.entries(files));
  const looked: string[] = [];
  const fileAt = (path: string): FileIdentity | undefined => {
    looked.push(path);
    const inode = disk.get(path);
    return inode === undefined ? undefined : file(inode);
  };
  const scripts = new ScriptFiles(['/a', '/b', '/gone'], { fileAt, monotonicMs: () => made.nowMs });
  const made = { disk, scripts, looked, nowMs: 0 };
  return made;
}

describe('ScriptFiles', () => {
  it('ScriptFiles.pathOf() finds listed files, and looks once at one that it knows', () => {
    const { scripts, looked } = world({ '/a': 1, '/b': 2 });
    expect([1, 2, 3].map((inode) => scripts.pathOf(file(inode)))).toEqual(['/a', '/b', undefined]);
    looked.length = 0;
    expect(scripts.pathOf(file(2))).toBe('/b');
    expect(looked).toEqual(['/b']);
  });

  it('ScriptFiles.pathOf() knows a file that replaced another at once, and the old one no more', () => {
    const { scripts, disk } = world({ '/a': 1 });
    expect(scripts.pathOf(file(1))).toBe('/a');
    disk.set('/a', 4);
    expect(scripts.pathOf(file(4))).toBe('/a');
    expect(scripts.pathOf(file(1))).toBeUndefined();
  });

  it('ScriptFiles.pathOf() looks again at a file that was none after a while, and not before', () => {
    const made = world({ '/a': 1 });
    expect(made.scripts.pathOf(file(9))).toBeUndefined();
    made.disk.set('/b', 9);
    made.looked.length = 0;
    made.nowMs = MISSED_FILE_MS - 1;
    expect(made.scripts.pathOf(file(9))).toBeUndefined();
    expect(made.looked).toEqual([]);
    made.nowMs = MISSED_FILE_MS;
    expect(made.scripts.pathOf(file(9))).toBe('/b');
  });

  it('ScriptFiles.pathOf() takes the first of two names of one file', () => {
    const { scripts } = world({ '/a': 1, '/b': 1 });
    expect(scripts.pathOf(file(1))).toBe('/a');
  });
});
