/** The golden rulesets of test/cases are what nft and a kernel with every expression take. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findTool, runTool } from '../../../src/kernel/run-tool.ts';

const casesDir = join(import.meta.dirname, '../../cases/plan');

describe('a golden ruleset', () => {
  it.each(readdirSync(casesDir))('is accepted in case %s', async (name) => {
    const result = await runTool(findTool({ name: 'nft', debianPackage: 'nftables' }), [
      '-c',
      '-f',
      join(casesDir, name, 'want.nft'),
    ]);
    expect(result.stderr).toBe('');
    expect(result.status).toBe(0);
  });
});
