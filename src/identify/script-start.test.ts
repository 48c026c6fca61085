import { describe, expect, it } from 'vitest';
import type { FileIdentity } from '../kernel/file-identity.ts';
import { type OpenerProc, scriptStart } from './script-start.ts';

const PID = 50;
const LISTED = '/opt/app/x.py';
const file = (inode: number): FileIdentity => ({
  device: 1n,
  inode: BigInt(inode),
  uid: 0n,
  birthNs: 0n,
  modifiedNs: 0n,
});

/** Files of the pretended machine, by the paths under which the process would find them. */
const FILES: Readonly<Record<string, number>> = {
  [LISTED]: 1,
  'x.py': 1,
  link: 1,
  '/dev/fd/3': 1,
  'y.py': 2,
  'server/index.js': 1,
  server: 3,
  '/usr/bin/awk': 10,
  '/usr/bin/gawk': 10,
  '/usr/bin/jq': 11,
  '/usr/bin/cat': 12,
};

interface Opener {
  readonly executable: string;
  readonly words: string;
  /** `late`: nobody says in time. */
  readonly start?: string;
  readonly startTimes?: readonly number[];
}

function startOf({ executable, words, start = '#!/usr/bin/env python3\n', startTimes = [7, 7] }: Opener) {
  const times = [...startTimes];
  const fileAt = (path: string): FileIdentity | undefined => {
    const inode = FILES[path];
    return inode === undefined ? undefined : file(inode);
  };
  const proc: OpenerProc = {
    stat: () => {
      const startTimeTicks = times.shift();
      return startTimeTicks === undefined ? undefined : { parentPid: 1, startTimeTicks };
    },
    executable: () => executable,
    executableFile: () => fileAt(executable),
    exactArguments: () => words.split(' '),
    fileAt: (_, path) => fileAt(path),
  };
  return scriptStart(proc, PID, { file: file(1), path: LISTED, start: start === 'late' ? undefined : start });
}

const PYTHON = '/usr/bin/python3.11';

describe('scriptStart()', () => {
  it.each([
    [PYTHON, `python3 ${LISTED}`],
    [PYTHON, 'python3 -u x.py y.py'],
    [PYTHON, '/usr/bin/python3 link'],
    [PYTHON, 'python3 /dev/fd/3'],
    [PYTHON, 'anything x.py'],
    ['/usr/bin/node', 'node server'],
  ])('scriptStart() is when the process started: %s as %s', (executable, words) => {
    expect(startOf({ executable, words })).toBe(7);
  });

  it.each([
    ['/usr/bin/cat', `cat ${LISTED}`],
    ['/usr/bin/cat', 'python3 x.py'],
    ['/usr/bin/vim.basic', 'vim x.py'],
    [PYTHON, 'python3 y.py x.py'],
    [PYTHON, 'python3 -m pdb x.py'],
    [PYTHON, 'python3'],
    [PYTHON, 'python3 no-such.py'],
    ['/usr/bin/bash', 'bash -c cat x.py'],
  ])('scriptStart() is none: %s as %s', (executable, words) => {
    expect(startOf({ executable, words })).toBeUndefined();
  });

  it('scriptStart() lets a shell find the script by PATH, and others not', () => {
    // Resolves nowhere here, as the name is looked for in directories that only the shell knows.
    const words = (name: string): string => `${name} x.py`;
    const withoutLocal = (executable: string, name: string) => {
      const proc: OpenerProc = {
        stat: () => ({ parentPid: 1, startTimeTicks: 7 }),
        executable: () => executable,
        executableFile: () => undefined,
        exactArguments: () => words(name).split(' '),
        fileAt: () => undefined,
      };
      return scriptStart(proc, PID, { file: file(1), path: LISTED, start: '' });
    };
    expect(withoutLocal('/usr/bin/bash', 'bash')).toBe(7);
    expect(withoutLocal(PYTHON, 'python3')).toBeUndefined();
  });

  it.each([
    ['/usr/bin/gawk', 'awk -f x.py arg', '#!/usr/bin/awk -f\n'],
    ['/usr/bin/jq', 'jq -r -f x.py', '#!/usr/bin/env -S jq -r -f\n'],
    ['/usr/bin/cat', '/usr/bin/cat x.py', '#!/usr/bin/cat\n'],
  ])('scriptStart() believes the script’s own first line: %s as %s', (executable, words, start) => {
    expect(startOf({ executable, words, start })).toBe(7);
  });

  it.each([
    ['another executable', '/usr/bin/cat', 'awk -f x.py', '#!/usr/bin/awk -f\n'],
    ['not its arguments', '/usr/bin/gawk', 'awk -e x.py', '#!/usr/bin/awk -f\n'],
    ['another place', '/usr/bin/gawk', 'awk -f y.py x.py', '#!/usr/bin/awk -f\n'],
    ['no first line', '/usr/bin/gawk', 'awk -f x.py', 'BEGIN {}\n'],
  ])('scriptStart() is none where the first line names %s', (_, executable, words, start) => {
    expect(startOf({ executable, words, start })).toBeUndefined();
  });

  it('scriptStart() is none for a process whose number went to another meanwhile, or that has ended', () => {
    const opener = { executable: PYTHON, words: 'python3 x.py' };
    expect(startOf({ ...opener, startTimes: [7, 8] })).toBeUndefined();
    expect(startOf({ ...opener, startTimes: [7] })).toBeUndefined();
    expect(startOf({ ...opener, startTimes: [] })).toBeUndefined();
  });

  it.each([
    ['/opt/app/runner', `runner ${LISTED}`, 7],
    ['/opt/app/runner', 'runner --fast link', 7],
    ['/opt/app/runner', 'runner y.py', undefined],
    ['/opt/app/runner', 'x.py', undefined],
    [PYTHON, `python3 ${LISTED}`, 7],
    [PYTHON, `python3 y.py ${LISTED}`, undefined],
  ])(
    'scriptStart() takes who was given a script that does not say its interpreter in time for that: %s, %s',
    (executable, words, started) => {
      expect(startOf({ executable, words, start: 'late' })).toBe(started);
    },
  );
});
