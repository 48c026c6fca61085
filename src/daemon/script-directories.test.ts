import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import { ScriptDirectories } from './script-directories.ts';

const SETTLED_MS = 50;

let dir: string;
let told: string[] = [];
let candidates: string[] = [];
let directories: ScriptDirectories;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pointsman-scripts-'));
  told = [];
  candidates = [];
  directories = new ScriptDirectories(
    {
      onChange: (paths) => told.push(...paths),
      onCandidate: (path) => candidates.push(path),
    },
    testBackground,
  );
});

afterEach(() => {
  directories[Symbol.dispose]();
  rmSync(dir, { recursive: true });
});

/** Watches again, as after a change, and asks whether `act` is told. */
async function isTold(path: string, act: () => void): Promise<boolean> {
  directories.watch(new Set([path, '/no/such/script']));
  await delay(SETTLED_MS);
  told = [];
  act();
  return await vi
    .waitFor(() => expect(new Set(told)).toEqual(new Set([path])), { timeout: 500, interval: 5 })
    .then(
      () => true,
      () => false,
    );
}

describe('ScriptDirectories', () => {
  it('ScriptDirectories tells of a listed file that is replaced, written and removed, and of no other file', async () => {
    const path = join(dir, 'x.py');
    writeFileSync(path, '');
    writeFileSync(join(dir, 'new'), '');
    expect(await isTold(path, () => renameSync(join(dir, 'new'), path))).toBe(true);
    expect(await isTold(path, () => writeFileSync(path, 'x'))).toBe(true);
    expect(await isTold(path, () => writeFileSync(join(dir, 'other'), 'x'))).toBe(false);
    expect(await isTold(path, () => unlinkSync(path))).toBe(true);
  });

  it('ScriptDirectories tells of a script whose directories are missing, step by step', async () => {
    const path = join(dir, 'a/b/x.py');
    expect(await isTold(path, () => mkdirSync(join(dir, 'a')))).toBe(true);
    expect(await isTold(path, () => mkdirSync(join(dir, 'a/b')))).toBe(true);
    expect(await isTold(path, () => writeFileSync(path, ''))).toBe(true);
  });

  it('ScriptDirectories tells of the file to which links lead, and of a directory that was replaced', async () => {
    mkdirSync(join(dir, 'real'));
    mkdirSync(join(dir, 'bin'));
    writeFileSync(join(dir, 'real/x.py'), '');
    symlinkSync('../real/x.py', join(dir, 'bin/x'));
    const path = join(dir, 'bin/x');
    expect(await isTold(path, () => writeFileSync(join(dir, 'real/x.py'), 'x'))).toBe(true);
    expect(await isTold(path, () => renameSync(join(dir, 'real'), join(dir, 'old')))).toBe(true);
    mkdirSync(join(dir, 'real'));
    writeFileSync(join(dir, 'real/x.py'), '');
    expect(await isTold(path, () => writeFileSync(join(dir, 'real/x.py'), 'x'))).toBe(true);
  });

  it('ScriptDirectories tells of files that are about to become a listed one', async () => {
    directories.watch(new Set([join(dir, 'x.py')]));
    await delay(SETTLED_MS);
    for (const name of ['x.py.dpkg-new', 'other', '.x.py.a1']) writeFileSync(join(dir, name), '');
    const expected = new Set(['x.py.dpkg-new', '.x.py.a1'].map((name) => join(dir, name)));
    await vi.waitFor(() => expect(new Set(candidates)).toEqual(expected));
    expect(told).toEqual([]);
  });
});
