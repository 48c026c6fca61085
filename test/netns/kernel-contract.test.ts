import { kernelContract } from '../contract/kernel-contract.ts';
import { openNamespaceWorld } from '../contract/namespace-world.ts';

kernelContract('Linux', openNamespaceWorld);
