/** The real wg-quick beside the daemon; on Debian's own kernel the same runs in test/vm. */
import { beforeAll } from 'vitest';
import { describeWgQuick } from './coexistence/describe-wg-quick.ts';
import { buildProgram } from './support/build-program.ts';

beforeAll(buildProgram);

describeWgQuick();
