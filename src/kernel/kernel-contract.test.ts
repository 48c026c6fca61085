import { openFakeWorld } from '../../test/contract/fake-world.ts';
import { kernelContract } from '../../test/contract/kernel-contract.ts';

kernelContract('fake kernel', openFakeWorld);
