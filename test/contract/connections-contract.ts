import { afterEach, beforeEach, expect, it } from 'vitest';
import { IPPROTO_ICMP } from '../../src/net/protocol.ts';
import type { ContractWorld, OpenWorld } from './contract-world.ts';
import { address } from './routing-contract.ts';

/** Sockets of programs. */
export function connectionsContract(openWorld: OpenWorld): void {
  let world: ContractWorld;
  beforeEach(async () => {
    world = await openWorld();
  });
  afterEach(() => world.close());

  it.each(['tcp4', 'tcp6', 'udp4', 'udp6', 'mapped tcp'] as const)(
    'Connections.abort() ends a connected socket (%s) once, and its program knows',
    async (kind) => {
      const { connections } = world.kernel;
      const socket = await world.openSocket(kind);
      expect(await socket.isAborted()).toBe(false);
      expect(connections.abort(socket.flow)).toBe(true);
      expect(await socket.isAborted()).toBe(true);
      expect(connections.abort(socket.flow)).toBe(false);
    },
  );

  it('Connections.abort() leaves UDP sockets alone that are not connected', async () => {
    const socket = await world.openSocket('udp4 unconnected');
    expect(world.kernel.connections.abort(socket.flow)).toBe(false);
    expect(await socket.isAborted()).toBe(false);
  });

  it('Connections.abort() takes no other for a connection that has gone: neither a listener on its port nor another one', async () => {
    const { connections } = world.kernel;
    const socket = await world.openSocket('tcp4');
    const { flow } = socket;
    const { sourcePort, destinationPort } = flow;
    if (sourcePort === undefined || destinationPort === undefined) throw new Error('no ports');
    // The peer listens there.
    const toNobody = { ...flow, sourcePort: destinationPort, destinationPort: 1 };
    expect(connections.abort(toNobody)).toBe(false);
    expect(connections.abort({ ...flow, destination: address('127.0.0.2') })).toBe(false);
    expect(connections.abort({ ...flow, sourcePort: sourcePort ^ 1 })).toBe(false);
    expect(await socket.isAborted()).toBe(false);
    expect(connections.abort(flow)).toBe(true);
  });

  it('Connections.abort() knows no flows without ports', () => {
    const own = address('127.0.0.1');
    expect(world.kernel.connections.abort({ protocol: IPPROTO_ICMP, source: own, destination: own })).toBe(false);
  });
}
