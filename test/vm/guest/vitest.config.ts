import { defineConfig } from 'vitest/config';
import { lineReporter } from './line-reporter.ts';

/** What runs inside the guest: its own tests, and those of test/netns that have to hold on every kernel. */
export default defineConfig({
  test: {
    include: ['test/vm/guest/**/*.guest.ts', 'test/netns/kernel-contract.test.ts', 'test/netns/socket-marks.test.ts'],
    env: { POINTSMAN_LEAK_STARTS: '12' },
    reporters: [lineReporter],
    fileParallelism: false,
    // The processor is emulated: everything takes about ten times as long.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
