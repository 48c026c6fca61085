import { describe, expect, it } from 'vitest';
import type { Diagnostic } from '../policy/diagnostic.ts';
import { diagnosticsFor } from './shown-to.ts';

const OTHERS = { uid: 5, gids: [42] };
const mistake = (file: string, code: Diagnostic['code'] = 'yaml-syntax'): Diagnostic => ({
  severity: 'error',
  code,
  file,
  line: 3,
  column: 2,
  length: 9,
  message: 'unexpected secret',
  source: 'root:secret',
  hint: 'secret',
});
const modes = new Map([
  ['/public', 0o644],
  ['/private', 0o600],
]);
const permissionsOf = (path: string) => {
  const mode = modes.get(path);
  return mode === undefined ? undefined : [{ path, uid: 0, gid: 0, mode }];
};
const shown = (file: string, reader = OTHERS, code?: Diagnostic['code']) =>
  diagnosticsFor(reader, [mistake(file, code)], { permissionsOf })[0];

describe('diagnosticsFor()', () => {
  it('diagnosticsFor() shows a file’s text to who may read it, and to root', () => {
    expect(shown('/public')).toEqual(mistake('/public'));
    expect(shown('/private', { uid: 0, gids: [0] })).toEqual(mistake('/private'));
  });

  it('diagnosticsFor() shows place and code, and nothing of the text, to everybody else', () => {
    for (const file of ['/private', '/unknown']) {
      const found = shown(file);
      expect(found).toMatchObject({ severity: 'error', code: 'yaml-syntax', file, line: 3, column: 2, length: 1 });
      expect(JSON.stringify(found)).not.toContain('secret');
    }
  });

  it('diagnosticsFor() says why a file was not read: nothing of it is in that', () => {
    expect(shown('/unknown', OTHERS, 'file-not-trusted')?.hint).toBe('secret');
  });
});
