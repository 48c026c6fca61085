import { describe, expect, it } from 'vitest';
import { ExecutableFiles } from '../identify/executable-files.ts';
import { policyNames } from '../identify/policy-names.ts';
import { ProcessReader } from '../identify/process-reader.ts';
import type { SocketTables } from '../identify/socket-diag.ts';
import type { FileIdentity } from '../kernel/file-identity.ts';
import { openProc, type Proc } from '../kernel/proc.ts';
import type { InetSocket } from '../netlink/sock-diag.ts';
import type { EffectivePolicy } from '../policy/effective-policy.ts';
import type { Facts } from '../policy/facts.ts';
import { indexApps } from '../policy/match-app.ts';
import type { Match } from '../policy/model.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { type AppsSources, appsReport } from './apps-report.ts';

interface FakeProcess {
  readonly executable?: string;
  /** Another file than the one of that name here. */
  readonly isForged?: true;
  readonly uid?: number;
  readonly sockets?: readonly number[];
}

const at = { file: 'a.yaml', line: 1, column: 1 };
const names = { users: new Map(), groups: new Map(), containers: new Map(), packages: new Map(), names: new Map() };
const facts: Facts = { uplinks: [], onLink: [], resolvers: [], ...names };

const fileOf = (path: string, device = 1n): FileIdentity => {
  const inode = BigInt([...path].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7));
  return { device, inode, uid: 0n, birthNs: 0n, modifiedNs: 0n };
};

/** Processes that answer as `/proc` does. */
function procOf(processes: Readonly<Record<number, FakeProcess>>): Proc {
  const at = (pid: number): FakeProcess => processes[pid] ?? {};
  return {
    ...openProc('/nowhere'),
    pids: () => Object.keys(processes).map(Number).reverse(),
    stat: (pid) => (pid in processes ? { parentPid: 1, startTimeTicks: pid } : undefined),
    executable: (pid) => at(pid).executable,
    executableFile: (pid) => {
      const { executable, isForged } = at(pid);
      return executable === undefined ? undefined : fileOf(executable, isForged ? 2n : 1n);
    },
    isExecutableDeleted: () => false,
    uid: (pid) => (pid in processes ? (at(pid).uid ?? 0) : undefined),
    gid: () => 0,
    commandLine: (pid) => (at(pid).executable === undefined ? [] : [at(pid).executable ?? '']),
    descriptors: (pid, limit) => [...(at(pid).sockets ?? []).keys()].slice(0, limit),
    socketInode: (pid, descriptor) => at(pid).sockets?.[descriptor],
  };
}

const nobody = { family: 4, value: 0n } as const;
const socketOf = (inode: number): InetSocket => {
  const ends = { local: nobody, localPort: 1, remote: nobody, remotePort: 2 };
  return { family: 4, state: 1, ...ends, interfaceIndex: 0, cookie: 1n, uid: 0, inode };
};

/** All of `inodes` are internet sockets. */
function tablesOf(inodes: readonly number[]): SocketTables {
  return {
    lookup: () => undefined,
    dump: ({ family, protocol }) => (family === 4 && protocol === 6 ? inodes.map(socketOf) : []),
  };
}

function policy(app: string, ...entries: readonly (readonly [Match['kind'], string])[]): EffectivePolicy {
  const match = entries.map(([kind, value]): Match => ({ kind, value, at }));
  return { app, match, rules: [], files: [{ file: `/etc/${app}.yaml`, layer: 'administrator' }] };
}

function sources(
  processes: Readonly<Record<number, FakeProcess>>,
  apps: readonly EffectivePolicy[],
  inodes: readonly number[] = [],
): AppsSources {
  const proc = procOf(processes);
  const index = indexApps({ apps, uplinks: [], systemDefault: builtinSystemDefault });
  return {
    proc,
    reader: new ProcessReader(proc, undefined),
    executables: new ExecutableFiles(proc, { fileAt: (path) => fileOf(path) }),
    tables: tablesOf(inodes),
    index,
    facts,
    names: policyNames(index, undefined),
    ownPid: 999,
    isInOurNetwork: (pid) => pid !== 888,
  };
}

const mail = policy('mail', ['exec', '/bin/mail'], ['exec', '/bin/mail-helper']);

describe('appsReport', () => {
  it('appsReport groups by application, and without one by executable', async () => {
    const processes = {
      10: { executable: '/bin/mail', sockets: [100, 101] },
      11: { executable: '/bin/mail-helper', sockets: [101, 500] },
      12: { executable: '/bin/guest', uid: 7 },
      13: { executable: '/bin/curl', sockets: [102] },
      14: { executable: '/bin/curl', sockets: [102] },
    };
    const report = await appsReport(sources(processes, [mail, policy('guest', ['user', '7'])], [100, 101, 102]));
    expect(report).toEqual({
      programs: [
        {
          app: 'guest',
          executables: ['/bin/guest'],
          toldBy: ['user'],
          processes: 1,
          pids: [12],
          sockets: 0,
          files: ['/etc/guest.yaml'],
        },
        {
          app: 'mail',
          executables: ['/bin/mail', '/bin/mail-helper'],
          toldBy: ['exec'],
          processes: 2,
          pids: [10, 11],
          // A socket of two processes is one, and one that is none of the internet's does not count.
          sockets: 2,
          files: ['/etc/mail.yaml'],
        },
        { executables: ['/bin/curl'], toldBy: [], processes: 2, pids: [13, 14], sockets: 1, files: [] },
      ],
      elsewhere: 0,
    });
  });

  it('appsReport takes no file for another of the same name', async () => {
    const processes = { 10: { executable: '/bin/mail' }, 11: { executable: '/bin/mail', isForged: true as const } };
    const { programs } = await appsReport(sources(processes, [mail]));
    expect(programs).toMatchObject([
      { app: 'mail', pids: [10] },
      { executables: ['/bin/mail'], pids: [11], note: 'it is not the file of that name that the policy is about' },
    ]);
    expect(programs[1]).not.toHaveProperty('app');
  });

  it('appsReport leaves out kernel threads, the daemon, and what is in another network', async () => {
    const processes = { 2: {}, 888: { executable: '/bin/mail' }, 999: { executable: '/bin/node' } };
    expect(await appsReport(sources(processes, [mail]))).toEqual({ programs: [], elsewhere: 1 });
  });

  it('appsReport says what it left out', async () => {
    const processes = { 1: { executable: '/bin/a', sockets: [1, 2] }, 2: { executable: '/bin/a', sockets: [3] } };
    const all = sources(processes, [], [1, 2, 3]);
    expect(await appsReport({ ...all, maxProcesses: 1 })).toMatchObject({
      programs: [{ pids: [1] }],
      incomplete: '1 of 2 processes were not looked at',
    });
    expect(await appsReport({ ...all, maxDescriptors: 2 })).toMatchObject({
      programs: [{ pids: [1, 2], sockets: 2 }],
      incomplete: 'so many descriptors are open that not all sockets were counted',
    });
    expect(await appsReport({ ...all, maxDescriptors: 3 })).not.toHaveProperty('incomplete');
  });
});
