import { describe, expect, it } from 'vitest';
import type { Proc } from '../kernel/proc.ts';
import { ProcessOfSocket } from './process-of-socket.ts';

interface FakeProcess {
  parentPid?: number;
  startTimeTicks?: number;
  uid?: number;
  executable?: string | null;
  threads?: Record<number, Record<number, number>>;
  sockets: Record<number, number>;
}

/** Processes in memory that answer as `/proc` does. `reads` counts descriptors of a whole process that were looked at. */
function procOf(processes: Record<number, FakeProcess>): Proc & { reads: number } {
  const at = (pid: number): FakeProcess | undefined => processes[pid];
  const socketsOf = (id: number): Record<number, number> | undefined =>
    at(id)?.sockets ??
    Object.values(processes)
      .map(({ threads }) => threads?.[id])
      .find((own) => own !== undefined);
  const descriptors = (id: number, limit?: number): number[] | undefined =>
    Object.keys(socketsOf(id) ?? {})
      .map(Number)
      .slice(0, limit)
      .sort((a, b) => b - a);
  const executable = (pid: number): string | undefined => {
    const given = at(pid)?.executable;
    return given === undefined ? '/bin/app' : (given ?? undefined);
  };
  return {
    reads: 0,
    pids: () => Object.keys(processes).map(Number),
    stat: (pid) => {
      const found = at(pid);
      return found && { parentPid: found.parentPid ?? 1, startTimeTicks: found.startTimeTicks ?? pid };
    },
    executable,
    executableLink: (pid) => `/proc/${pid}/exe`,
    executableFile: (pid) => {
      const path = executable(pid);
      const inode = BigInt([...(path ?? '')].reduce((sum, letter) => sum * 131 + letter.charCodeAt(0), 7) % 1_000_003);
      return path === undefined ? undefined : { device: 1n, inode, uid: 0n, birthNs: 0n, modifiedNs: 0n };
    },
    isExecutableDeleted: () => false,
    threads: (pid) => [pid, ...Object.keys(at(pid)?.threads ?? {}).map(Number)],
    uid: (pid) => at(pid)?.uid ?? 0,
    uids: (pid) => [at(pid)?.uid ?? 0],
    gid: () => 0,
    exactArguments: () => undefined,
    fileAt: () => undefined,
    directoryUid: (pid) => at(pid)?.uid ?? 0,
    cgroup: () => undefined,
    commandLine: () => undefined,
    descriptors,
    socketInode(pid, descriptor) {
      this.reads++;
      return socketsOf(pid)?.[descriptor];
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
    expect(search.find(700, 5)).toMatchObject({ kind: 'found', processes: [{ pid: 10 }] });
    expect(search.find(701, 5)).toMatchObject({ kind: 'found', processes: [{ pid: 11 }] });
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
    expect(search.find(700, 0)).toMatchObject({ processes: [{ pid: 10 }] });
  });

  it('ProcessOfSocket leaves the socket to a child whose parent has another socket under that number', () => {
    const search = new ProcessOfSocket(
      procOf({ 10: { sockets: { 4: 600 } }, 11: { parentPid: 10, sockets: { 4: 700 } } }),
    );
    expect(search.find(700, 0)).toMatchObject({ processes: [{ pid: 11 }] });
  });

  it('ProcessOfSocket does not give a socket to init or a broker that opened it for another', () => {
    const shared = { sockets: { 3: 700 } };
    const underInit = procOf({ 1: shared, 20: { parentPid: 1, ...shared } });
    const underBroker = procOf({ 15: { ...shared, executable: '/usr/sbin/inetd' }, 20: { parentPid: 15, ...shared } });
    const fileAt = () => underBroker.executableFile(15);
    expect(new ProcessOfSocket(underInit).find(700, 0)).toMatchObject({ processes: [{ pid: 20 }] });
    expect(new ProcessOfSocket(underBroker, { fileAt }).find(700, 0)).toMatchObject({ processes: [{ pid: 20 }] });
    // Called like one, but another file.
    const another = () => underBroker.executableFile(20);
    expect(new ProcessOfSocket(underBroker, { fileAt: another }).find(700, 0)).toMatchObject({
      processes: [{ pid: 20 }, { pid: 15 }],
    });
  });

  it('ProcessOfSocket looks nowhere else when a program opens its next socket under the same number', () => {
    const sockets: Record<number, number> = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [n, 1000 + n]));
    const proc = procOf({ 10: { sockets } });
    const search = new ProcessOfSocket(proc);
    search.find(1003, 0);
    sockets[3] = 9999;
    proc.reads = 0;
    expect(search.find(9999, 0)).toMatchObject({ processes: [{ pid: 10 }] });
    expect(proc.reads).toBe(0);
  });

  it('ProcessOfSocket looks at the number beside it where the last one is still open', () => {
    const sockets: Record<number, number> = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [n, 1000 + n]));
    const proc = procOf({ 10: { sockets } });
    const search = new ProcessOfSocket(proc);
    search.find(1499, 0);
    sockets[500] = 9999;
    proc.reads = 0;
    expect(search.find(9999, 0)).toMatchObject({ processes: [{ pid: 10 }] });
    expect(proc.reads).toBe(0);
  });

  it('ProcessOfSocket knows sockets that it saw on the way to another, as long as they are where they were', () => {
    const sockets: Record<number, number> = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [n, 1000 + n]));
    const proc = procOf({ 9: { sockets: { 7: 1400 } }, 10: { sockets } });
    const search = new ProcessOfSocket(proc);
    const find = (inode: number) => search.find(inode, 0, () => false);
    find(1003);
    proc.reads = 0;
    expect(find(1250)).toMatchObject({ processes: [{ pid: 10 }] });
    expect(proc.reads).toBe(0);
    delete sockets[400];
    expect(find(1400)).toMatchObject({ processes: [{ pid: 9 }] });
    expect(proc.reads).toBeGreaterThan(0);
  });

  it('ProcessOfSocket forgets an answer when another process has that pid, and finds the child that kept the socket', () => {
    const processes: Record<number, FakeProcess> = {
      10: { sockets: { 3: 700 } },
      11: { parentPid: 10, sockets: { 3: 700 } },
    };
    const search = new ProcessOfSocket(procOf(processes));
    expect(search.find(700, 0)).toMatchObject({ processes: [{ pid: 10 }] });
    processes[10] = { startTimeTicks: 999, sockets: {} };
    expect(search.find(700, 0)).toMatchObject({ processes: [{ pid: 11 }] });
  });

  it('ProcessOfSocket gives up at its bound and says so', () => {
    const sockets = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [n, n]));
    const search = new ProcessOfSocket(procOf({ 10: { sockets } }), { maxDescriptors: 50 });
    expect(search.find(90, 0)).toEqual({ kind: 'not found', gaveUp: true });
    expect(search.find(7, 0)).toMatchObject({ kind: 'found' });
  });

  it('ProcessOfSocket reads other users’ processes after all of the socket’s own, and a large one last of these', () => {
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [n, 1000 + n]));
    const processes = {
      10: { uid: 5, sockets: { 3: 700 } },
      20: { uid: 5, sockets: { ...many, 50: 701 } },
      30: { uid: 6, sockets: many },
      40: { uid: 6, sockets: many },
    };
    const options = { maxDescriptors: 100, maxPerProcess: 10 };
    const search = new ProcessOfSocket(procOf(processes), options);
    expect(search.find(1000, 6)).toMatchObject({ processes: [{ pid: 40 }] });
    // Both of uid 6 are recent, and cost the user 5 nothing.
    expect(search.find(700, 5)).toMatchObject({ processes: [{ pid: 10 }] });
    expect(search.find(701, 5)).toMatchObject({ processes: [{ pid: 20 }] });
    expect(new ProcessOfSocket(procOf(processes), options).find(700, 9)).toMatchObject({ processes: [{ pid: 10 }] });
  });

  it('ProcessOfSocket is not kept from a user’s socket by another user’s many descriptors', () => {
    const many = Object.fromEntries(Array.from({ length: 90 }, (_, n) => [n, 1000 + n]));
    const proc = procOf({ 10: { uid: 5, sockets: { 3: 700 } }, 40: { uid: 6, sockets: many } });
    const search = new ProcessOfSocket(proc, { maxDescriptors: 91, maxPerProcess: 91 });
    search.find(1089, 6);
    proc.reads = 0;
    expect(search.find(700, 5)).toMatchObject({ processes: [{ pid: 10 }] });
    expect(proc.reads).toBeLessThan(10);
  });

  it('ProcessOfSocket finds a socket that a thread has for itself', () => {
    const thread = { 11: { 3: 700 }, 12: { 3: 600 } };
    const search = new ProcessOfSocket(procOf({ 10: { sockets: { 3: 600 }, threads: thread } }));
    expect(search.find(700, 0)).toMatchObject({ processes: [{ pid: 10 }] });
    expect(search.find(701, 0)).toEqual({ kind: 'not found', gaveUp: false });
  });

  it('ProcessOfSocket does not climb to a parent whose executable cannot be read', () => {
    const shared = { sockets: { 3: 700 } };
    const search = new ProcessOfSocket(
      procOf({ 10: { ...shared, executable: null }, 11: { parentPid: 10, ...shared } }),
    );
    expect(search.find(700, 0)).toMatchObject({ processes: [{ pid: 11 }] });
  });

  it('ProcessOfSocket names every program that holds the socket, and one process of each', () => {
    const found = (processes: Record<number, FakeProcess>): number[] => {
      const answer = new ProcessOfSocket(procOf(processes)).find(700, 0);
      return answer.kind === 'found' ? answer.processes.map(({ pid }) => pid) : [];
    };
    const ssh = { executable: '/usr/bin/ssh' };
    // The parent became another program and keeps what its child sends by.
    expect(found({ 10: { ...ssh, sockets: { 3: 700 } }, 11: { parentPid: 10, sockets: { 3: 700 } } })).toEqual([
      11, 10,
    ]);
    // The parent moved it to another number.
    expect(found({ 10: { sockets: { 50: 700 } }, 11: { parentPid: 10, ...ssh, sockets: { 3: 700 } } })).toEqual([
      11, 10,
    ]);
    expect(
      found({ 10: { sockets: { 4: 700 } }, 20: { sockets: { 5: 700 } }, 30: { ...ssh, sockets: { 3: 700 } } }),
    ).toEqual([30, 20]);
  });

  it('ProcessOfSocket looks for further holders only of what a process may have inherited, and only where it matters', () => {
    const first: FakeProcess = { executable: '/usr/bin/ssh', sockets: { 3: 700, 4: 701 } };
    const other: FakeProcess = { sockets: { 6: 701 } };
    const processes: Record<number, FakeProcess> = { 10: other, 11: first };
    const search = new ProcessOfSocket(procOf(processes));
    expect(search.find(700, 0)).toMatchObject({ processes: [{ pid: 11 }] });
    expect(search.find(701, 0)).toMatchObject({ processes: [{ pid: 11 }, { pid: 10 }] });
    first.sockets[5] = 702;
    other.sockets[7] = 702;
    const found = search.find(702, 0);
    expect(found).toMatchObject({ processes: { length: 1 } });
    const indifferent = new ProcessOfSocket(procOf(processes));
    expect(indifferent.find(701, 0, () => false)).toMatchObject({ processes: { length: 1 } });
  });
});
