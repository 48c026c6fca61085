/** Programs that end before anybody could look, on the kernel at hand. */
import { beforeAll } from 'vitest';
import { buildProgram } from '../netns/support/build-program.ts';
import { describeLeaks } from './describe-leaks.ts';

beforeAll(buildProgram);
describeLeaks();
