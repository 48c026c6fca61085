import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Address, parseAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import {
  type IdentityHint,
  identifyFlow as identifyWith,
  type OpenIdentitySources,
  openIdentitySources,
} from './identify-flow.ts';
import type { PolicyNames } from './policy-names.ts';

const FREE_PORT = 9;
/** Policies name every executable, so that each is proven. */
const everything: PolicyNames = {
  hasExecutable: () => true,
  executables: () => [],
  placeOf: (path) => path,
  scripts: new Set(),
  anyChildren: false,
  families: () => [],
  familyOf: () => undefined,
  programOf: () => undefined,
};
const identifyFlow = (from: OpenIdentitySources, flow: Flow, hint: Partial<IdentityHint> = {}) =>
  identifyWith(from, flow, { names: everything, ...hint });

let sources: OpenIdentitySources;
let closing: (() => void)[];

beforeEach(() => {
  sources = openIdentitySources();
  closing = [() => sources[Symbol.dispose]()];
});

afterEach(() => {
  for (const close of closing.reverse()) close();
});

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

function flowOf(protocol: number, from: readonly [string, number], to: readonly [string, number]): Flow {
  const [source, destination] = [address(from[0]), address(to[0])];
  return { protocol, source, destination, sourcePort: from[1], destinationPort: to[1], loopback: true };
}

const self = (): unknown => ({
  kind: 'process',
  pid: process.pid,
  uid: process.geteuid?.(),
  executable: process.execPath,
});

async function listening(server: Server, host: string): Promise<number> {
  closing.push(() => server.close());
  await once(server.listen(0, host), 'listening');
  const at = server.address();
  return typeof at === 'object' && at !== null ? at.port : 0;
}

async function connected(options: { host: string; port: number }): Promise<{ socket: Socket; port: number }> {
  const socket = connect(options);
  closing.push(() => socket.destroy());
  await once(socket, 'connect');
  return { socket, port: socket.localPort ?? 0 };
}

/** Programs that are not this one: each prints its port and waits. */
const child = (script: string): Promise<{ process: ChildProcess; port: number }> => perl('-e', script);

async function perl(...args: readonly string[]): Promise<{ process: ChildProcess; port: number }> {
  const started = spawn('/usr/bin/perl', ['-MSocket', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  closing.push(() => {
    // The whole group: a fork of it would keep our end of the pipe open.
    if (started.pid !== undefined && started.exitCode === null && started.signalCode === null)
      process.kill(-started.pid, 'SIGKILL');
  });
  const [text] = await once(started.stdout, 'data');
  return { process: started, port: Number(String(text)) };
}

const UDP_CHILD = `
$| = 1; socket(S, AF_INET, SOCK_DGRAM, 0); bind(S, pack_sockaddr_in(0, INADDR_LOOPBACK));
print((unpack_sockaddr_in(getsockname(S)))[0]); sleep 60`;
const FORKING_CHILD = `
$| = 1; socket(S, AF_INET, SOCK_DGRAM, 0); bind(S, pack_sockaddr_in(0, INADDR_LOOPBACK));
if (fork() == 0) { sleep 60 }
print((unpack_sockaddr_in(getsockname(S)))[0]); sleep 60`;
const RAW_CHILD = `$| = 1; socket(S, AF_INET, SOCK_RAW, 253); print(0); sleep 60`;

describe('identifyFlow on TCP', () => {
  it.each(['127.0.0.1', '::1'])('identifyFlow finds the process of a connection to %s', async (host) => {
    const port = await listening(createServer(), host);
    const client = await connected({ host, port });
    expect(identifyFlow(sources, flowOf(IPPROTO_TCP, [host, client.port], [host, port]))).toMatchObject(
      self() as object,
    );
  });

  it('identifyFlow finds an AF_INET6 socket that speaks IPv4', async () => {
    const port = await listening(createServer(), '127.0.0.1');
    const client = await connected({ host: '::ffff:127.0.0.1', port });
    const flow = flowOf(IPPROTO_TCP, ['127.0.0.1', client.port], ['127.0.0.1', port]);
    expect(identifyFlow(sources, flow)).toMatchObject(self() as object);
  });

  it('identifyFlow says that a connection has ended whose packets no socket sends any more', () => {
    const flow = { ...flowOf(IPPROTO_TCP, ['127.0.0.1', 1], ['127.0.0.1', 2]), midstream: true } as const;
    for (const hint of [{}, { uid: 'none' }] as const)
      expect(identifyFlow(sources, flow, hint)).toMatchObject({ kind: 'unknown', ended: true });
    expect(identifyFlow(sources, { ...flow, inbound: true })).not.toHaveProperty('ended');
  });

  it('identifyFlow says that no socket is there when none is', () => {
    const owner = identifyFlow(sources, flowOf(IPPROTO_TCP, ['127.0.0.1', FREE_PORT], ['127.0.0.1', FREE_PORT]));
    expect(owner).toEqual({ kind: 'unknown', because: 'no socket has this address and port any more' });
  });

  it('identifyFlow takes what opens a connection and has no socket any more for nobody’s, also where it has no user', () => {
    const flow = flowOf(IPPROTO_TCP, ['127.0.0.1', FREE_PORT], ['127.0.0.1', FREE_PORT]);
    const because = 'no socket has this address and port any more';
    expect(identifyFlow(sources, flow, { uid: 'none' })).toEqual({ kind: 'unknown', because });
    // As a reset is.
    const ended = identifyFlow(sources, { ...flow, midstream: true }, { uid: 'none' });
    expect(ended).toEqual({ kind: 'unknown', because, ended: true });
  });

  it('identifyFlow tells a connection that came in from one that went out, where it shows up in mid-stream', async () => {
    const server = createServer();
    const accepted = once(server, 'connection');
    const port = await listening(server, '127.0.0.1');
    const client = await connected({ host: '127.0.0.1', port });
    await accepted;
    const out = { ...flowOf(IPPROTO_TCP, ['127.0.0.1', client.port], ['127.0.0.1', port]), midstream: true } as const;
    const back = { ...flowOf(IPPROTO_TCP, ['127.0.0.1', port], ['127.0.0.1', client.port]), midstream: true } as const;
    expect(identifyFlow(sources, out)).not.toHaveProperty('accepted');
    expect(identifyFlow(sources, back)).toMatchObject({ ...(self() as object), accepted: true });
  });

  it('identifyFlow gives an answer that is not accepted yet to the listener', async () => {
    const port = await listening(createServer(), '127.0.0.1');
    const flow = flowOf(IPPROTO_TCP, ['127.0.0.1', port], ['127.0.0.1', FREE_PORT]);
    expect(identifyFlow(sources, flow, { uid: 'none' })).toMatchObject(self() as object);
  });
});

describe('identifyFlow on UDP', () => {
  it.each([
    ['udp4', '127.0.0.1', 'connected'],
    ['udp4', '127.0.0.1', 'unconnected'],
    ['udp6', '::1', 'connected'],
    ['udp6', '::1', 'unconnected'],
  ] as const)('identifyFlow finds the %s socket to %s, %s', async (type, host, how) => {
    const socket = createSocket(type);
    closing.push(() => socket.close());
    await new Promise<void>((done) => {
      if (how === 'connected') socket.connect(FREE_PORT, host, done);
      else socket.bind(0, done);
    });
    const flow = flowOf(IPPROTO_UDP, [host, socket.address().port], [host, FREE_PORT]);
    expect(identifyFlow(sources, flow)).toMatchObject(self() as object);
  });

  it('identifyFlow finds the dual-stack socket behind an IPv4 datagram', async () => {
    const socket = createSocket('udp6');
    closing.push(() => socket.close());
    await new Promise<void>((done) => socket.bind(0, done));
    const flow = flowOf(IPPROTO_UDP, ['127.0.0.1', socket.address().port], ['127.0.0.1', FREE_PORT]);
    expect(identifyFlow(sources, flow)).toMatchObject(self() as object);
  });

  it('identifyFlow finds a connected socket whose datagram goes elsewhere', async () => {
    const socket = createSocket('udp4');
    closing.push(() => socket.close());
    await new Promise<void>((done) => socket.connect(FREE_PORT, '127.0.0.1', done));
    const flow = flowOf(IPPROTO_UDP, ['127.0.0.1', socket.address().port], ['127.0.0.2', FREE_PORT + 1]);
    expect(identifyFlow(sources, flow)).toMatchObject(self() as object);
  });

  it('identifyFlow tells another program from this one, and says when it is gone', async () => {
    const { process: other, port } = await child(UDP_CHILD);
    const flow = flowOf(IPPROTO_UDP, ['127.0.0.1', port], ['127.0.0.1', FREE_PORT]);
    const owner = identifyFlow(sources, flow);
    expect(owner).toMatchObject({ kind: 'process', pid: other.pid });
    expect(owner.kind === 'process' && owner.executable).toBe('/usr/bin/perl');
    expect(owner).not.toHaveProperty('commandLine');
    other.kill('SIGKILL');
    await once(other, 'exit');
    expect(identifyFlow(sources, flow)).toMatchObject({ kind: 'unknown' });
  });

  it('identifyFlow weighs a named script that a program was given, as that may interpret it', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'pointsman-outer-'));
    closing.push(() => rmSync(dir, { recursive: true }));
    const [runner, named] = [join(dir, 'runner.pl'), join(dir, 'named')];
    writeFileSync(runner, UDP_CHILD);
    writeFileSync(named, `#!${runner}\n`);
    const names = { ...everything, scripts: new Set([named]) };
    const owners = async (...args: readonly string[]) => {
      const { port } = await perl(...args);
      return identifyFlow(sources, flowOf(IPPROTO_UDP, ['127.0.0.1', port], ['127.0.0.1', FREE_PORT]), { names });
    };
    const weighed = await owners(runner, named);
    expect(weighed).toMatchObject({ kind: 'one of', candidates: [{ kind: 'process' }, { script: named }] });
    expect(weighed.kind === 'one of' && weighed.candidates[0]).not.toHaveProperty('script');
    expect(await owners(runner, runner)).not.toHaveProperty('script');
  });

  it('identifyFlow gives a socket that a fork shares to the process that made it', async () => {
    const { process: maker, port } = await child(FORKING_CHILD);
    const flow = flowOf(IPPROTO_UDP, ['127.0.0.1', port], ['127.0.0.1', FREE_PORT]);
    expect(identifyFlow(sources, flow)).toMatchObject({ kind: 'process', pid: maker.pid });
  });

  it('identifyFlow names the cgroup of the socket where the machine has cgroup2', async () => {
    const { port } = await child(UDP_CHILD);
    const owner = identifyFlow(sources, flowOf(IPPROTO_UDP, ['127.0.0.1', port], ['127.0.0.1', FREE_PORT]));
    expect(owner.kind === 'process' && owner.cgroup).toBe(sources.proc.cgroup(process.pid));
  });
});

describe('identifyFlow on sockets of the kernel’s', () => {
  const flow = flowOf(IPPROTO_TCP, ['10.9.0.2', 40_000], ['10.9.0.1', 443]);
  /** One that no process holds, opened while this user's program ran. */
  const openedAs = (uid: number, cgroupId?: bigint): OpenIdentitySources => ({
    ...sources,
    tables: {
      lookup: () => ({ inode: 1, uid, state: 2, cookie: 7n, ...(cgroupId !== undefined && { cgroupId }) }),
      dump: () => [],
    },
  });

  it('identifyFlow calls one that was opened as root the kernel’s', () => {
    expect(identifyFlow(openedAs(0), flow, { uid: 'none' })).toEqual({ kind: 'kernel' });
  });

  it.each([IPPROTO_TCP, IPPROTO_UDP])(
    'identifyFlow calls one that was opened as a user an unknown program of his, by protocol %i',
    (protocol) => {
      const owner = identifyFlow(openedAs(4242), { ...flow, protocol }, { uid: 'none' });
      expect(owner).toMatchObject({ kind: 'unknown', uid: 4242 });
    },
  );

  describe('that have a file, as those of NFS', () => {
    it('identifyFlow calls one that was made in the root cgroup, and that nobody holds, the kernel’s', () => {
      expect(identifyFlow(openedAs(0, 1n), flow, { uid: 0 })).toEqual({ kind: 'kernel' });
    });

    it.each([
      ['made in another cgroup', { uid: 0, cgroupId: 2n }],
      ['of a cgroup that nobody knows', { uid: 0 }],
      ['a user’s', { uid: 4242, cgroupId: 1n }],
    ] as const)('identifyFlow does not call one the kernel’s that is %s', (_what, { uid, ...made }) => {
      const from = openedAs(uid, 'cgroupId' in made ? made.cgroupId : undefined);
      expect(identifyFlow(from, flow, { uid })).toMatchObject({ kind: 'unknown', uid });
    });
  });
});

describe('identifyFlow on protocols without ports', () => {
  const reply: Flow = {
    protocol: IPPROTO_ICMP,
    source: address('127.0.0.1'),
    destination: address('127.0.0.1'),
    icmp: { type: 0, code: 0, identifier: 7 },
    loopback: true,
  };

  it('identifyFlow calls an echo reply the kernel’s', () => {
    expect(identifyFlow(sources, reply, { uid: 'none' })).toEqual({ kind: 'kernel' });
  });

  it('identifyFlow finds the raw socket of a protocol', async () => {
    const started = await child(RAW_CHILD);
    const { icmp: _icmp, ...flow } = { ...reply, protocol: 253 };
    expect(identifyFlow(sources, flow)).toMatchObject({ kind: 'process', pid: started.process.pid });
  });

  it('identifyFlow does not guess for a fragment that shows no ports', () => {
    const { icmp: _icmp, ...flow } = { ...reply, protocol: IPPROTO_UDP };
    expect(identifyFlow(sources, flow)).toMatchObject({ kind: 'unknown' });
  });
});
