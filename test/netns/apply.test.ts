import { applyContract } from '../contract/apply-contract.ts';
import { openNamespaceWorld } from '../contract/namespace-world.ts';

applyContract('Linux', openNamespaceWorld);
