import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileStatOf } from './file-stat.ts';
import { ARGUMENTS_LIMIT_BYTES, COMMAND_LINE_LIMIT_BYTES, openProc } from './proc.ts';

const NO_SUCH_PID = 4_194_999;
const STAT_TAIL = '50 50 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 987654 0 0';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pointsman-proc-'));
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

function fakeProcess(
  pid: number,
  files: Readonly<Record<string, string>>,
  links: Readonly<Record<string, string>> = {},
): void {
  mkdirSync(join(root, `${pid}`, 'fd'), { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, `${pid}`, name), text);
  for (const [name, target] of Object.entries(links)) symlinkSync(target, join(root, `${pid}`, name));
}

describe('openProc', () => {
  it('openProc.stat is not misled by a process that calls itself ") S 1 2"', () => {
    fakeProcess(50, { stat: `50 (x) S 1 2) S 49 ${STAT_TAIL}` });
    expect(openProc(root).stat(50)).toEqual({ parentPid: 49, startTimeTicks: 987654 });
  });

  it('openProc.stat is undefined for text that is cut short', () => {
    fakeProcess(50, { stat: '50 (x) S 49' });
    expect(openProc(root).stat(50)).toBeUndefined();
  });

  it('openProc.executable strips the mark of a replaced file, and only at the end', () => {
    fakeProcess(1, {}, { exe: '/usr/bin/mail (deleted)' });
    fakeProcess(2, {}, { exe: '/opt/a (deleted) b' });
    expect(openProc(root).executable(1)).toBe('/usr/bin/mail');
    expect(openProc(root).executable(2)).toBe('/opt/a (deleted) b');
  });

  it('openProc.uid is the effective uid', () => {
    fakeProcess(50, { status: 'Name:\tx\nUid:\t1000\t33\t1001\t1002\nGid:\t0\t0\t0\t0\n' });
    expect(openProc(root).uid(50)).toBe(33);
  });

  it('openProc.cgroup is the line of cgroup2 among those of version 1', () => {
    fakeProcess(50, { cgroup: '4:memory:/other\n1:name=systemd:/x\n0::/user.slice/a b.scope\n' });
    fakeProcess(51, { cgroup: '4:memory:/other\n' });
    fakeProcess(52, { cgroup: '0::/gone.scope (deleted)\n' });
    const proc = openProc(root);
    expect([50, 51, 52].map((pid) => proc.cgroup(pid))).toEqual(['/user.slice/a b.scope', undefined, '/gone.scope']);
  });

  it('openProc.commandLine splits arguments, keeps empty ones and is bounded', () => {
    fakeProcess(50, { cmdline: 'curl\0\0https://example.org\0' });
    fakeProcess(51, { cmdline: 'x'.repeat(3 * COMMAND_LINE_LIMIT_BYTES) });
    fakeProcess(52, { cmdline: '' });
    const proc = openProc(root);
    expect(proc.commandLine(50)).toEqual(['curl', '', 'https://example.org']);
    expect(proc.commandLine(51)?.[0]).toHaveLength(COMMAND_LINE_LIMIT_BYTES);
    expect(proc.commandLine(52)).toEqual([]);
  });

  it('openProc.exactArguments keeps bytes that are no text, empty arguments, and leaves out one that is cut', () => {
    fakeProcess(50, { cmdline: '' });
    writeFileSync(join(root, '50', 'cmdline'), Buffer.from('python3\0\0/a\xff\n\0', 'latin1'));
    fakeProcess(51, { cmdline: `java\0${'x'.repeat(ARGUMENTS_LIMIT_BYTES)}\0` });
    fakeProcess(52, { cmdline: '' });
    const proc = openProc(root);
    expect(proc.exactArguments(50)).toEqual(['python3', '', '/a\xff\n']);
    expect(proc.exactArguments(51)).toEqual(['java']);
    expect(proc.exactArguments(52)).toEqual([]);
  });

  it('openProc.fileAt is the file that a path names for the process', () => {
    const here = join(root, 'here');
    mkdirSync(here);
    writeFileSync(join(here, 'x.py'), '');
    fakeProcess(50, {}, { cwd: here, root: '/' });
    const proc = openProc(root);
    const file = fileStatOf(statSync(join(here, 'x.py'), { bigint: true }));
    expect(proc.fileAt(50, 'x.py')).toEqual(file);
    expect(proc.fileAt(50, join(here, 'x.py'))).toEqual(file);
    expect(proc.fileAt(51, 'x.py')).toBeUndefined();
  });

  it('openProc.socketInodes reads sockets and passes over files, highest descriptor first', () => {
    const links = {
      'fd/0': '/dev/null',
      'fd/9': 'socket:[77]',
      'fd/10': 'socket:[4026531840]',
      'fd/11': 'anon_inode:[eventpoll]',
    };
    fakeProcess(50, {}, links);
    const proc = openProc(root);
    expect(proc.socketInodes(50)).toEqual([4026531840, 77]);
    expect(proc.socketInode(50, 9)).toBe(77);
    expect(proc.socketInode(50, 0)).toBeUndefined();
    expect([9, 0, 12].map((descriptor) => proc.probeSocketInode(50, descriptor))).toEqual([77, undefined, undefined]);
  });

  it('openProc.pids lists processes and nothing else', () => {
    fakeProcess(50, {});
    fakeProcess(7, {});
    mkdirSync(join(root, 'sys'));
    expect(openProc(root).pids().sort()).toEqual([50, 7]);
  });

  it('openProc answers undefined for a process that does not exist', () => {
    const proc = openProc();
    const reads = [
      proc.stat,
      proc.executable,
      proc.uid,
      proc.directoryUid,
      proc.cgroup,
      proc.commandLine,
      proc.exactArguments,
      proc.descriptors,
      proc.socketInodes,
    ];
    expect(reads.map((read) => read(NO_SUCH_PID))).toEqual(reads.map(() => undefined));
  });

  it('openProc reads a living child and then its absence', async () => {
    const proc = openProc();
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000); console.log(1)'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const pid = child.pid ?? 0;
    await once(child.stdout, 'data');
    expect(proc.executable(pid)).toBe(proc.executable(process.pid));
    expect(proc.stat(pid)?.parentPid).toBe(process.pid);
    expect(proc.commandLine(pid)?.[1]).toBe('-e');
    expect(proc.uid(pid)).toBe(process.geteuid?.());
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(proc.stat(pid)).toBeUndefined();
  });

  it('openProc.socketInodes gains an inode when this process opens a socket', async () => {
    const proc = openProc();
    const before = new Set(proc.socketInodes(process.pid));
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    expect(proc.socketInodes(process.pid)?.filter((inode) => !before.has(inode))).toHaveLength(1);
    server.close();
  });

  it('openProc.netTable reads this namespace, and nothing for a table that is not there', () => {
    expect(openProc().netTable('raw')).toContain('local_address');
    expect(openProc().netTable('no-such-table')).toBe('');
  });
});
