import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileLooks } from './file-looks.ts';
import { deviceText, fileStatOf, isDirectory, isRegularFile } from './file-stat.ts';

const LAST_STANDARD_STREAM = 2;

let directory: string;
let looks: FileLooks;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'file-looks-'));
  looks = new FileLooks();
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('FileLooks', () => {
  it('FileLooks sees of a file what stat(2) says, at the end of all links', () => {
    const path = join(directory, 'a');
    writeFileSync(path, 'text');
    symlinkSync('a', join(directory, 'link'));
    const expected = fileStatOf(statSync(path, { bigint: true }));
    expect(looks.stat(path)).toMatchObject(expected);
    expect(looks.stat(join(directory, 'link'))).toMatchObject(expected);
    expect(looks.realPath(join(directory, 'link'))?.toString()).toBe(realpathSync(path));
    expect(isRegularFile(expected)).toBe(true);
    const { dev } = statSync(path);
    expect(deviceText(expected.device)).toBe(`${dev >> 8}:${dev & 0xff}`);
  });

  it('FileLooks leaves it to others to read what is here', () => {
    const path = join(directory, 'a');
    writeFileSync(path, 'text');
    expect(looks.contentFromElsewhere(path, 100)).toBe('here');
    expect(looks.namesFromElsewhere(directory, 100)).toBe('here');
    expect(looks.contentFromElsewhere(join(directory, 'none'), 100)).toBe('here');
  });

  it('FileLooks tells what is not there, whether the kernel knows that already or has to look', () => {
    for (const path of [join(directory, 'none'), join(directory, 'none/below'), '', 'a\0b']) {
      expect(looks.stat(path)).toBeUndefined();
      expect(looks.stat(path)).toBeUndefined();
      expect(looks.realPath(path)).toBeUndefined();
    }
    symlinkSync('nowhere', join(directory, 'dangling'));
    symlinkSync('loop', join(directory, 'loop'));
    expect(looks.stat(join(directory, 'dangling'))).toBeUndefined();
    expect(looks.stat(join(directory, 'loop'))).toBeUndefined();
    expect(looks.isLate(join(directory, 'loop'))).toBe(false);
    expect(looks.late()).toEqual([]);
  });

  it('FileLooks sees what has come since, and what has gone', () => {
    const path = join(directory, 'a');
    expect(looks.answers(path)).toBe(false);
    mkdirSync(path);
    const found = looks.stat(path);
    expect(found !== undefined && isDirectory(found)).toBe(true);
    rmSync(path, { recursive: true });
    expect(looks.answers(path)).toBe(false);
  });

  it('FileLooks looks where the kernel’s own links lead, and reads what it makes of a process', () => {
    const exe = `/proc/${process.pid}/exe`;
    expect(looks.statByKernelLink(exe)).toMatchObject(fileStatOf(statSync(exe, { bigint: true })));
    // By the looking thread: such a link is never at hand.
    expect(looks.stat(exe)).toMatchObject(fileStatOf(statSync(exe, { bigint: true })));
    expect(looks.startOf(`/proc/${process.pid}/cmdline`, 4096)).toContain('\0');
    expect(looks.startOf('/proc/0/cmdline', 4096)).toBeUndefined();
    expect(looks.statAtProcessPath(`/proc/${process.pid}`, '/')?.inode).toBe(statSync('/', { bigint: true }).ino);
  });

  it('FileLooks reads behind a descriptor without opening anything, and only what was meant', () => {
    const path = join(directory, 'a');
    writeFileSync(path, 'some text');
    const fd = openSync(path, 'r');
    const named = openSync(directory, 'r');
    rmSync(path);
    try {
      expect(looks.startOfDescriptor(fd, 4)).toBe('some');
      expect(looks.startOfDescriptor(fd, 100)).toBe('some text');
      expect(looks.startOfDescriptor(named, 4)).toBeUndefined();
    } finally {
      for (const open of [fd, named]) closeSync(open);
    }
    expect(looks.startOfDescriptor(fd, 4)).toBeUndefined();
  });

  it('FileLooks loses no look, however many a thread has had', () => {
    const path = join(directory, 'a');
    writeFileSync(path, '#!/bin/sh');
    const fd = openSync(path, 'r');
    try {
      const lost = Array.from({ length: 10_000 }, () => looks.startOfDescriptor(fd, 256)).filter(
        (text) => text !== '#!/bin/sh',
      );
      expect(lost).toEqual([]);
    } finally {
      closeSync(fd);
    }
  });

  it('FileLooks keeps no pipe open in its threads: whoever waits for the end of one, as uv_spawn() does, would wait for ever', () => {
    const before = new Set(readdirSync('/proc/self/task'));
    expect(looks.startOf('/proc/self/cmdline', 1)).toBeDefined();
    const own = readdirSync('/proc/self/task').filter((task) => !before.has(task));
    expect(own).toHaveLength(1);
    expect(linksOf(own[0] ?? '').filter(([fd, link]) => fd > LAST_STANDARD_STREAM && link.startsWith('pipe:'))).toEqual(
      [],
    );
  });
});

/** Each descriptor of a thread, and what it is. */
function linksOf(task: string): [number, string][] {
  const directory = `/proc/self/task/${task}/fd`;
  return readdirSync(directory).map((fd) => [Number(fd), readlinkSync(`${directory}/${fd}`)]);
}
