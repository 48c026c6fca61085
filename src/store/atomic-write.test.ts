import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeAtomically } from './atomic-write.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'atomic-write-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('writeAtomically', () => {
  it('writeAtomically replaces a file, makes missing directories, and leaves nothing else behind', () => {
    const path = join(directory, 'a/b/file');
    writeAtomically(path, Buffer.from('one'), { until: 'disk' });
    writeAtomically(path, Buffer.from('two'), { until: 'cache', mode: 0o640 });
    expect(readFileSync(path, 'utf8')).toBe('two');
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(statSync(join(directory, 'a')).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(directory, 'a/b'))).toEqual(['file']);
  });

  it('writeAtomically takes the longest name a file may have', () => {
    const name = 'x'.repeat(255);
    writeAtomically(join(directory, name), Buffer.from('one'), { until: 'cache' });
    expect(readdirSync(directory)).toEqual([name]);
  });

  it('writeAtomically throws and leaves no temporary file where it cannot put the file in place', () => {
    mkdirSync(join(directory, 'taken/full'), { recursive: true });
    expect(() => writeAtomically(join(directory, 'taken'), Buffer.from('one'), { until: 'cache' })).toThrow(
      /EISDIR|ENOTEMPTY|EEXIST/,
    );
    expect(readdirSync(directory)).toEqual(['taken']);
  });
});
