import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseRoot } from './root-option.ts';

const root = { uid: 0, sudoUid: undefined };
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'root-option-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

describe('parseRoot()', () => {
  it('parseRoot() takes a directory', () => {
    expect(parseRoot(`${directory}/`)).toBe(directory);
    expect(parseRoot('/')).toBe('/');
  });

  it('parseRoot() refuses what is relative, not there, or no directory', () => {
    writeFileSync(join(directory, 'file'), '');
    expect(() => parseRoot('srv/try')).toThrow(/absolute: \/.*srv\/try/);
    expect(() => parseRoot('.')).toThrow(/absolute/);
    expect(() => parseRoot(join(directory, 'none'))).toThrow('no such directory');
    expect(() => parseRoot(join(directory, 'file'))).toThrow('no directory');
    expect(() => parseRoot(join(directory, 'file', 'below'))).toThrow('no such directory');
  });

  it.runIf(process.geteuid?.() === 0)('parseRoot() follows nobody else’s files as root', () => {
    chownSync(directory, 1234, 1234);
    expect(() => parseRoot(directory, root)).toThrow('belongs to user 1234');
    expect(() => parseRoot(directory, { ...root, sudoUid: 77 })).toThrow('belongs to user 1234');
    expect(parseRoot(directory, { ...root, sudoUid: 1234 })).toBe(directory);
    expect(parseRoot(directory, { uid: 77, sudoUid: undefined })).toBe(directory);
  });
});
