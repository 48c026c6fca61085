import { describe, expect, it } from 'vitest';
import { DESCRIPTORS } from '../../test/bpf/interpreter.ts';
import { COOKIE, KERNELS, layoutOf, MarkingWorld, UID } from '../../test/bpf/marking-world.ts';
import {
  CONFIG_BYTES,
  encodeCreatorRecord,
  encodeU32,
  encodeU64,
  parseExecutableKey,
  USER_RELEASED_MASK,
} from './records.ts';
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

  it('releaseProgram() keeps for each user who had a port and who made the socket, whoever closes others there', () => {
    const world = new MarkingWorld(layout);
    const executable = parseExecutableKey('01'.repeat(32));
    if (executable === undefined) throw new RangeError('no key');
    const creator = {
      ...{ startTicks: 9, cgroupId: 3n, cgroupIds: [2n, 3n], pid: 77, number: 0 },
      ...{ uid: UID, gid: 100, command: 'mail' },
      executable,
    };
    world.maps.set('creators', encodeU64(5n), encodeCreatorRecord(creator));
    world.closeSocket(program, { protocol: UDP, port: PORT, remotePort: 80, cookie: 5n, atNs: 100n });
    for (const cookie of [6n, 7n]) world.closeSocket(program, { protocol: UDP, port: PORT, cookie, uid: UID + 1 });
    const own = { cookie: 5n, atNs: 100n, remotePort: 80, protocol: UDP, port: PORT, creator };
    expect(world.released(UDP, PORT).map(({ cookie }) => cookie)).toEqual([7n, 6n]);
    expect(world.releasedBy(UID, PORT)).toEqual(own);
    // Of who was not noted it says no more.
    expect(world.releasedBy(UID + 1, PORT)).toEqual({
      ...own,
      cookie: 7n,
      atNs: 0n,
      remotePort: 0,
      creator: undefined,
    });
  });

  it('releaseProgram() keeps so many of a user, and no more', () => {
    const world = new MarkingWorld(layout);
    for (let port = 1; port <= 2 * (USER_RELEASED_MASK + 1); port += 1)
      world.closeSocket(program, { protocol: UDP, port });
    expect(world.maps.size('closers')).toBe(USER_RELEASED_MASK + 1);
    expect(world.releasedBy(UID, 7)?.port).toBe(7 + USER_RELEASED_MASK + 1);
  });

  it('releaseProgram() keeps nothing of sockets without a port, of other namespaces, and before the daemon has said which is its own', () => {
    const world = new MarkingWorld(layout);
    world.closeSocket(program, { protocol: UDP, port: 0 });
    world.closeSocket(program, { protocol: UDP, port: PORT, netnsCookie: 78n });
    world.maps.set('config', encodeU32(0), new Uint8Array(CONFIG_BYTES));
    world.closeSocket(program, { protocol: UDP, port: PORT });
    expect(world.maps.size('released')).toBe(0);
    expect(world.maps.size('closers')).toBe(0);
  });
});
