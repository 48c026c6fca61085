import { describe, expect, it } from 'vitest';
import type { Diagnostic } from '../policy/diagnostic.ts';
import { FileMistakes, filesBroken, MAX_LOGGED_MISTAKES } from './file-mistakes.ts';

const mistake = (file: string, line: number, code: Diagnostic['code'] = 'unknown-key'): Diagnostic => ({
  severity: 'error',
  code,
  file,
  line,
  column: 2,
  length: 1,
  message: 'a secret\nis quoted',
});
const modeOf = (path: string): number => (path.startsWith('/private') ? 0o600 : 0o644);
const permissionsOf = (path: string) => [{ path, uid: 0, gid: 0, mode: modeOf(path) }];

describe('FileMistakes', () => {
  it('FileMistakes logs each mistake once, and again only when it has been away', () => {
    const lines: string[] = [];
    const mistakes = new FileMistakes(permissionsOf, (line) => lines.push(line));
    mistakes.note([mistake('/a', 1), mistake('/a', 2)]);
    mistakes.note([mistake('/a', 1), mistake('/a', 2)]);
    expect(lines).toEqual([
      'pointsman: /a:1:2: error: a secret\ufffdis quoted [unknown-key]',
      'pointsman: /a:2:2: error: a secret\ufffdis quoted [unknown-key]',
    ]);
    mistakes.note([mistake('/a', 2)]);
    mistakes.note([mistake('/a', 1), mistake('/a', 2)]);
    expect(lines).toHaveLength(3);
  });

  it('FileMistakes quotes nothing of files that not everybody may read, and no warnings', () => {
    const lines: string[] = [];
    const mistakes = new FileMistakes(permissionsOf, (line) => lines.push(line));
    mistakes.note([mistake('/private', 1), { ...mistake('/a', 3), severity: 'warning' }]);
    expect(lines).toEqual(['pointsman: /private:1:2: error: [unknown-key]']);
  });

  it('FileMistakes counts what is too much to log', () => {
    const lines: string[] = [];
    const mistakes = new FileMistakes(permissionsOf, (line) => lines.push(line));
    mistakes.note(Array.from({ length: MAX_LOGGED_MISTAKES + 5 }, (_, i) => mistake('/a', i + 1)));
    expect(lines).toHaveLength(MAX_LOGGED_MISTAKES + 1);
    expect(lines.at(-1)).toBe('pointsman: 5 more mistakes in files: pointsman status');
  });
});

describe('filesBroken()', () => {
  it('filesBroken() names places and codes, and nothing where all is well or only warned of', () => {
    expect(filesBroken([{ ...mistake('/a', 1), severity: 'warning' }])).toBeUndefined();
    const { message } = filesBroken([1, 2, 3, 4].map((line) => mistake('/a', line))) ?? {};
    expect(message).toBe(
      '1 file cannot be used: /a:1:2 [unknown-key], /a:2:2 [unknown-key], /a:3:2 [unknown-key], and 1 more mistakes',
    );
  });
});
