/** What `npm test` prints last, and how it ends, for suites that end in every way they can. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/test-summary.mjs', import.meta.url));
const testScript = fileURLToPath(new URL('../../scripts/test.sh', import.meta.url));

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pointsman-summary-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

function report(suite: string, passed: number, failed: number, brokenFiles = 0): void {
  const testResults = Array.from({ length: brokenFiles }, () => ({ status: 'failed', assertionResults: [] }));
  const counts = { numPassedTests: passed, numFailedTests: failed, numPendingTests: 0, testResults };
  writeFileSync(join(directory, `${suite}.json`), JSON.stringify(counts));
}

function summary(suites: string): { readonly status: number | null; readonly last: string | undefined } {
  writeFileSync(join(directory, 'suites'), suites);
  const { status, stdout } = spawnSync(process.execPath, [script, directory], { encoding: 'utf8' });
  return { status, last: stdout.trimEnd().split('\n').at(-1) };
}

describe('test-summary', () => {
  it('test-summary adds up the suites', () => {
    report('unit', 5, 0);
    report('netns', 2, 0);
    expect(summary('unit 0 3\nnetns 0 9\n')).toEqual({ status: 0, last: '7 passed, 0 failed' });
  });

  it('test-summary fails where a test failed', () => {
    report('unit', 5, 1);
    expect(summary('unit 1 3\n')).toEqual({ status: 1, last: '5 passed, 1 failed' });
  });

  it('test-summary counts a file that could not be loaded', () => {
    report('unit', 5, 0, 2);
    expect(summary('unit 1 3\n')).toEqual({ status: 1, last: '5 passed, 2 failed' });
  });

  it('test-summary counts a suite that broke before it could report', () => {
    report('unit', 5, 0);
    expect(summary('unit 0 3\nvm 137 0\n')).toEqual({ status: 1, last: '5 passed, 1 failed' });
  });

  it('test-summary counts a suite that ended badly although no test failed', () => {
    report('unit', 5, 0);
    expect(summary('unit 1 3\n')).toEqual({ status: 1, last: '5 passed, 1 failed' });
  });
});

describe('test.sh', () => {
  it('test.sh refuses a suite that does not exist instead of passing without it', () => {
    const env = { ...process.env, POINTSMAN_TEST: 'unit,netsn' };
    const { status, stderr } = spawnSync('sh', [testScript], { env, encoding: 'utf8' });
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: 'POINTSMAN_TEST: there is no suite "netsn"; there are gates, unit, netns and vm\n',
    });
  });
});
