import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseFlowQuery } from '../api/flow-query.ts';
import type { FlowsReport, ProcessReport } from '../api/who.ts';
import {
  type CreatorRecord,
  decodeExecutableKey,
  EXECUTABLE_KEY_BYTES,
  EXECUTABLE_KEY_FIELDS,
  type ExecutableKey,
  type ProgramFile,
} from '../bpf/records.ts';
import { identitySources } from '../identify/identify-flow.ts';
import { policyNames } from '../identify/policy-names.ts';
import { SocketDiag } from '../identify/socket-diag.ts';
import { openCgroupTree } from '../kernel/cgroup.ts';
import { FakeKernel } from '../kernel/fake/fake-kernel.ts';
import { FakeSocketMarks } from '../kernel/fake/fake-socket-marks.ts';
import { nameAtPath } from '../kernel/file-name.ts';
import { openProc } from '../kernel/proc.ts';
import type { SharedSocketMarks } from '../kernel/socket-marks.ts';
import { type Address, parseAddress } from '../net/address.ts';
import { IPPROTO_TCP } from '../net/protocol.ts';
import { PROGRAM_NONE_FIRST, wayMark } from '../plan/reserved.ts';
import type { EffectivePolicy } from '../policy/effective-policy.ts';
import type { Facts } from '../policy/facts.ts';
import { indexApps } from '../policy/match-app.ts';
import type { Match } from '../policy/model.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import type { EvidenceSources } from './evidence-sources.ts';
import { whoIsFlow, whoIsProcess } from './who-report.ts';

const HOST = '127.0.0.1';
const at = { file: '/etc/p.yaml', line: 4, column: 5 };
const NODE = process.execPath;
const PERL = '/usr/bin/perl';

const facts: Facts = {
  uplinks: [],
  onLink: [],
  resolvers: [],
  names: new Map(),
  users: new Map(),
  groups: new Map(),
  packages: new Map(),
  containers: new Map(),
};

let kernel: FakeKernel;
let diag: SocketDiag;
let closing: (() => unknown)[];

beforeEach(() => {
  kernel = new FakeKernel();
  diag = new SocketDiag();
  closing = [() => diag[Symbol.dispose]()];
});

afterEach(() => {
  for (const close of closing.reverse()) close();
});

const policyOf = (app: string, match: Match): EffectivePolicy => ({ app, match: [match], rules: [], files: [] });

/** Real processes and sockets, connections as a test says, and policies by these entries. */
function sources(...matches: readonly Match[]): EvidenceSources {
  return sourcesWith(undefined, ...matches);
}

/** `marks`: what the kernel noted of who made which socket. */
function sourcesWith(marks: SharedSocketMarks | undefined, ...matches: readonly Match[]): EvidenceSources {
  const apps = matches.map((match, i) => policyOf(`app${i}`, match));
  const index = indexApps({ apps, uplinks: [], systemDefault: builtinSystemDefault });
  return {
    ...identitySources(openProc(), diag, openCgroupTree(), marks),
    ...(marks !== undefined && { marks }),
    conntrack: kernel.conntrack,
    routing: kernel.routing,
    index,
    facts,
    names: policyNames(index, undefined),
    numbers: {
      apps: new Map([['app0', 7]]),
      uplinks: new Map(),
      programs: { numbers: new Map(), none: PROGRAM_NONE_FIRST },
    },
    ownPid: 0,
    nowMs: Date.now(),
    isInOurNetwork: () => true,
  };
}

const exec = (value: string): Match => ({ kind: 'exec', value, at });

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

async function flowsOf(evidence: EvidenceSources, text: string): Promise<FlowsReport | undefined> {
  const parsed = parseFlowQuery(text);
  if (!parsed.ok) throw new Error(parsed.message);
  return whoIsFlow(evidence, parsed.value);
}

async function listening(): Promise<number> {
  const server = createServer();
  closing.push(() => server.close());
  await once(server.listen(0, HOST), 'listening');
  return (server.address() as AddressInfo).port;
}

async function connected(port: number): Promise<number> {
  const socket = connect({ host: HOST, port });
  closing.push(() => socket.destroy());
  await once(socket, 'connect');
  return socket.localPort ?? 0;
}

function decided(from: number, to: number, mark: number): void {
  const [source, destination] = [address(HOST), address(HOST)];
  const original = { protocol: IPPROTO_TCP, source, destination, sourcePort: from, destinationPort: to };
  const reply = { ...original, sourcePort: to, destinationPort: from };
  kernel.conntrack.addEntry({ original, reply, id: from, mark, zone: 0, status: 0 });
}

/** A program that is not this one. */
async function perl(script: string, ...args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(PERL, ['-e', `$| = 1; ${script} print "ready"; sleep 60`, ...args]);
  closing.push(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

/** As the kernel has it, but for the generation, which stat(2) does not show. */
function keyOfFile(path: string): ExecutableKey | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  const view = new DataView(new ArrayBuffer(EXECUTABLE_KEY_BYTES));
  const fields = EXECUTABLE_KEY_FIELDS;
  view.setBigUint64(fields.inode, stat.ino, true);
  view.setUint32(fields.device, Number(stat.dev & 0xffffffffn), true);
  view.setBigInt64(fields.changeSeconds, stat.ctimeNs / 1_000_000_000n, true);
  view.setUint32(fields.changeNanoseconds, Number(stat.ctimeNs % 1_000_000_000n), true);
  return decodeExecutableKey(new Uint8Array(view.buffer));
}

/** A kernel that knows the files that are here. */
class RealFiles extends FakeSocketMarks {
  override programFile(path: string): ProgramFile | undefined {
    // What process 1 runs may be hidden, as in a container.
    const key = keyOfFile(path === '/proc/1/exe' ? PERL : path);
    return key && { key, name: nameAtPath(path) };
  }
}

/** A kernel that noted that each socket was made by this process while it ran this file. */
class NotedBy extends RealFiles {
  readonly #noted: CreatorRecord;

  constructor(pid: number, path: string) {
    super();
    const executable = keyOfFile(path);
    const stat = openProc().stat(pid);
    if (executable === undefined || stat === undefined) throw new Error(`process ${pid} has ended`);
    const { startTimeTicks: startTicks } = stat;
    this.#noted = {
      pid,
      startTicks,
      executable,
      number: 0,
      uid: 0,
      gid: 0,
      cgroupId: 1n,
      cgroupIds: [],
      command: 'maker',
    };
  }

  override creatorOf(): CreatorRecord {
    return this.#noted;
  }
}

/** A copy of perl that has a socket open, which outlives exec(2), and goes on when it is told to; and the socket's port. */
async function maker(goOn: string): Promise<{ child: ChildProcess; path: string; port: number; goOn: () => void }> {
  const directory = mkdtempSync(join(tmpdir(), 'who-report-'));
  closing.push(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'maker');
  copyFileSync(PERL, path);
  const open = '$^F = 99; $s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die;';
  const script = `use IO::Socket::INET; $| = 1; ${open} print $s->sockport, "\\n"; <STDIN>; ${goOn}`;
  const child = spawn(path, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  // The whole group: a fork has the socket, too.
  closing.push(() => child.pid !== undefined && process.kill(-child.pid, 'SIGKILL'));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, path, port: Number(line.toString()), goOn: () => child.stdin.write('\n') };
}

describe('whoIsProcess', () => {
  it('whoIsProcess tells a process by its file, with all that says who it is', async () => {
    const child = await perl('', 'a b');
    const report: ProcessReport | undefined = await whoIsProcess(sources(exec('/usr/bin/perl')), child.pid ?? 0);
    expect(report).toMatchObject({
      kind: 'process',
      process: {
        pid: child.pid,
        executable: { path: '/usr/bin/perl', file: 'named', named: '/usr/bin/perl' },
        commandLine: ['/usr/bin/perl', '-e', expect.stringContaining('ready'), 'a b'],
        user: { id: process.geteuid?.() },
        program: { because: expect.stringContaining('not marked') },
      },
      application: { app: 'app0', by: 'exec /usr/bin/perl', at },
      sockets: [],
    });
    expect(report?.process.parents[0]).toEqual({ pid: process.pid, executable: NODE });
    expect(Math.abs((report?.process.startedMs ?? 0) - Date.now())).toBeLessThan(30_000);
  });

  it('whoIsProcess says that no policy is about it, and shows its sockets', async () => {
    const port = await listening();
    const report = await whoIsProcess(sources(exec('/usr/bin/other')), process.pid);
    expect(report?.application).toEqual({ because: 'no policy is about it' });
    expect(report?.process.executable).toMatchObject({ path: NODE, file: 'not named' });
    expect(report?.sockets).toContainEqual(
      expect.objectContaining({
        flow: `tcp ${HOST}:${port}`,
        state: 'listening',
        holders: expect.arrayContaining([{ pid: process.pid, executable: NODE }]),
        creator: { because: expect.stringContaining('the kernel notes nothing') },
      }),
    );
  });

  it('whoIsProcess matches by user where nothing more exact is named', async () => {
    const user = `${process.geteuid?.() ?? 0}`;
    const report = await whoIsProcess(sources({ kind: 'user', value: user, at }), process.pid);
    expect(report?.application).toMatchObject({ app: 'app0', by: `user ${user}` });
  });

  it('whoIsProcess tells a thread of the kernel, and what has ended while its parent looks away', async () => {
    const thread = openProc()
      .pids()
      .find((pid) => openProc().stat(pid)?.parentPid === 2);
    const child = await perl('exit if fork() == 0; sleep 1;');
    const zombie = openProc()
      .pids()
      .find((pid) => openProc().stat(pid)?.parentPid === child.pid);
    const reason = async (pid = 0): Promise<unknown> => (await whoIsProcess(sources(), pid))?.process.executable;
    expect(await reason(zombie)).toEqual({ because: 'it has ended, and its parent has not asked how' });
    // In a container there is none to be seen.
    if (thread !== undefined) expect(await reason(thread)).toEqual({ because: 'it is a thread of the kernel' });
  });

  it('whoIsProcess says what the kernel would mark: who started it before nobody’s, its own number before either', async () => {
    const child = await perl('');
    const [pid, startTicks] = [child.pid ?? 0, openProc().stat(child.pid ?? 0)?.startTimeTicks ?? 0];
    const marks = new RealFiles();
    const programOf = async (of: number): Promise<unknown> =>
      (await whoIsProcess(sourcesWith(marks), of))?.process.program;
    const asked = { because: expect.stringContaining('the daemon is asked') };
    expect(await programOf(pid)).toEqual(asked);
    marks.setNobody({ number: PROGRAM_NONE_FIRST, inAnyCgroup: true });
    expect(await programOf(pid)).toMatchObject({ number: PROGRAM_NONE_FIRST });
    expect(await programOf(1)).toEqual(asked);
    marks.bindTask(pid, startTicks, { number: 13, script: false });
    expect(await programOf(pid)).toMatchObject({ number: 13 });
    const key = marks.keyOfFile(PERL);
    if (key === undefined) throw new Error(PERL);
    marks.setExecutable(key, { number: 7 });
    expect(await programOf(pid)).toMatchObject({ number: 7 });
    marks.bindTask(pid, startTicks, { number: 13, script: true });
    expect(await programOf(pid)).toMatchObject({ number: 13 });
    // What may have a family, and nobody knows whether it has.
    marks.forgetExecutable(key);
    marks.bindTask(pid, startTicks, { number: 0, script: false });
    expect(await programOf(pid)).toEqual(asked);
  });

  it('whoIsProcess knows of no process that has ended', async () => {
    const child = await perl('');
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(await whoIsProcess(sources(), child.pid ?? 0)).toBeUndefined();
  });

  it('whoIsProcess says who the daemon is', async () => {
    const report = await whoIsProcess({ ...sources(exec(NODE)), ownPid: process.pid }, process.pid);
    expect(report?.application).toEqual({ because: 'it is the daemon itself, which may connect' });
  });
});

describe('whoIsFlow', () => {
  it('whoIsFlow joins a decided connection with its socket, its holder and the policy that follows', async () => {
    const port = await listening();
    const local = await connected(port);
    decided(local, port, wayMark(126) | 7);
    const report = await flowsOf(sources(exec(NODE)), `tcp ${HOST}:${local} -> ${HOST}:${port}`);
    expect(report?.flows[0]).toMatchObject({
      flow: `tcp ${HOST}:${local} -> ${HOST}:${port}`,
      direction: 'out',
      conntrack: { app: 'app0', meaning: 'app0, by direct connection' },
      sockets: [
        { state: 'established', holders: [{ pid: process.pid }], cookie: expect.stringMatching(/^[0-9a-f]+$/) },
      ],
      owners: [
        {
          found: 'it holds the socket',
          process: { pid: process.pid },
          application: { app: 'app0', by: `exec ${NODE}`, at },
        },
      ],
    });
    // The other end is this process's, too.
    expect(report?.flows[1]).toMatchObject({ direction: 'in', conntrack: { app: 'app0' } });
    expect(report?.flows).toHaveLength(2);
  });

  it('whoIsFlow tells an open connection that was never decided, and who opened it', async () => {
    const port = await listening();
    const local = await connected(port);
    const report = await flowsOf(sources(), `:${local}`);
    expect(report?.flows.map(({ flow, direction, conntrack }) => [flow, direction, conntrack])).toEqual(
      expect.arrayContaining([
        [
          `tcp ${HOST}:${local} -> ${HOST}:${port}`,
          'out',
          { because: 'no connection of these addresses has been decided' },
        ],
        [`tcp ${HOST}:${port} -> ${HOST}:${local}`, 'in', expect.anything()],
      ]),
    );
  });

  it('whoIsFlow tells who listens', async () => {
    const port = await listening();
    const report = await flowsOf(sources(exec(NODE)), `:${port}`);
    expect(report?.flows).toMatchObject([
      {
        flow: `tcp ${HOST}:${port}`,
        direction: 'waiting for others',
        sockets: [{ state: 'listening' }],
        owners: [{ application: { app: 'app0' } }],
      },
    ]);
  });

  it('whoIsFlow says what is missing where the socket has gone', async () => {
    decided(1, 2, wayMark(0) | 7);
    const report = await flowsOf(sources(), `${HOST}:1`);
    expect(report?.flows).toMatchObject([
      {
        conntrack: { app: 'app0' },
        sockets: { because: 'no socket has this address and port any more' },
        owners: [{ process: { because: expect.anything() }, application: { because: expect.anything() } }],
      },
    ]);
  });

  it('whoIsFlow looks at some of many, and counts the others', async () => {
    for (let port = 1; port <= 40; port++) decided(port, 50_000, wayMark(0));
    const report = await flowsOf(sources(), ':50000');
    expect([report?.flows.length, report?.more]).toEqual([16, 24]);
  });

  it('whoIsFlow says of a maker that runs another program that it does, and not that it has ended', async () => {
    const { child, path, port, goOn } = await maker('exec "/bin/sleep", "60"');
    const evidence = sourcesWith(new NotedBy(child.pid ?? 0, path), exec(path));
    const application = { app: 'app0', by: `exec ${path}` };
    const [before] = (await flowsOf(evidence, `:${port}`))?.flows ?? [];
    expect(before).toMatchObject({ owners: [{ process: { pid: child.pid, executable: { path } }, application }] });
    expect(before?.sockets).toMatchObject([{ creator: { isRunning: true } }]);
    expect(before).not.toHaveProperty('sockets.0.creator.runsNow');
    goOn();
    const sleep = realpathSync('/bin/sleep');
    await expect
      .poll(async () => (await flowsOf(evidence, `:${port}`))?.flows)
      .toMatchObject([
        {
          sockets: [{ creator: { pid: child.pid, isRunning: true, runsNow: sleep, executable: { path } } }],
          owners: [{ process: { because: `process ${child.pid} runs another program now (${sleep})` }, application }],
        },
      ]);
  });

  it('whoIsFlow says of a maker that has ended that it has, though its child has the socket', async () => {
    const { child, path, port, goOn } = await maker('exit if fork() != 0; sleep 60');
    const evidence = sourcesWith(new NotedBy(child.pid ?? 0, path), exec(path));
    const ended = once(child, 'exit');
    goOn();
    await ended;
    const report = await flowsOf(evidence, `:${port}`);
    expect(report?.flows).toMatchObject([
      {
        sockets: [{ creator: { pid: child.pid, isRunning: false } }],
        owners: [{ process: { because: `process ${child.pid} has ended` }, application: { app: 'app0' } }],
      },
    ]);
    expect(report).not.toHaveProperty('flows.0.sockets.0.creator.runsNow');
  });

  it('whoIsFlow shows a maker whose file was removed while it runs', async () => {
    const { child, path, port } = await maker('');
    const evidence = sourcesWith(new NotedBy(child.pid ?? 0, path));
    rmSync(path);
    const report = await flowsOf(evidence, `:${port}`);
    expect(report?.flows).toMatchObject([
      { owners: [{ process: { pid: child.pid, executable: { path, isDeleted: true } } }] },
    ]);
    expect(report).not.toHaveProperty('flows.0.sockets.0.creator.runsNow');
  });

  it('whoIsFlow finds nothing where there is nothing', async () => {
    expect(await flowsOf(sources(), '192.0.2.77:1')).toBeUndefined();
  });
});
