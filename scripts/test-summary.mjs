// Adds up what the suites of one `npm test` reported. Arguments: the directory with `suites` (lines "NAME STATUS
// SECONDS") and, for each suite, a vitest JSON report and what file-times.mjs wrote. Ends with 1 where anything failed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Of each suite that took at least so long; what is faster is not worth a look. */
const SHOWN_FILES = 8;
const SLOW_MS = 5000;

const [directory = '.'] = process.argv.slice(2);

/** Counts of one suite; one that broke before it could report, or broke without a failed test, counts as a failure. */
function countsOf(name, status) {
  const counts = readReport(join(directory, `${name}.json`));
  return status !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

function readReport(path) {
  try {
    const report = JSON.parse(readFileSync(path, 'utf8'));
    const { numPassedTests: passed, numFailedTests, numPendingTests: skipped, testResults } = report;
    // A file that cannot even be loaded has no tests that could fail.
    const broken = testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length;
    return { passed, failed: numFailedTests + broken, skipped };
  } catch {
    return { passed: 0, failed: 0, skipped: 0 };
  }
}

/** Absent where the suite broke before any of its files ended. */
function readFiles(path) {
  try {
    const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
    return lines.map((line) => {
      const [tookMs, state, ...words] = line.split(' ');
      return { tookMs: Number(tookMs), state, file: words.join(' ') };
    });
  } catch {
    return [];
  }
}

/** The files that failed, and those that took longest. */
function filesWorthALook(name) {
  const files = readFiles(join(directory, `${name}.times`)).sort((a, b) => b.tookMs - a.tookMs);
  const slow = files.filter(({ tookMs }) => tookMs >= SLOW_MS).slice(0, SHOWN_FILES);
  const line = (word, { tookMs, file }) => `  ${word} ${`${(tookMs / 1000).toFixed(1)} s`.padStart(8)}  ${file}`;
  return [
    ...files.filter(({ state }) => state === 'failed').map((file) => line('failed', file)),
    ...slow.map((file) => line('slow  ', file)),
  ];
}

const suites = readFileSync(join(directory, 'suites'), 'utf8')
  .split('\n')
  .filter(Boolean)
  .map((line) => {
    const [name = '', status, seconds] = line.split(' ');
    return { name, seconds, ...countsOf(name, Number(status)) };
  });

console.log('');
for (const { name, seconds, passed, failed, skipped } of suites) {
  const notRun = skipped > 0 ? `, ${skipped} skipped` : '';
  console.log(`${name.padEnd(6)} ${passed} passed, ${failed} failed${notRun} (${seconds} s)`);
  for (const line of filesWorthALook(name)) console.log(line);
}
// `netns-again` has the failed files of `netns`, one at a time: what counts is how they did then.
let passed = 0;
let failed = 0;
for (const suite of suites.filter(({ name }) => !name.endsWith('-again'))) {
  const again = suites.find(({ name }) => name === `${suite.name}-again`);
  const stillFailed = again === undefined ? suite.failed : again.failed;
  passed += suite.passed + Math.max(0, suite.failed - stillFailed);
  failed += stillFailed;
  if (again !== undefined) console.log(`${suite.name}: ${suite.failed} failed at first: to be looked into`);
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
