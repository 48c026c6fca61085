import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EffectivePolicy } from '../policy/effective-policy.ts';
import { indexApps } from '../policy/match-app.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { namedPrograms, type Program, programName } from './program.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };
const text = fc.string({ minLength: 1 });
const program: fc.Arbitrary<Program> = fc.oneof(
  text.map((path) => ({ kind: 'exec', path }) as const),
  text.map((path) => ({ kind: 'script', path }) as const),
  text.map((app) => ({ kind: 'children', app }) as const),
);

describe('programName', () => {
  it('programName() differs for programs that differ', () => {
    fc.assert(
      fc.property(program, program, (a, b) => {
        expect(programName(a) === programName(b)).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
    );
  });

  it('programName() is by the path as it is written, wherever a link leads now', () => {
    const [one, other] = ['/opt/v1/app', '/opt/v2/app'].map(
      (path) => ({ kind: 'exec', path, written: '/opt/current/app' }) as const,
    );
    expect(one && programName(one)).toBe('exec:/opt/current/app');
    expect(other && programName(other)).toBe('exec:/opt/current/app');
  });
});

describe('namedPrograms', () => {
  it('namedPrograms() yields what sockets’ marks tell, and nothing that cgroups and users tell', () => {
    const policy = {
      app: 'mail',
      match: (
        [
          ['exec', '/usr/bin/mail'],
          ['script', '/opt/mail.py'],
          ['user', 'alice'],
          ['cgroup', '/apps'],
          ['unit', 'mail.service'],
          ['container', 'web'],
        ] as const
      ).map(([kind, value]) => ({ kind, value, at })),
      rules: [],
      files: [],
      children: { value: { are: 'same', at }, layer: 'administrator' } as const,
    };
    const index = indexApps({ apps: [policy], systemDefault: builtinSystemDefault, uplinks: [] });
    expect([...namedPrograms(index)]).toEqual([
      { program: { kind: 'script', path: '/opt/mail.py' }, policy },
      { program: { kind: 'exec', path: '/usr/bin/mail' }, policy },
      { program: { kind: 'children', app: 'mail' }, policy },
    ]);
  });

  it('namedPrograms() gives what a named program executes in its place a name of its own, however the program was written', () => {
    const entry = { kind: 'exec', value: '/usr/bin/passt', written: '/usr/bin/pasta', at } as const;
    const policy: EffectivePolicy = { app: 'pasta', match: [entry], rules: [], files: [] };
    const index = indexApps({ apps: [policy], systemDefault: builtinSystemDefault, uplinks: [] });
    expect([...namedPrograms(index)].map(({ program }) => programName(program))).toEqual([
      'exec:/usr/bin/pasta',
      'exec:/usr/bin/passt.avx2',
    ]);
  });
});
