/**
 * The same on Debian's stock kernel, in a virtual machine. It takes many minutes, so only where the results are to be kept,
 * in POINTSMAN_ATTRIBUTION_FILE.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { buildProgram } from '../../netns/support/build-program.ts';
import { runInGuest } from '../../vm/run-in-guest.ts';
import { SCENARIOS } from '../scenarios/all.ts';
import type { Results } from '../score/table.ts';

const FILE = process.env.POINTSMAN_ATTRIBUTION_FILE;
const PROJECT_DIR = fileURLToPath(new URL('../../..', import.meta.url));
const TIMEOUT_MS = 1_800_000;
const IN_GUEST = '/tmp/results.json';
const STARTS = 20;
const RUN = `"$0" node_modules/vitest/vitest.mjs run --config test/attribution/guest/vitest.config.ts >&2; cat ${IN_GUEST}`;

it.runIf(FILE !== undefined)(
  "attribution: Debian's kernel",
  async () => {
    await buildProgram();
    const variables = [
      `POINTSMAN_ATTRIBUTION_FILE=${IN_GUEST}`,
      "POINTSMAN_ATTRIBUTION_MACHINE=Debian's kernel",
      `POINTSMAN_LEAK_STARTS=${STARTS}`,
    ];
    const command = ['env', ...variables, 'sh', '-c', RUN, process.execPath];
    const { stdout, stderr } = await runInGuest({ command, cwd: PROJECT_DIR, timeoutMs: TIMEOUT_MS });
    const results = JSON.parse(stdout || '{}') as Partial<Results>;
    const { rows = [], leaks = [] } = results;
    // What went wrong in the guest is told there.
    expect(rows.length, stderr).toBe(SCENARIOS.length);
    expect(leaks.length, stderr).toBeGreaterThan(0);
    writeFileSync(FILE ?? '', stdout);
    const failures = rows.filter(({ verdict }) => verdict === 'FAIL' || verdict === 'PARTIAL');
    expect(failures.map(({ name, note }) => `${name}: ${note}`)).toEqual([]);
    expect(leaks.filter(({ isPromised, leaked }) => isPromised && leaked > 0)).toEqual([]);
  },
  TIMEOUT_MS,
);
