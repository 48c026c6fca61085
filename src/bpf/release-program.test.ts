import { describe, expect, it } from 'vitest';
import { DESCRIPTORS } from '../../test/bpf/interpreter.ts';
import { COOKIE, KERNELS, layoutOf, MarkingWorld } from '../../test/bpf/marking-world.ts';
import { CONFIG_BYTES, encodeU32 } from './records.ts';
import { releaseProgram } from './release-program.ts';

const UDP = 17;
const PORT = 40_000;

describe.each(KERNELS)('releaseProgram(), %s', (name) => {
  const layout = layoutOf(name);
  const program = releaseProgram(layout, DESCRIPTORS);

  it('releaseProgram() keeps who had a port, the last two', () => {
    const world = new MarkingWorld(layout);
    for (const [index, cookie] of [5n, 6n, 7n].entries())
      world.closeSocket(program, {
        protocol: UDP,
        port: PORT,
        remotePort: 80 + index,
        cookie,
        atNs: BigInt(100 * index),
      });
    expect(world.released(UDP, PORT)).toEqual([
      { cookie: 7n, atNs: 200n, remotePort: 82 },
      { cookie: 6n, atNs: 100n, remotePort: 81 },
    ]);
  });

  it('releaseProgram() keeps protocols and ports apart', () => {
    const world = new MarkingWorld(layout);
    world.closeSocket(program, { protocol: UDP, port: PORT });
    expect(world.released(UDP, PORT)).toEqual([{ cookie: COOKIE, atNs: 0n, remotePort: 0 }]);
    expect(world.released(6, PORT)).toEqual([]);
    expect(world.released(UDP, PORT + 1)).toEqual([]);
  });

  it('releaseProgram() keeps nothing of sockets without a port, of other namespaces, and before the daemon has said which is its own', () => {
    const world = new MarkingWorld(layout);
    world.closeSocket(program, { protocol: UDP, port: 0 });
    world.closeSocket(program, { protocol: UDP, port: PORT, netnsCookie: 78n });
    world.maps.set('config', encodeU32(0), new Uint8Array(CONFIG_BYTES));
    world.closeSocket(program, { protocol: UDP, port: PORT });
    expect(world.maps.size('released')).toBe(0);
  });
});
