import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppIds } from './app-ids.ts';

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

  it('AppIds has 124 numbers for uplinks, and names those that get none', () => {
    const uplinks = Array.from({ length: 127 }, (_, i) => `u${i}`);
    const assigned = new AppIds(path).assign({ apps: [], uplinks, programs: [] });
    expect(Math.max(...assigned.uplinks.values())).toBe(124);
    expect(assigned.without.uplinks).toEqual(['u124', 'u125', 'u126']);
  });

  it.each([
    ['text that is no JSON', '{'],
    ['an array', '[]'],
    ['nothing', ''],
    ['another format', JSON.stringify({ format: 2 })],
    [
      'a number twice',
      JSON.stringify({
        format: 1,
        apps: {
          inUse: [
            ['a', 1],
            ['b', 1],
          ],
          gone: [],
        },
        uplinks: { inUse: [], gone: [] },
      }),
    ],
    [
      'a number out of range',
      JSON.stringify({ format: 1, apps: { inUse: [], gone: [] }, uplinks: { inUse: [['wifi', 126]], gone: [] } }),
    ],
    [
      'a number that is none',
      JSON.stringify({ format: 1, apps: { inUse: [['a', '1']], gone: [] }, uplinks: { inUse: [], gone: [] } }),
    ],
  ])('AppIds starts anew with a warning when the file holds %s', (_what, text) => {
    new AppIds(path).assign({ apps: ['z'], uplinks: [], programs: [] });
    writeFileSync(path, text);
    const assigned = new AppIds(path).assign({ apps: ['a'], uplinks: [], programs: [] });
    expect(Object.fromEntries(assigned.apps)).toEqual({ a: 1 });
    expect(assigned.diagnostics).toMatchObject([{ severity: 'warning', file: path }]);
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
