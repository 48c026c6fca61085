import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { programPath, whoIs } from './named-program.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'named-program-'));
  writeFileSync(join(directory, 'example-curl'), '');
  chmodSync(join(directory, 'example-curl'), 0o755);
  writeFileSync(join(directory, 'example-data'), '');
  mkdirSync(join(directory, 'example-directory'));
});

afterEach(() => rmSync(directory, { recursive: true }));

describe('programPath()', () => {
  it('programPath() finds a program as a shell does, and takes a path as it is', () => {
    expect(programPath('example-curl', `relative:${directory}`)).toBe(join(directory, 'example-curl'));
    expect(programPath('/usr/bin/none-of-this-name', directory)).toBe('/usr/bin/none-of-this-name');
  });

  it.each(['example-data', 'example-directory'])('programPath() takes no %s for a program', (word) => {
    expect(() => programPath(word, directory)).toThrow(`there is no program "${word}" in PATH`);
  });

  it('programPath() names the program that was probably meant', () => {
    expect(() => programPath('example-crul', directory)).toThrow(
      expect.objectContaining({ hint: 'did you mean example-curl?' }),
    );
  });
});

describe('whoIs()', () => {
  it.each([
    ['4711', { pid: 4711 }],
    ['/usr/bin/x', { exe: '/usr/bin/x' }],
    ['org.example.Mail', { app: 'org.example.Mail' }],
  ])('whoIs() reads %s', (word, who) => {
    expect(whoIs(word, directory)).toEqual(who);
  });

  it('whoIs() takes a program of this name first, and says where there is nobody', () => {
    expect(whoIs('example-curl', directory)).toEqual({ exe: join(directory, 'example-curl') });
    expect(() => whoIs('example-crul', directory)).toThrow('there is no program "example-crul" in PATH');
  });
});
