/**
 * Ways out that who knows the field would look for: sockets and packets of an odd shape, and programs that are started in an odd way. The
 * other end counts; a program without a policy shows that each way leads there at all.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Machine } from './daemon/machine.ts';
import { arrivedBy, countArrivals } from './daemon/port-arrivals.ts';
import { DEVICE, eventually, FIRST, heldPackets, inDevice, NET, SECOND, SERVER4, SERVER6 } from './daemon/world.ts';

const SENDER = join(import.meta.dirname, 'support/odd-sender.py');
const PYTHON = '/usr/bin/python3';
/** The routers at the far ends of the uplinks. */
const WIFI_PEER = { [SERVER4]: '10.9.1.1', [SERVER6]: 'fd09:1::1' } as const;
const WIFI_ADDRESS = { [SERVER4]: FIRST.v4, [SERVER6]: FIRST.v6 } as const;
type Host = typeof SERVER4 | typeof SERVER6;
const HOSTS = [SERVER4, SERVER6] as const;

/** Ports of the server, so that what arrives is told apart. */
const PORTS = { free: 80, denied: 81, dropped: 82, routed: 83, kin: 84, routedKin: 7 } as const;
type Who = keyof typeof PORTS;
/** Nobody listens on it there. */
const KNOCKING_PORT = 90;
/** Where somebody listens who takes part in connections of several paths. */
const PATHS_PORTS = { free: 92, denied: 93, routed: 94 } as const;
const ROUTED = 'via: { require: { name: cellular }, else: block }\notherwise: allow\n';

let machine: Machine;

beforeAll(async () => {
  machine = await Machine.build();
  const { root } = machine;
  root.policy('denied', 'otherwise: deny\n');
  root.policy('dropped', 'otherwise: drop\n');
  root.policy('routed', ROUTED);
  root.policy('kin', 'children: same\notherwise: deny\n');
  root.policy('routedKin', `children: same\n${ROUTED}`);
  root.policy('uncalled', 'accept: []\notherwise: drop\n');
  root.program('free');
  const ports = [...Object.values(PORTS), ...Object.values(PATHS_PORTS)];
  countArrivals(ports, ['tcp', 'udp', 'udplite']);
  const daemon = await machine.startDaemon();
  await eventually(
    () => daemon.status(),
    ({ uplinks }) => uplinks.length === 2 && uplinks.every(({ up }) => up),
  );
});

afterAll(async () => {
  await machine?.[Symbol.asyncDispose]();
});

const run = promisify(execFile);

async function send(who: Who, way: string, host: Host, more: readonly string[] = []): Promise<string> {
  const args = [machine.root.program(who), SENDER, way, host, `${PORTS[who]}`, ...more];
  const { stdout } = await run('nsenter', [`--net=/run/netns/${DEVICE}`, ...args], { encoding: 'utf8' });
  return stdout.trim();
}

/** What each said, and by which uplinks something of it has come. */
async function allSent(
  who: readonly Who[],
  way: string,
  host: Host,
  more: (who: Who) => readonly string[] = () => [],
): Promise<Partial<Record<Who, string>>> {
  const said = await Promise.all(who.map(async (one) => [one, await send(one, way, host, more(one))] as const));
  await eventually(heldPackets, (count) => count === 0);
  return Object.fromEntries(
    said.map(([one, text]) => {
      const uplinks = arrivedBy(PORTS[one]);
      return [one, uplinks.length > 0 ? uplinks.join(' and ') : text];
    }),
  );
}

const DATAGRAMS = [
  'datagram',
  'fragments',
  'connected-fragments',
  'corked',
  'segmented',
  'zero-copy',
  'spliced',
  'udp-lite',
  'in-thread',
  'in-user-namespace',
  'in-new-namespaces',
  'forked-twice',
  'orphaned',
  'as-sibling',
  'reconnected',
  'dissolved',
  'datagram-by-ring',
  'datagram-by-ring-worker',
  'datagram-by-ring-poller',
];
const CONNECTIONS = ['tcp', 'fast-open', 'mptcp', 'tcp-by-ring', 'tcp-by-ring-poller'];
const both = (way: string): (readonly [string, Host])[] => HOSTS.map((host) => [way, host] as const);

describe('what may not leave, or by one uplink alone', () => {
  it.each([...DATAGRAMS.flatMap(both), ['mapped', SERVER4] as const])(
    'does not get out by %s to %s',
    async (way, host) => {
      const said = await allSent(['free', 'denied', 'dropped', 'routed'], way, host, () => [WIFI_PEER[host]]);
      expect(said).toEqual({
        free: 'wifi',
        // Whoever lets it go out later hears of nothing.
        denied: way === 'corked' ? 'sent' : 'EPERM',
        dropped: way === 'corked' ? 'sent' : 'EPERM',
        routed: 'cellular',
      });
    },
  );

  it.each([...CONNECTIONS.flatMap(both), ['mapped-tcp', SERVER4] as const])(
    'does not connect by %s to %s',
    async (way, host) => {
      const said = await allSent(['free', 'denied', 'routed'], way, host);
      expect(said).toEqual({ free: 'wifi', denied: 'ECONNREFUSED', routed: 'cellular' });
    },
  );

  it.each([
    ['foreign-source', SERVER4, WIFI_ADDRESS[SERVER4]],
    ['foreign-source', SERVER6, WIFI_ADDRESS[SERVER6]],
    ['sticky-pktinfo', SERVER6, 'u1'],
    ['scoped', SERVER6, 'u1'],
  ] as const)('does not get out by %s to %s, where it names what is not its own way', async (way, host, more) => {
    const said = await allSent(['free', 'denied', 'routed'], way, host, () => [more]);
    expect(said).toEqual({
      free: 'wifi',
      denied: 'EPERM',
      routed: expect.stringMatching(/^(cellular|EPERM)$/),
    });
  });

  it.each(HOSTS)('is let out undecided by root with a mark of wg-quick or Mullvad alone, to %s', async (host) => {
    for (const mark of ['ca6c', '6d6f6c65']) {
      expect(await allSent(['denied'], 'marked', host, () => [mark]), mark).toEqual({ denied: 'wifi' });
    }
    const others = await allSent(['denied'], 'marked', host, () => ['ca6d']);
    expect(others).toEqual({ denied: expect.not.stringMatching(/wifi|cellular/) });
  });

  it.each(HOSTS)('is held to whom it sends to first, with a source route to %s', async (host) => {
    const said = await allSent(['free', 'denied', 'routed'], 'source-route', host, () => [WIFI_PEER[host]]);
    // What is on the link goes there: docs/security.md, "Source routes".
    expect(said).toEqual({ free: 'wifi', denied: 'EPERM', routed: 'wifi' });
  });
});

describe('a connection of several paths (MPTCP)', () => {
  const LISTEN = `
import selectors, socket, sys
held = selectors.DefaultSelector()
for port in sys.argv[1:]:
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 262)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("::", int(port)))
    s.listen()
    held.register(s, selectors.EVENT_READ)
print("ready", flush=True)
kept = []
while True:
    for key, _ in held.select():
        kept.append(key.fileobj.accept()[0])
        kept[-1].send(b"x")
`;

  it.each([
    [SERVER4, [FIRST.v4, SECOND.v4]],
    [SERVER6, [FIRST.v6, SECOND.v6]],
  ] as const)('is held to its policy on each of them, to %s', async (host, addresses) => {
    const args = [
      'nsenter',
      `--net=/run/netns/${NET}`,
      PYTHON,
      '-c',
      LISTEN,
      ...Object.values(PATHS_PORTS).map(String),
    ];
    const [command = '', ...rest] = args;
    const listener = spawn(command, rest);
    await new Promise((resolve) => createInterface({ input: listener.stdout }).once('line', resolve));
    for (const side of [DEVICE, NET])
      execFileSync('nsenter', [`--net=/run/netns/${side}`, 'ip', 'mptcp', 'limits', 'set', 'subflow', '4']);
    for (const [index, address] of addresses.entries())
      inDevice('ip', 'mptcp', 'endpoint', 'add', address, 'dev', `u${index + 1}`, 'subflow');
    try {
      const path = async (who: keyof typeof PATHS_PORTS, way = 'several-paths'): Promise<string> => {
        const args = [machine.root.program(who), SENDER, way, host, `${PATHS_PORTS[who]}`];
        const { stdout } = await run('nsenter', [`--net=/run/netns/${DEVICE}`, ...args], { encoding: 'utf8' });
        await eventually(heldPackets, (count) => count === 0);
        const uplinks = arrivedBy(PATHS_PORTS[who]);
        return uplinks.length > 0 ? uplinks.join(' and ') : stdout.trim();
      };
      expect(await path('free')).toBe('wifi and cellular');
      expect(await path('denied')).toBe('ECONNREFUSED');
      expect(await path('routed')).toBe('cellular');
      // Who opened it is gone when it is looked at.
      expect(await path('routed', 'several-paths-briefly')).toBe('cellular');
    } finally {
      inDevice('ip', 'mptcp', 'endpoint', 'flush');
      listener.kill('SIGKILL');
    }
  });
});

describe('a connection that both ends begin', () => {
  /** Prints what it was told, or the error. */
  const KNOCK = `
import errno, socket, sys
source, local, host, port = sys.argv[1:]
s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.settimeout(30)
s.bind((source, int(local)))
try:
    s.connect((host, int(port)))
    print(s.recv(99).decode())
except OSError as error:
    print(errno.errorcode.get(error.errno, str(error)))
`;

  it.each([
    ['dropped', SERVER4, 40_004, 'x'],
    ['dropped', SERVER6, 40_006, 'x'],
    ['uncalled', SERVER4, 41_004, 'ECONNREFUSED'],
    ['uncalled', SERVER6, 41_006, 'ECONNREFUSED'],
  ] as const)('came in, and is as what `accept` says: %s, with %s from port %d', async (app, host, port, told) => {
    const args = [machine.root.program(app), SENDER, 'simultaneous-open', host, `${KNOCKING_PORT}`, `${port}`];
    const child = spawn('nsenter', [`--net=/run/netns/${DEVICE}`, ...args]);
    const lines = createInterface({ input: child.stdout });
    await new Promise((resolve) => lines.once('line', resolve));
    // It has bound its port, and knocks again and again.
    await eventually(
      () => inDevice('ss', '-Htn', 'state', 'syn-sent', `( sport = :${port} )`),
      (text) => text !== '',
    );
    const knock = ['/usr/bin/python3', '-c', KNOCK, host, `${KNOCKING_PORT}`, WIFI_ADDRESS[host], `${port}`];
    const { stdout } = await run('nsenter', [`--net=/run/netns/${NET}`, ...knock], { encoding: 'utf8' });
    child.kill('SIGKILL');
    expect(stdout.trim()).toBe(told);
  });
});

describe('what is started by who counts with all its children', () => {
  it.each(
    [
      'in-thread',
      'in-user-namespace',
      'in-new-namespaces',
      'forked-twice',
      'orphaned',
      'as-sibling',
      'from-memory',
      'by-loader',
      'from-copy',
    ].flatMap((way) => HOSTS.map((host) => [way, host] as const)),
  )('is of its family: another program, %s, to %s', async (way, host) => {
    const said = await allSent(['denied', 'kin', 'routedKin'], way, host, (who) => [
      PYTHON,
      SENDER,
      'datagram',
      host,
      `${PORTS[who]}`,
    ]);
    // Who is told by a file alone is not told by what he starts.
    expect(said).toEqual({ denied: 'wifi', kin: 'EPERM', routedKin: 'cellular' });
  });
});
