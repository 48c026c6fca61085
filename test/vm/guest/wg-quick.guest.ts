/** The kernel's own WireGuard, which kernels that run the other tests may lack. */
import { beforeAll } from 'vitest';
import { describeWgQuick } from '../../netns/coexistence/describe-wg-quick.ts';
import { warmUp } from './guest-lab.ts';

beforeAll(warmUp);

describeWgQuick();
