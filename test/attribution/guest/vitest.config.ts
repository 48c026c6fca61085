import { defineConfig } from 'vitest/config';

/** What runs inside the guest. */
export default defineConfig({
  test: {
    include: ['test/attribution/guest/**/*.guest.ts'],
    fileParallelism: false,
    testTimeout: 240_000,
    hookTimeout: 600_000,
  },
});
