// Adds up what the suites of one `npm test` reported. Arguments: the directory with `suites` (lines "NAME STATUS
// SECONDS") and a vitest JSON report for each suite. Ends with 1 where anything failed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

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
}
const passed = suites.reduce((sum, suite) => sum + suite.passed, 0);
const failed = suites.reduce((sum, suite) => sum + suite.failed, 0);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
