import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DIAGNOSTIC_CODES } from './diagnostic.ts';

describe('DIAGNOSTIC_CODES', () => {
  it('DIAGNOSTIC_CODES are exactly the codes that docs/diagnostics.md explains', () => {
    const text = readFileSync(new URL('../../docs/diagnostics.md', import.meta.url), 'utf8');
    const explained = [...text.matchAll(/^### `([a-z-]+)`$/gm)].map(([, code]) => code);
    expect(explained.toSorted()).toEqual(DIAGNOSTIC_CODES.toSorted());
  });
});
