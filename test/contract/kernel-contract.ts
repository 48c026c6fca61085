import { describe } from 'vitest';
import { connectionsContract } from './connections-contract.ts';
import type { OpenWorld } from './contract-world.ts';
import { neighboursContract } from './neighbours-contract.ts';
import { netfilterContract } from './netfilter-contract.ts';
import { nftContract } from './nft-contract.ts';
import { routingContract } from './routing-contract.ts';

/** What every Kernel does: run on the fake and on the real one, so that tests on the fake mean something. */
export function kernelContract(kernelName: string, openWorld: OpenWorld): void {
  describe(`Kernel contract, ${kernelName}`, () => {
    describe('nft', () => nftContract(openWorld));
    describe('routing', () => routingContract(openWorld));
    describe('neighbours', () => neighboursContract(openWorld));
    describe('xtables and conntrack', () => netfilterContract(openWorld));
    describe('connections', () => connectionsContract(openWorld));
  });
}
