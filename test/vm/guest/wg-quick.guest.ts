/** The kernel's own WireGuard, which kernels that run the other tests may lack. */
import { describeWgQuick } from '../../netns/coexistence/describe-wg-quick.ts';

describeWgQuick();
