import { defineConfig } from 'vitest/config';

const exclude = ['**/node_modules/**', 'dist/**'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'bench/**/*.test.ts',
            'src/**/*.test.ts',
            'test/attribution/score/**/*.test.ts',
            'test/cases/**/*.test.ts',
            'test/gates/**/*.test.ts',
            'test/packaging/**/*.test.ts',
          ],
          exclude,
          testTimeout: 60_000,
        },
      },
      // Namespaces share the machine's ids and cores: one file at a time keeps a failure readable.
      {
        test: {
          name: 'netns',
          include: ['test/attribution/*.test.ts', 'test/netns/**/*.test.ts'],
          exclude,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'vm',
          include: ['test/attribution/guest/**/*.test.ts', 'test/vm/**/*.test.ts'],
          exclude,
          testTimeout: 1_600_000,
          hookTimeout: 1_600_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
