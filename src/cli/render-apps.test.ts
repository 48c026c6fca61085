import { describe, expect, it } from 'vitest';
import type { AppsReport } from '../api/apps.ts';
import { choosePrograms, renderApps } from './render-apps.ts';

const nothing = { toldBy: [], files: [] };
const report: AppsReport = {
  programs: [
    {
      app: 'org.example.Mail',
      executables: ['/usr/bin/mail', '/usr/bin/python3.11'],
      toldBy: ['exec', 'script'],
      processes: 6,
      pids: [10, 11, 12, 13, 14, 15],
      sockets: 4,
      files: ['/etc/pointsman/policies/mail.yaml'],
    },
    {
      app: 'idle',
      executables: ['/usr/bin/idle'],
      toldBy: ['user'],
      processes: 1,
      pids: [20],
      sockets: 0,
      files: ['/i'],
    },
    { ...nothing, executables: ['/usr/bin/curl'], processes: 1, pids: [30], sockets: 1 },
    { ...nothing, executables: ['/usr/bin/forged'], processes: 1, pids: [31], sockets: 1, note: 'it is another file' },
    { ...nothing, executables: ['/usr/bin/sleep'], processes: 2, pids: [32, 33], sockets: 0 },
    { ...nothing, executables: [], processes: 1, pids: [34], sockets: 0 },
  ],
  elsewhere: 1,
};

describe('renderApps', () => {
  it('renderApps shows applications that run and programs with sockets, and counts the rest', () => {
    expect(renderApps(report, { all: false, unmatched: false, colour: false, root: '/' })).toBe(
      `APPLICATION       TOLD BY             PROCESSES            SOCKETS  FILES
org.example.Mail  executable, script  6 (10 11 12 13 ...)  4        policies/mail.yaml
idle              user                1 (20)               0        /i
/usr/bin/curl     no policy           1 (30)               1
/usr/bin/forged   it is another file  1 (31)               1

FILES are relative to /etc/pointsman.
2 programs without a policy: the system default holds.
2 programs without a policy and without an internet socket: see --all.
1 process in other network namespaces, which this daemon does not govern.
`,
    );
  });

  it('renderApps shows what no policy is about, and on demand also what has no socket', () => {
    const unmatched = renderApps(report, { all: false, unmatched: true, colour: false, root: '/' });
    expect(unmatched).not.toContain('org.example.Mail');
    expect(unmatched).toContain('/usr/bin/curl');
    const all = renderApps(report, { all: true, unmatched: true, colour: false, root: '/' });
    expect(all).toContain('/usr/bin/sleep');
    expect(all).toContain('(not readable)');
    expect(all).not.toContain('see --all');
  });

  it('renderApps says so where there is nothing to show', () => {
    const empty = { programs: [], elsewhere: 0 };
    expect(renderApps(empty, { all: false, unmatched: true, colour: false, root: '/' })).toBe(
      'Every program with an internet socket has a policy.\n',
    );
    expect(renderApps(empty, { all: false, unmatched: false, colour: false, root: '/' })).toMatch(/^No program/);
  });

  it('renderApps lets no control sequence of a path reach the terminal, and colours only where it may', () => {
    const forged = { ...nothing, executables: ['/tmp/\u001b[2J\nx'], processes: 1, pids: [1], sockets: 1 };
    const text = renderApps(
      { programs: [forged], elsewhere: 0 },
      { all: false, unmatched: false, colour: false, root: '/' },
    );
    expect(text).not.toMatch(/[^\P{Cc}\n]/u);
    expect(text.split('\n')).toHaveLength(5);
    expect(renderApps(report, { all: false, unmatched: false, colour: true, root: '/' })).toContain('\u001b[');
  });
});

describe('choosePrograms', () => {
  it('choosePrograms keeps the rest of the report', () => {
    const chosen = choosePrograms({ ...report, incomplete: 'x' }, { all: false, unmatched: true });
    expect(chosen).toMatchObject({ elsewhere: 1, incomplete: 'x' });
    expect(chosen.programs.map(({ executables }) => executables[0])).toEqual(['/usr/bin/curl', '/usr/bin/forged']);
  });
});
