import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PROGRAM_LAST, PROGRAM_NONE_COUNT, PROGRAM_NONE_FIRST, UPLINK_LAST } from '../plan/reserved.ts';
import { AppIds } from './app-ids.ts';

const numbers = (...inUse: readonly (readonly [string, unknown])[]) => ({ inUse, gone: [] });
/** As it is written, with other parts. */
const stored = (parts: Record<string, unknown>): string =>
  JSON.stringify({ format: 2, epoch: 1, apps: numbers(), uplinks: numbers(), programs: numbers(), ...parts });

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'app-ids-'));
  path = join(directory, 'state/ids.json');
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('AppIds', () => {
  it('AppIds gives the same numbers after a restart, whatever the order of the names', () => {
    const first = new AppIds(path).assign({ apps: ['a', 'b', 'c'], uplinks: ['wifi', 'cell'], programs: [] });
    const second = new AppIds(path).assign({ apps: ['d', 'c', 'b', 'a'], uplinks: ['cell', 'wifi'], programs: [] });
    expect(first.diagnostics).toEqual([]);
    expect([...first.apps.values()]).toEqual([1, 2, 3]);
    expect(Object.fromEntries(second.apps)).toEqual({ a: 1, b: 2, c: 3, d: 4 });
    expect(Object.fromEntries(second.uplinks)).toEqual(Object.fromEntries(first.uplinks));
  });

  it('AppIds gives a name that comes back its old number', () => {
    new AppIds(path).assign({ apps: ['a', 'b'], uplinks: [], programs: [] });
    new AppIds(path).assign({ apps: ['b'], uplinks: [], programs: [] });
    const { apps } = new AppIds(path).assign({ apps: ['c', 'a', 'b'], uplinks: [], programs: [] });
    expect(Object.fromEntries(apps)).toEqual({ a: 1, b: 2, c: 3 });
  });

  it('AppIds gives the numbers of uplinks to the first of them, also where others had them', () => {
    const many = Array.from({ length: UPLINK_LAST }, (_, i) => `u${i}`);
    const ids = new AppIds(path);
    ids.assign({ apps: [], uplinks: many, programs: [] });
    const { uplinks, without } = ids.assign({ apps: [], uplinks: ['best', ...many], programs: [] });
    expect(uplinks.has('best')).toBe(true);
    expect(without.uplinks).toEqual([many.at(-1)]);
    expect(uplinks.size).toBe(UPLINK_LAST);
  });

  it('AppIds has 124 numbers for uplinks, and names those that get none', () => {
    const uplinks = Array.from({ length: 127 }, (_, i) => `u${i}`);
    const assigned = new AppIds(path).assign({ apps: [], uplinks, programs: [] });
    expect(Math.max(...assigned.uplinks.values())).toBe(124);
    expect(assigned.without.uplinks).toEqual(['u124', 'u125', 'u126']);
  });

  it.each([
    ['text that is no JSON', '{', 'damaged'],
    ['an array', '[]', 'damaged'],
    ['nothing', '', 'damaged'],
    ['its format and nothing else', JSON.stringify({ format: 2 }), 'damaged'],
    ['a number twice', stored({ apps: numbers(['a', 1], ['b', 1]) }), 'damaged'],
    ['a number out of range', stored({ uplinks: numbers(['wifi', 126]) }), 'damaged'],
    ['a number that is none', stored({ apps: numbers(['a', '1']) }), 'damaged'],
    ['the daemon’s own number', stored({ programs: numbers(['exec:/a', PROGRAM_LAST + 1]) }), 'damaged'],
    ['no programs', stored({ programs: undefined }), 'damaged'],
    ['no epoch', stored({ epoch: undefined }), 'damaged'],
    ['half an epoch', stored({ epoch: 1.5 }), 'damaged'],
    ['an epoch before all others', stored({ epoch: -2 }), 'damaged'],
    ['what a version before this wrote', stored({ format: 1, programs: undefined, epoch: undefined }), 'version'],
    ['what a later version wrote', stored({ format: 3 }), 'version'],
  ])('AppIds starts anew with a warning when the file holds %s', (_what, text, because) => {
    new AppIds(path).assign({ apps: ['z'], uplinks: [], programs: [] });
    writeFileSync(path, text);
    const assigned = new AppIds(path).assign({ apps: ['a'], uplinks: [], programs: [] });
    expect(Object.fromEntries(assigned.apps)).toEqual({ a: 1 });
    expect(assigned.diagnostics).toMatchObject([
      { severity: 'warning', file: path, message: expect.stringContaining(because) },
    ]);
    expect(new AppIds(path).assign({ apps: ['a'], uplinks: [], programs: [] }).diagnostics).toEqual([]);
  });

  it('AppIds only warns where the file cannot be written, and writes it when it can', () => {
    writeFileSync(join(directory, 'state'), 'a file where a directory should be');
    const ids = new AppIds(path);
    const first = ids.assign({ apps: ['a'], uplinks: [], programs: [] });
    expect(first.apps.get('a')).toBe(1);
    expect(first.diagnostics.at(-1)).toMatchObject({ severity: 'warning', file: path });
    rmSync(join(directory, 'state'));
    mkdirSync(join(directory, 'state'));
    ids.assign({ apps: ['a'], uplinks: [], programs: [] });
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ apps: { inUse: [['a', 1]] } });
  });

  it('AppIds tells whether numbers from before are known', () => {
    expect(new AppIds(path).wereLost).toBe(true);
    new AppIds(path).assign({ apps: ['a'], uplinks: [], programs: [] });
    expect(new AppIds(path).wereLost).toBe(false);
    writeFileSync(path, '{');
    expect(new AppIds(path).wereLost).toBe(true);
  });
});

describe('AppIds for programs', () => {
  const assign = (ids: AppIds, ...programs: readonly string[]) => {
    const { numbers: given, none } = ids.assign({ apps: [], uplinks: [], programs }).programs;
    return { numbers: Object.fromEntries(given), none };
  };

  it('AppIds starts anew with what it finds whole', () => {
    mkdirSync(join(directory, 'state'));
    writeFileSync(path, stored({ epoch: 6, programs: numbers(['exec:/a', 9]) }));
    expect(assign(new AppIds(path), 'exec:/a')).toEqual({ numbers: { 'exec:/a': 9 }, none: PROGRAM_NONE_FIRST + 7 });
  });

  it('AppIds gives programs numbers of their own, the same after a restart and when they come back', () => {
    const ids = new AppIds(path);
    ids.assign({ apps: ['a'], uplinks: ['wifi'], programs: ['exec:/b'] });
    expect(assign(ids, 'script:/c', 'exec:/b').numbers).toEqual({ 'exec:/b': 1, 'script:/c': 2 });
    expect(assign(ids).numbers).toEqual({});
    expect(assign(new AppIds(path), 'exec:/d', 'script:/c', 'exec:/b').numbers).toEqual({
      'exec:/b': 1,
      'script:/c': 2,
      'exec:/d': 3,
    });
  });

  it('AppIds says by another number that nobody names a program, after each change of what is named', () => {
    const ids = new AppIds(path);
    const nones = [['a'], ['a', 'b'], ['b'], []].map((names) => assign(ids, ...names).none);
    expect(new Set(nones).size).toBe(nones.length);
    for (const none of nones) expect(none).toBeGreaterThanOrEqual(PROGRAM_NONE_FIRST);
  });

  it('AppIds keeps that number, and the very object, where nothing is named anew', () => {
    const ids = new AppIds(path);
    const first = ids.assign({ apps: [], uplinks: [], programs: ['a', 'b'] }).programs;
    expect(ids.assign({ apps: ['x'], uplinks: ['y'], programs: ['a', 'b'] }).programs).toBe(first);
    expect(ids.assign({ apps: ['x'], uplinks: ['y'], programs: ['b', 'a'] }).programs).toBe(first);
  });

  it('AppIds says it by another number after each start, the last one having changed nothing', () => {
    const nones = Array.from({ length: 4 }, () => assign(new AppIds(path), 'a').none);
    expect(new Set(nones).size).toBe(nones.length);
  });

  it('AppIds goes through all of these numbers before it takes the first again', () => {
    const ids = new AppIds(path);
    const nones = Array.from({ length: PROGRAM_NONE_COUNT + 1 }, (_, i) => assign(ids, `exec:/${i}`).none);
    const last = PROGRAM_NONE_FIRST + PROGRAM_NONE_COUNT - 1;
    expect(new Set(nones).size).toBe(PROGRAM_NONE_COUNT);
    expect(nones[0]).toBe(nones.at(-1));
    for (const none of nones) {
      expect(none).toBeGreaterThanOrEqual(PROGRAM_NONE_FIRST);
      expect(none).toBeLessThanOrEqual(last);
    }
  });

  it('AppIds gives no program a number with another meaning, and leaves those without one out', () => {
    const programs = Array.from({ length: PROGRAM_LAST + 2 }, (_, i) => `exec:/${i}`);
    const { numbers: given } = new AppIds(path).assign({ apps: [], uplinks: [], programs }).programs;
    expect(given.size).toBe(PROGRAM_LAST);
    expect([Math.min(...given.values()), Math.max(...given.values())]).toEqual([1, PROGRAM_LAST]);
  });
});
