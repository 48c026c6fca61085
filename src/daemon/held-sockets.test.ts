import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { openProc } from '../kernel/proc.ts';
import { HeldSockets, holdersOf, MAX_DESCRIPTORS_OF_ONE } from './held-sockets.ts';

/** `PID: inodes`, the descriptor being the place in the list. */
function procOf(sockets: Readonly<Record<number, readonly number[]>>) {
  return {
    pids: () => Object.keys(sockets).map(Number),
    descriptors: (pid: number, limit?: number) => [...(sockets[pid] ?? []).keys()].slice(0, limit),
    socketInode: (pid: number, descriptor: number) => sockets[pid]?.[descriptor],
  };
}

describe('HeldSockets', () => {
  it('HeldSockets reads no more descriptors than it may, and says so', () => {
    const held = new HeldSockets(procOf({ 1: [10, 11], 2: [12, 13, 14] }), 4);
    expect(held.of(1)).toEqual([10, 11]);
    expect(held.isCut).toBe(false);
    expect(held.of(2)).toEqual([12, 13]);
    expect(held.isCut).toBe(true);
    expect(held.of(1)).toEqual([]);
  });

  it('HeldSockets leaves the rest of one process out before it leaves other processes out', () => {
    const many = Array.from({ length: MAX_DESCRIPTORS_OF_ONE + 1 }, (_, i) => i);
    const held = new HeldSockets(procOf({ 1: many, 2: [7] }));
    expect(held.of(1)).toHaveLength(MAX_DESCRIPTORS_OF_ONE);
    expect(held.isCut).toBe(true);
    expect(held.of(2)).toEqual([7]);
  });
});

describe('holdersOf', () => {
  it('holdersOf names every process once for each socket that is asked for', async () => {
    const { holders, isCut } = await holdersOf(procOf({ 3: [10, 10, 11], 2: [10], 4: [12] }), new Set([10, 12, 13]));
    expect([...holders]).toEqual([
      [10, [2, 3]],
      [12, [4]],
    ]);
    expect(isCut).toBe(false);
  });

  it('holdersOf finds a socket of this process', async () => {
    const before = new Set(openProc().socketInodes(process.pid));
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const [inode = 0] = (openProc().socketInodes(process.pid) ?? []).filter((each) => !before.has(each));
    expect((await holdersOf(openProc(), new Set([inode]))).holders.get(inode)).toContain(process.pid);
    server.close();
  });
});
