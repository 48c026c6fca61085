/** Whose every kind of traffic is held to be, on the kernel at hand. */
import { beforeAll } from 'vitest';
import { buildProgram } from '../netns/support/build-program.ts';
import { describeAttribution } from './describe-attribution.ts';

beforeAll(buildProgram);
describeAttribution({ sendsAgain: true });
