import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { EXPECTED_GAPS } from './expected-gaps.ts';

it('EXPECTED_GAPS are what docs/security.md says, in its words', () => {
  const page = readFileSync(fileURLToPath(new URL('../../docs/security.md', import.meta.url)), 'utf8').replaceAll(
    /\s+/g,
    ' ',
  );
  for (const { stated } of EXPECTED_GAPS) expect(page).toContain(stated);
});
