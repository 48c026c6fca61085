/** The golden rulesets of test/cases are what nft and a kernel with every expression take. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { findTool, runTool } from '../../../src/kernel/run-tool.ts';

const casesDir = join(import.meta.dirname, '../../cases/plan');

/** A chain at a device is accepted only where the device exists. */
function makeDevices(): void {
  const rulesets = readdirSync(casesDir).map((name) => readFileSync(join(casesDir, name, 'want.nft'), 'utf8'));
  const names = rulesets.flatMap((text) => [...text.matchAll(/devices = \{ (.*) \}/g)].map((match) => match[1] ?? ''));
  for (const [, device] of names.join().matchAll(/"([^"]+)"/g))
    execFileSync('ip', ['link', 'add', device ?? '', 'type', 'veth', 'peer', 'name', `p-${device}`]);
}

describe('a golden ruleset', () => {
  beforeAll(makeDevices);

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
