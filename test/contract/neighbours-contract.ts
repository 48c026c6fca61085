import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Kernel } from '../../src/kernel/kernel.ts';
import type { ContractWorld, OpenWorld } from './contract-world.ts';
import { address } from './routing-contract.ts';

/** Nobody has it. */
const NOBODY = '192.0.2.9';
const AGE_MS = 500;

export function neighboursContract(openWorld: OpenWorld): void {
  let world: ContractWorld;
  let kernel: Kernel;
  beforeEach(async () => {
    world = await openWorld();
    kernel = world.kernel;
  });
  afterEach(() => world.close());

  it('Neighbours.find() knows nobody who was never asked for', async () => {
    const { key } = await world.addGateway();
    expect(kernel.neighbours.find(key)).toBeUndefined();
    expect(kernel.neighbours.find({ linkIndex: world.deviceIndex, address: address('2001:db8::9') })).toBeUndefined();
    expect(kernel.neighbours.find({ ...key, linkIndex: 54321 })).toBeUndefined();
  });

  it('Neighbours.resolve() finds out who somebody is, and may be asked again', async () => {
    const { key, hardwareAddress } = await world.addGateway();
    const known = { ...key, hardwareAddress, isPermanent: false, isStale: false };
    kernel.neighbours.resolve(key);
    await vi.waitFor(() => expect(kernel.neighbours.find(key)).toMatchObject(known));
    await new Promise((resolve) => setTimeout(resolve, AGE_MS));
    kernel.neighbours.resolve(key);
    await vi.waitFor(() => {
      expect(kernel.neighbours.find(key)).toMatchObject(known);
      expect(kernel.neighbours.find(key)?.confirmedAgoMs).toBeLessThan(AGE_MS);
    });
  });

  it('Neighbours.resolve() of somebody who does not answer leaves an entry without an address', () => {
    const key = { linkIndex: world.deviceIndex, address: address(NOBODY) };
    kernel.neighbours.resolve(key);
    expect(kernel.neighbours.find(key)).toEqual({ ...key, isPermanent: false, isStale: false });
    kernel.neighbours.resolve(key);
    expect(kernel.neighbours.find(key)).toEqual({ ...key, isPermanent: false, isStale: false });
  });

  it('Wireless.ssids() knows none of devices that are not wireless', () => {
    expect(kernel.wireless.ssids().has(world.deviceIndex)).toBe(false);
  });
}
