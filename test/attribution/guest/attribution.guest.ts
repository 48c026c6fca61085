import { execFileSync } from 'node:child_process';
import { beforeAll } from 'vitest';
import { POINTSMAN } from '../../netns/support/build-program.ts';
import { describeAttribution } from '../describe-attribution.ts';
import { describeLeaks } from '../describe-leaks.ts';

/** The processor is emulated. */
const PATIENCE = 8;

beforeAll(() => {
  // Read over 9p for the first time, the program takes longer to start than a world waits for its daemon.
  const [file = '', ...args] = POINTSMAN;
  execFileSync(file, [...args, '--version']);
});
describeAttribution({ patience: PATIENCE });
describeLeaks(PATIENCE, ['all']);
