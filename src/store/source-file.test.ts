import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { errorText, listSourceFiles, MAX_FILE_READ, readSourceFile } from './source-file.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'source-file-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const textOf = (path: string): string => {
  const file = readSourceFile(path);
  return file.kind === 'read' ? new TextDecoder().decode(file.bytes) : file.kind;
};

describe('readSourceFile', () => {
  it('readSourceFile reads a file whose size says 0', () => {
    expect(textOf('/proc/self/status')).toMatch(/^Name:/);
    expect(textOf('/proc/self/status')).toMatch(/\nPid:\t\d+\n/);
  });

  it('readSourceFile reads at most one byte more than a policy file may have', () => {
    const path = join(directory, 'a');
    writeFileSync(path, 'x'.repeat(MAX_FILE_READ + 10));
    expect(textOf(path)).toHaveLength(MAX_FILE_READ);
  });

  it('readSourceFile says `unchanged` only of a file that had settled when it was read', () => {
    const path = join(directory, 'a');
    writeFileSync(path, 'x');
    const file = readSourceFile(path);
    if (file.kind !== 'read') throw new Error(file.kind);
    expect(readSourceFile(path, { known: { ...file.stamp, settled: false } }).kind).toBe('read');
    expect(readSourceFile(path, { known: { ...file.stamp, settled: true } }).kind).toBe('unchanged');
    expect(readSourceFile(path, { known: { ...file.stamp, settled: true, size: 2n } }).kind).toBe('read');
  });

  it('readSourceFile tells a file that is not there from one that cannot be reached', () => {
    writeFileSync(join(directory, 'a'), '');
    expect(readSourceFile(join(directory, 'b')).kind).toBe('absent');
    expect(readSourceFile(join(directory, 'a/b')).kind).toBe('absent');
    expect(readSourceFile(join(directory, 'x'.repeat(300)))).toEqual({
      kind: 'refused',
      code: 'unreadable-file',
      because: 'name too long (ENAMETOOLONG)',
    });
    expect(readSourceFile(directory)).toMatchObject({ kind: 'refused', because: 'a directory, not a file' });
  });
});

describe('listSourceFiles', () => {
  it('listSourceFiles sorts by code unit', () => {
    for (const name of ['b.yaml', 'B.yaml', 'a.yml', 'é.yaml']) writeFileSync(join(directory, name), '');
    expect(listSourceFiles(directory)).toEqual({
      kind: 'listed',
      names: ['B.yaml', 'a.yml', 'b.yaml', 'é.yaml'],
      excess: 0,
    });
  });

  it('listSourceFiles finds nothing in a directory that is not there', () => {
    expect(listSourceFiles(join(directory, 'none'))).toEqual({ kind: 'listed', names: [], excess: 0 });
  });
});

describe('errorText', () => {
  it('errorText leaves the path and the call out', () => {
    const error = Object.assign(new Error("EACCES: permission denied, open '/x, y'"), { code: 'EACCES' });
    expect(errorText(error)).toBe('permission denied (EACCES)');
    expect(errorText(new Error('something else'))).toBe('something else');
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    expect(errorText(full)).toBe('the disk is full (ENOSPC)');
  });
});
