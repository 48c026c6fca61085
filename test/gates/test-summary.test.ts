/** What `npm test` prints last, and how it ends, for suites that end in every way they can. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/test-summary.mjs', import.meta.url));
const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));
const fileTimes = fileURLToPath(new URL('../../scripts/file-times.mjs', import.meta.url));
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

function run(suites: string): { readonly status: number | null; readonly lines: readonly string[] } {
  writeFileSync(join(directory, 'suites'), suites);
  const { status, stdout } = spawnSync(process.execPath, [script, directory], { encoding: 'utf8' });
  return { status, lines: stdout.trimEnd().split('\n') };
}

function summary(suites: string): { readonly status: number | null; readonly last: string | undefined } {
  const { status, lines } = run(suites);
  return { status, last: lines.at(-1) };
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

  it('test-summary counts what was run once more as it did then, and says what failed at first', () => {
    report('unit', 5, 0);
    report('netns', 7, 2);
    report('netns-again', 9, 0);
    const { status, lines } = run('unit 0 3\nnetns 1 9\nnetns-again 0 4\n');
    expect([status, lines.at(-1), lines.at(-2)]).toEqual([
      0,
      '14 passed, 0 failed',
      'netns: 2 failed at first: to be looked into',
    ]);
    report('netns-again', 8, 1);
    expect(summary('unit 0 3\nnetns 1 9\nnetns-again 1 4\n')).toEqual({ status: 1, last: '13 passed, 1 failed' });
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

describe('the files of a suite', () => {
  const times = (suite: string, ...lines: readonly string[]): void =>
    writeFileSync(join(directory, `${suite}.times`), `${lines.join('\n')}\n`);

  it('test-summary names the slowest files of each suite, the slowest first, and then the sum', () => {
    report('unit', 5, 0);
    report('netns', 2, 0);
    times('unit', '12 passed src/quick.test.ts', '5000 passed src/slow.test.ts');
    times('netns', '9000 passed a.test.ts', '61234 passed b c.test.ts');
    expect(run('unit 0 3\nnetns 0 90\n').lines).toEqual([
      '',
      'unit   5 passed, 0 failed (3 s)',
      '  slow      5.0 s  src/slow.test.ts',
      'netns  2 passed, 0 failed (90 s)',
      '  slow     61.2 s  b c.test.ts',
      '  slow      9.0 s  a.test.ts',
      '7 passed, 0 failed',
    ]);
  });

  it('test-summary names every file that failed, however quick it was, and not all that are slow', () => {
    report('netns', 20, 2);
    const slow = Array.from({ length: 20 }, (_, i) => `${10_000 + i} passed ${i}.test.ts`);
    times('netns', '3 failed quick.test.ts', ...slow, '99000 failed slow.test.ts');
    const { lines } = run('netns 1 90\n');
    expect(lines.filter((line) => line.startsWith('  failed'))).toEqual([
      '  failed   99.0 s  slow.test.ts',
      '  failed    0.0 s  quick.test.ts',
    ]);
    expect(lines.filter((line) => line.startsWith('  slow'))).toHaveLength(8);
    expect(lines.at(-1)).toBe('20 passed, 2 failed');
  });

  it('file-times.mjs writes how long a file took, its hooks included, and whether it failed', () => {
    const at = join(directory, 'times');
    const test = (file: string, text: string): void => writeFileSync(join(directory, file), text);
    test('passes.test.mjs', "beforeAll(() => new Promise((r) => setTimeout(r, 300))); it('a', () => {});");
    test('fails.test.mjs', "it('b', () => { throw new Error('no'); });");
    test('breaks.test.mjs', 'throw new Error("no");');
    const args = ['run', '--root', directory, '--globals', `--reporter=${fileTimes}`];
    const env = { ...process.env, POINTSMAN_FILE_TIMES: at };
    expect(spawnSync(process.execPath, [vitest, ...args], { env, cwd: directory }).status).toBe(1);
    const written = readFileSync(at, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' '));
    const files = new Map(written.map(([tookMs, state, file]) => [file, { tookMs: Number(tookMs), state }]));
    expect([...files].map(([file, { state }]) => [file, state]).sort()).toEqual([
      ['breaks.test.mjs', 'failed'],
      ['fails.test.mjs', 'failed'],
      ['passes.test.mjs', 'passed'],
    ]);
    expect(files.get('passes.test.mjs')?.tookMs).toBeGreaterThanOrEqual(300);
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
