/** Boots Debian's stock kernel once and runs all of guest/vitest.config.ts in it; each of its files is a test here. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { type GuestReport, parseReports } from './guest-report.ts';
import { type GuestOutcome, runInGuest } from './run-in-guest.ts';

const PROJECT_DIR = fileURLToPath(new URL('../..', import.meta.url));
const TIMEOUT_MS = 1_500_000;
/** With the least number of tests that each must have run. */
const GUEST_FILES = [
  { file: 'test/vm/guest/daemon.guest.ts', tests: 17 },
  { file: 'test/vm/guest/kernel-facts.guest.ts', tests: 3 },
  { file: 'test/vm/guest/golden-rulesets.guest.ts', tests: 8 },
  { file: 'test/vm/guest/cgroup-map.guest.ts', tests: 1 },
  { file: 'test/vm/guest/kernel-senders.guest.ts', tests: 9 },
  { file: 'test/vm/guest/leaks.guest.ts', tests: 7 },
  { file: 'test/vm/guest/lab-link.guest.ts', tests: 4 },
  { file: 'test/vm/guest/wg-quick.guest.ts', tests: 3 },
  { file: 'test/vm/guest/wireless.guest.ts', tests: 3 },
  { file: 'test/netns/kernel-contract.test.ts', tests: 45 },
  { file: 'test/netns/socket-marks.test.ts', tests: 70 },
] as const;

describe("a guest with Debian's stock kernel", () => {
  let outcome: GuestOutcome;
  let reports: readonly GuestReport[];

  beforeAll(async () => {
    // Programs that run as programs of their own come from dist, and the guest would take long to build it.
    const build = ['node_modules/typescript/bin/tsc', '-b', 'src/main'];
    await promisify(execFile)(process.execPath, build, { cwd: PROJECT_DIR });
    const command = [
      process.execPath,
      'node_modules/vitest/vitest.mjs',
      'run',
      '--config',
      'test/vm/guest/vitest.config.ts',
    ];
    outcome = await runInGuest({ command, cwd: PROJECT_DIR, timeoutMs: TIMEOUT_MS });
    reports = parseReports(outcome.stdout);
  });

  it.each(GUEST_FILES)('runs $file', ({ file, tests }) => {
    const own = reports.filter((report) => 'file' in report && report.file === file);
    expect(own.filter(isProblem).map(describeProblem).join('\n\n')).toBe('');
    expect(own.filter((report) => report.kind === 'test' && report.state === 'passed').length).toBeGreaterThanOrEqual(
      tests,
    );
  });

  it('runs to its end, and nothing else fails', () => {
    const known = new Set<string>(GUEST_FILES.map(({ file }) => file));
    const others = reports.filter((report) => isProblem(report) && !('file' in report && known.has(report.file)));
    expect(others.map(describeProblem).join('\n\n')).toBe('');
    expect(reports.at(-1), outcome.stderr).toEqual({ kind: 'end' });
    expect(outcome.exitStatus, outcome.stderr).toBe(0);
  });
});

/** A skipped test is one that did not find what it needs, and this kernel has it all. */
function isProblem(report: GuestReport): boolean {
  return report.kind === 'failure' || report.kind === 'error' || (report.kind === 'test' && report.state !== 'passed');
}

function describeProblem(report: GuestReport): string {
  switch (report.kind) {
    case 'test':
      return `${report.state}: ${report.name}`;
    case 'failure':
      return `${report.name}\n${report.message}`;
    case 'error':
      return report.message;
    case 'end':
      return '';
  }
}
