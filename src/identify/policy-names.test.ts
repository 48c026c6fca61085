import { describe, expect, it } from 'vitest';
import { PROGRAM_DAEMON, PROGRAM_NONE_FIRST } from '../plan/reserved.ts';
import { indexApps } from '../policy/match-app.ts';
import type { MatchKind } from '../policy/model.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { policyNames } from './policy-names.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };
const entry = (kind: MatchKind, value: string) => ({ kind, value, at });
const same = { value: { are: 'same', at }, layer: 'administrator' } as const;
const index = indexApps({
  apps: [
    {
      app: 'mail',
      match: [entry('exec', '/usr/bin/mail'), entry('user', 'alice')],
      rules: [],
      files: [],
      children: same,
    },
    { app: 'job', match: [entry('script', '/opt/x.py'), entry('exec', '/usr/bin/job')], rules: [], files: [] },
  ],
  systemDefault: builtinSystemDefault,
  uplinks: [],
});

describe('policyNames', () => {
  it('policyNames() knows executables and scripts, each by its own kind', () => {
    const names = policyNames(index, undefined);
    expect([...names.executables()]).toEqual(['/usr/bin/mail', '/usr/bin/job']);
    expect(['/usr/bin/mail', '/opt/x.py', 'alice'].map((path) => names.hasExecutable(path))).toEqual([
      true,
      false,
      false,
    ]);
    expect([...names.scripts]).toEqual(['/opt/x.py']);
  });

  it('policyNames() knows whose children count as the application, a script before its executable', () => {
    const { familyOf, anyChildren } = policyNames(index, undefined);
    const childrenOf = (program: Parameters<typeof familyOf>[0]): string | undefined => familyOf(program)?.app;
    expect(anyChildren).toBe(true);
    expect(childrenOf({ executable: '/usr/bin/mail' })).toBe('mail');
    expect(childrenOf({ executable: '/usr/bin/job' })).toBeUndefined();
    expect(childrenOf({ executable: '/usr/bin/mail', script: '/opt/x.py' })).toBeUndefined();
    expect(childrenOf({ executable: '/usr/bin/mail', script: '/opt/other.py' })).toBe('mail');
    expect(childrenOf({})).toBeUndefined();
  });

  it('policyNames() tells the program of a number, and nothing of numbers that name none', () => {
    const numbers = new Map([
      ['exec:/usr/bin/mail', 1],
      ['script:/opt/x.py', 2],
      ['children:mail', 3],
      ['exec:/usr/bin/odd', PROGRAM_NONE_FIRST + 4],
      ['not a program', 5],
    ]);
    const { programOf } = policyNames(index, { numbers, none: PROGRAM_NONE_FIRST });
    expect([1, 2, 3].map(programOf)).toEqual([
      { kind: 'exec', path: '/usr/bin/mail' },
      { kind: 'script', path: '/opt/x.py' },
      { kind: 'children', app: 'mail' },
    ]);
    for (const number of [0, 4, 5, PROGRAM_DAEMON, PROGRAM_NONE_FIRST, PROGRAM_NONE_FIRST + 4])
      expect(programOf(number)).toBeUndefined();
    expect(policyNames(index, undefined).programOf(1)).toBeUndefined();
  });
});
