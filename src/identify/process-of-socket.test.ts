import { describe, expect, it } from 'vitest';
import type { Proc } from '../kernel/proc.ts';
import { ProcessOfSocket } from './process-of-socket.ts';

interface FakeProcess {
  parentPid?: number;
  startTimeTicks?: number;
  uid?: number;
  executable?: string;
  sockets: Record<number, number>;
}

/** Processes in memory that answer as `/proc` does. `reads` counts descriptors of a whole process that were looked at. */
function procOf(processes: Record<number, FakeProcess>): Proc & { reads: number } {
  const at = (pid: number): FakeProcess | undefined => processes[pid];
  const descriptors = (pid: number): number[] | undefined => {
    const found = at(pid);
    return (
      found &&
      Object.keys(found.sockets)
        .map(Number)
        .sort((a, b) => b - a)
    );
  };
  return {
    reads: 0,
    pids: () => Object.keys(processes).map(Number),
    stat: (pid) => {
      const found = at(pid);
      return found && { parentPid: found.parentPid ?? 1, startTimeTicks: found.startTimeTicks ?? pid };
    },
    executable: (pid) => at(pid)?.executable,
    uid: (pid) => at(pid)?.uid ?? 0,
    directoryUid: (pid) => at(pid)?.uid ?? 0,
    cgroup: () => undefined,
    commandLine: () => undefined,
    descriptors,
    socketInode(pid, descriptor) {
      this.reads++;
      return at(pid)?.sockets[descriptor];
    },
    probeSocketInode: (pid, descriptor) => at(pid)?.sockets[descriptor],
    socketInodes: (pid) => Object.values(at(pid)?.sockets ?? {}),
    netTable: () => '',
  };
}

describe('ProcessOfSocket', () => {
  it('ProcessOfSocket finds the holder, also where its uid is not the one expected', () => {
    const search = new ProcessOfSocket(
      procOf({ 10: { uid: 5, sockets: { 3: 700 } }, 11: { uid: 6, sockets: { 3: 701 } } }),
    );
    expect(search.find(700, 5)).toMatchObject({ kind: 'found', pid: 10 });
    expect(search.find(701, 5)).toMatchObject({ kind: 'found', pid: 11 });
    expect(search.find(702, 5)).toEqual({ kind: 'not found', gaveUp: false });
  });

  it('ProcessOfSocket gives a socket that was inherited by fork to the ancestor that made it', () => {
    const search = new ProcessOfSocket(
      procOf({
        10: { parentPid: 9, sockets: { 4: 700 } },
        11: { parentPid: 10, sockets: { 4: 700 } },
        12: { parentPid: 11, sockets: { 4: 700 } },
      }),
    );
    expect(search.find(700, 0)).toMatchObject({ pid: 10 });
  });

  it('ProcessOfSocket leaves the socket to a child whose parent has another socket under that number', () => {
    const search = new ProcessOfSocket(
      procOf({ 10: { sockets: { 4: 600 } }, 11: { parentPid: 10, sockets: { 4: 700 } } }),
    );
    expect(search.find(700, 0)).toMatchObject({ pid: 11 });
  });

  it('ProcessOfSocket does not give a socket to init or a broker that opened it for another', () => {
    const shared = { sockets: { 3: 700 } };
    const underInit = procOf({ 1: shared, 20: { parentPid: 1, ...shared } });
    const underBroker = procOf({ 15: { ...shared, executable: '/usr/sbin/inetd' }, 20: { parentPid: 15, ...shared } });
    expect(new ProcessOfSocket(underInit).find(700, 0)).toMatchObject({ pid: 20 });
    expect(new ProcessOfSocket(underBroker).find(700, 0)).toMatchObject({ pid: 20 });
  });

  it('ProcessOfSocket looks nowhere else when a program opens its next socket under the same number', () => {
    const sockets: Record<number, number> = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [n, 1000 + n]));
    const proc = procOf({ 10: { sockets } });
    const search = new ProcessOfSocket(proc);
    search.find(1003, 0);
    sockets[3] = 9999;
    proc.reads = 0;
    expect(search.find(9999, 0)).toMatchObject({ pid: 10 });
    expect(proc.reads).toBe(0);
  });

  it('ProcessOfSocket forgets an answer when another process has that pid, and finds the child that kept the socket', () => {
    const processes: Record<number, FakeProcess> = {
      10: { sockets: { 3: 700 } },
      11: { parentPid: 10, sockets: { 3: 700 } },
    };
    const search = new ProcessOfSocket(procOf(processes));
    expect(search.find(700, 0)).toMatchObject({ pid: 10 });
    processes[10] = { startTimeTicks: 999, sockets: {} };
    expect(search.find(700, 0)).toMatchObject({ pid: 11 });
  });

  it('ProcessOfSocket gives up at its bound and says so', () => {
    const sockets = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [n, n]));
    const search = new ProcessOfSocket(procOf({ 10: { sockets } }), { maxDescriptors: 50 });
    expect(search.find(7, 0)).toEqual({ kind: 'not found', gaveUp: true });
    expect(search.find(90, 0)).toMatchObject({ kind: 'found' });
  });
});
