import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ProgramKinds } from './program-kinds.ts';

const ELF = '\x7fELF and so on';
const SCRIPT = '#!/bin/sh\nexit';
let dir: string;
const at = (name: string): string => join(dir, name);

function put(name: string, text: string, mode = 0o755): string {
  writeFileSync(at(name), text);
  chmodSync(at(name), mode);
  return at(name);
}

/** Other content of the same length, inode and modification time: whoever opens the file sees it, and nobody else. */
function changeUnseen(path: string, text: string): void {
  const { size, atimeMs, mtimeMs } = statSync(path);
  expect(text.length).toBe(size);
  writeFileSync(path, text);
  utimesSync(path, atimeMs / 1000, mtimeMs / 1000);
}

/** Whole seconds come back from utimes(2) as they were. */
const settle = (path: string): void => utimesSync(path, 1_700_000_000, 1_700_000_000);

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'program-kinds-'));
});

afterEach(() => {
  rmSync(dir, { recursive: true });
});

describe('ProgramKinds', () => {
  it('ProgramKinds tells executables and scripts by their first bytes, through links', () => {
    const kinds = new ProgramKinds();
    symlinkSync(put('elf', ELF), at('link'));
    expect(kinds.kindOf(at('elf'))).toBe('executable');
    expect(kinds.kindOf(at('link'))).toBe('executable');
    expect(kinds.kindOf(put('script', SCRIPT))).toBe('script');
    expect(kinds.kindOf(put('group-only', SCRIPT, 0o610))).toBe('script');
  });

  it('ProgramKinds takes nothing else for a program', () => {
    const kinds = new ProgramKinds();
    execFileSync('mkfifo', ['-m', '755', at('fifo')]);
    mkdirSync(at('directory'));
    symlinkSync(at('gone'), at('dangling'));
    for (const path of [
      put('library', ELF, 0o644),
      put('text', 'echo #!'),
      put('empty', ''),
      put('short', '#'),
      put('half', '\x7fEL'),
      at('fifo'),
      at('directory'),
      at('dangling'),
      at('gone'),
      `${at('gone')}\0`,
      '/dev/null',
    ])
      expect(kinds.kindOf(path)).toBeUndefined();
  });

  it('ProgramKinds opens a file once as long as it is the same file, and again when it is written to or replaced', () => {
    const kinds = new ProgramKinds();
    const path = put('x', ELF);
    settle(path);
    expect(kinds.kindOf(path)).toBe('executable');
    changeUnseen(path, SCRIPT);
    expect(kinds.kindOf(path)).toBe('executable');
    expect(new ProgramKinds().kindOf(path)).toBe('script');
    chmodSync(path, 0o644);
    expect(kinds.kindOf(path)).toBeUndefined();
    chmodSync(path, 0o755);
    writeFileSync(path, SCRIPT);
    expect(kinds.kindOf(path)).toBe('script');
    settle(put('new', ELF));
    renameSync(at('new'), path);
    expect(kinds.kindOf(path)).toBe('executable');
  });

  it('ProgramKinds remembers a file that is no program as well', () => {
    const kinds = new ProgramKinds();
    const path = put('data', 'just some text');
    settle(path);
    expect(kinds.kindOf(path)).toBeUndefined();
    changeUnseen(path, ELF);
    expect(kinds.kindOf(path)).toBeUndefined();
  });

  it('ProgramKinds forgets the files that it looked at first when there are too many', () => {
    const kinds = new ProgramKinds(2);
    const [first = '', ...others] = ['a', 'b', 'c'].map((name) => put(name, ELF));
    for (const path of [first, ...others]) settle(path);
    for (const path of [first, ...others]) kinds.kindOf(path);
    for (const path of [first, ...others]) changeUnseen(path, SCRIPT);
    expect(others.map((path) => kinds.kindOf(path))).toEqual(['executable', 'executable']);
    expect(kinds.kindOf(first)).toBe('script');
  });
});
