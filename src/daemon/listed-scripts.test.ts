import { describe, expect, it } from 'vitest';
import { PROGRAM_NONE_FIRST } from '../plan/reserved.ts';
import { indexApps } from '../policy/match-app.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { listedScripts } from './listed-scripts.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };
const app = (name: string, scripts: readonly string[], children: 'same' | 'own' | undefined) => ({
  app: name,
  match: [
    ...scripts.map((value) => ({ kind: 'script', value, at }) as const),
    { kind: 'exec', value: `/usr/bin/${name}`, at } as const,
  ],
  rules: [],
  files: [],
  ...(children !== undefined && { children: { value: { are: children, at }, layer: 'administrator' } as const }),
});
const index = indexApps({
  apps: [
    app('a', ['/opt/a.py', '/opt/late.py'], 'same'),
    app('b', ['/opt/b.sh'], 'own'),
    app('c', ['/opt/c.sh'], undefined),
  ],
  systemDefault: builtinSystemDefault,
  uplinks: [],
});
const listed = (numbers: Record<string, number>) =>
  Object.fromEntries(listedScripts(index, { numbers: new Map(Object.entries(numbers)), none: PROGRAM_NONE_FIRST }));

describe('listedScripts', () => {
  it('listedScripts() lists scripts by path with their own number, and that of what they start where it counts as them', () => {
    const numbers = {
      'script:/opt/a.py': 1,
      'script:/opt/b.sh': 2,
      'script:/opt/c.sh': 3,
      'children:a': 4,
      'exec:/usr/bin/a': 5,
    };
    expect(listed(numbers)).toEqual({
      '/opt/a.py': { number: 1, childrenNumber: 4, keeps: true },
      '/opt/b.sh': { number: 2 },
      '/opt/c.sh': { number: 3 },
    });
  });

  it('listedScripts() says which yield to a family that keeps its own: where there is one, those that only packages name', () => {
    const shipped = (of: ReturnType<typeof app>) => ({
      ...of,
      match: of.match.map((match) => ({ ...match, shipped: true as const })),
    });
    const numbers = new Map(Object.entries({ 'script:/opt/a.py': 1, 'script:/opt/b.sh': 2, 'children:a': 4 }));
    const of = (apps: readonly ReturnType<typeof app>[]) => {
      const set = indexApps({ apps, systemDefault: builtinSystemDefault, uplinks: [] });
      return listedScripts(set, { numbers, none: PROGRAM_NONE_FIRST }).get('/opt/b.sh');
    };
    const b = shipped(app('b', ['/opt/b.sh'], undefined));
    expect(of([app('a', ['/opt/a.py'], 'same'), b])).toEqual({ number: 2, yields: true });
    expect(of([app('a', ['/opt/a.py'], 'own'), b])).toEqual({ number: 2 });
  });

  it('listedScripts() leaves scripts without a number out, and has no number for children that have none', () => {
    expect(listed({ 'script:/opt/a.py': 1, 'exec:/opt/b.sh': 2 })).toEqual({ '/opt/a.py': { number: 1 } });
    expect(listed({ 'children:a': 4 })).toEqual({});
  });
});
