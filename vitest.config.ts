import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { ALONE, LONGEST } from './test/suite-order.ts';

const exclude = ['**/node_modules/**', 'dist/**'];

/** On a loaded machine everything takes its time; what never comes is told by whoever waits for it, long before. */
const netns = { testTimeout: 600_000, hookTimeout: 600_000, expect: { poll: { timeout: 60_000 } } };

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification): boolean => LONGEST.some((file) => moduleId.endsWith(`/${file}`));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
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
            'test/schedules/**/*.test.ts',
          ],
          exclude,
          // Properties reckon for as long as the machine leaves them.
          testTimeout: 600_000,
        },
      },
      {
        test: {
          ...netns,
          name: 'netns',
          include: ['test/attribution/*.test.ts', 'test/netns/**/*.test.ts'],
          exclude: [...exclude, ...ALONE],
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      // After all others.
      {
        test: {
          ...netns,
          name: 'netns-alone',
          include: [...ALONE],
          exclude,
          fileParallelism: false,
        },
      },
      // `npm run test:long` says what.
      {
        test: {
          ...netns,
          name: 'long',
          include: ['test/long/**/*.test.ts'],
          exclude,
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
