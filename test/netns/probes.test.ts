/** Each kind of probe against real hosts: what counts as an answer, as lost, and as not sent at all. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { enterNetworkNamespace } from '../../src/kernel/network-namespace.ts';
import { ProbeSocket } from '../../src/kernel/probe-socket.ts';
import { LAB_UPLINKS, namespaceName } from '../../src/lab/world.ts';
import { type Address, parseAddress } from '../../src/net/address.ts';
import type { ProbeContext, ProbeOutcome } from '../../src/watch/probe.ts';
import { probeDns } from '../../src/watch/probe-dns.ts';
import { probeHttp } from '../../src/watch/probe-http.ts';
import { probeIcmp } from '../../src/watch/probe-icmp.ts';
import { probeTcp } from '../../src/watch/probe-tcp.ts';
import { SocketReadiness } from '../../src/watch/socket-readiness.ts';
import { testBackground } from '../support/test-background.ts';
import { Device } from './support/device.ts';

const HOST = { 4: '203.0.113.10', 6: '2001:db8:113::10' };
const DNS = { 4: '203.0.113.53', 6: '2001:db8:113::53' };
/** No host of the lab: its router says so. */
const NOBODY = { 4: '203.0.113.99', 6: '2001:db8:113::99' };
const CLOSED_PORT = 9;
const TIMEOUT_MS = 3000;
/** For what is to get no answer. */
const SHORT_MS = 300;
const NOTING_ATTEMPTS = 5;
const PING_GROUPS = '/proc/sys/net/ipv4/ping_group_range';

let device: Device;
let readiness: SocketReadiness;

beforeAll(async () => {
  device = await Device.build('probes');
  readiness = new SocketReadiness(testBackground);
});

afterAll(async () => {
  await readiness?.[Symbol.asyncDispose]();
  await device?.[Symbol.asyncDispose]();
});

const address = (text: string): Address => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const WIFI = LAB_UPLINKS.filter(({ name }) => name === 'wifi').map(({ access }) => access);
const wifiSource = (family: 4 | 6): string => WIFI.map(({ v4, v6 }) => (family === 4 ? v4.near : v6.near)).join('');

interface Options {
  readonly source?: string;
  readonly timeoutMs?: number;
}

/** The socket is made in the device; waiting for it can be done from anywhere. */
function inDevice(
  family: 4 | 6,
  { source = wifiSource(family), timeoutMs = TIMEOUT_MS }: Options,
  probe: (context: ProbeContext) => Promise<ProbeOutcome>,
): Promise<ProbeOutcome> {
  using _ = enterNetworkNamespace(`/run/netns/${namespaceName(device.id, 'device')}`);
  return probe({ way: { source: address(source), deviceIndex: 0, mark: 0 }, readiness, timeoutMs });
}

const icmp = (family: 4 | 6, to: string, options: Options = {}) =>
  inDevice(family, options, (context) => probeIcmp(address(to), context));
const tcp = (family: 4 | 6, to: string, port: number, options: Options = {}) =>
  inDevice(family, options, (context) => probeTcp(address(to), port, context));
const dns = (family: 4 | 6, to: string, options: Options = {}) =>
  inDevice(family, options, (context) => probeDns(address(to), 'www.example.org', context));
const http = (family: 4 | 6, path: string, port = 80, options: Options = {}) =>
  inDevice(family, options, (context) =>
    probeHttp({ host: 'www.example.org', address: address(HOST[family]), port, path }, context),
  );

const ANSWERED = { kind: 'answered', rttMs: expect.any(Number) };

/** At the far end: nothing of these gets in, and nobody is told. */
async function silently(matches: string, run: () => Promise<void>): Promise<void> {
  const rules = `table inet silence { chain input { type filter hook input priority 0; ${matches} drop\n }\n}\n`;
  await device.must('net', ['nft', '-f', '-'], rules);
  try {
    await run();
  } finally {
    await device.must('net', ['nft', 'delete', 'table', 'inet', 'silence']);
  }
}

describe.each([4, 6] as const)('probes by IPv%i', (family) => {
  it.each([
    ['nobody may have a ping socket', '1 0'],
    ['everybody may', '0 2147483647'],
  ])('probeIcmp() is answered where %s', async (_, groups) => {
    await device.must('device', ['sh', '-c', `echo "${groups}" > ${PING_GROUPS}`]);
    expect(await icmp(family, HOST[family])).toEqual(ANSWERED);
    expect(await icmp(family, NOBODY[family])).toEqual({ kind: 'lost' });
    await silently('meta l4proto { icmp, ipv6-icmp }', async () => {
      expect(await icmp(family, HOST[family], { timeoutMs: SHORT_MS })).toEqual({ kind: 'lost' });
    });
    const [mine, other] = await Promise.all([icmp(family, HOST[family]), icmp(family, DNS[family])]);
    expect([mine, other]).toEqual([ANSWERED, ANSWERED]);
  });

  it('probeTcp() takes a connection and a refusal for an answer, and silence for none', async () => {
    expect(await tcp(family, HOST[family], 443)).toEqual(ANSWERED);
    expect(await tcp(family, HOST[family], CLOSED_PORT)).toEqual(ANSWERED);
    expect(await tcp(family, NOBODY[family], 443)).toEqual({ kind: 'lost' });
    await silently('tcp dport 443', async () => {
      expect(await tcp(family, HOST[family], 443, { timeoutMs: SHORT_MS })).toEqual({ kind: 'lost' });
    });
  });

  it('probeTcp() leaves no connection behind', async () => {
    await tcp(family, HOST[family], 443);
    expect(await device.must('device', ['ss', '-Htan', 'dport', '=', ':443'])).toBe('');
  });

  it('probeDns() takes any reply for an answer, and that there is no server', async () => {
    expect(await dns(family, DNS[family])).toEqual(ANSWERED);
    expect(await dns(family, HOST[family])).toEqual(ANSWERED);
    await silently('udp dport 53', async () => {
      expect(await dns(family, DNS[family], { timeoutMs: SHORT_MS })).toEqual({ kind: 'lost' });
    });
  });

  it('probeHttp() tells a page without content from one that somebody puts in its place', async () => {
    expect(await http(family, '/generate_204')).toEqual({ ...ANSWERED, captivePortal: false });
    expect(await http(family, '/')).toEqual({ ...ANSWERED, captivePortal: true });
    // Greets, but speaks no HTTP.
    expect(await http(family, '/', 993)).toEqual(ANSWERED);
    expect(await http(family, '/', CLOSED_PORT)).toEqual(ANSWERED);
  });

  it('probeHttp() takes a connection on which nothing comes for lost', async () => {
    // Waits for its client.
    const patient = 443;
    await silently(`tcp dport ${patient} tcp flags & psh == psh`, async () => {
      expect(await http(family, '/', patient, { timeoutMs: SHORT_MS })).toEqual({ kind: 'lost' });
    });
  });

  it('probes say so where nothing leaves: no such address, or no way', async () => {
    const gone = { source: family === 4 ? '192.168.10.77' : '2001:db8:10::77' };
    const unreachable = { kind: 'not sent', because: expect.stringContaining('EADDRNOTAVAIL') };
    expect(await icmp(family, HOST[family], gone)).toEqual(unreachable);
    expect(await tcp(family, HOST[family], 443, gone)).toEqual(unreachable);
    const forbidden = family === 4 ? '192.0.2.0/24' : '2001:db8:2::/64';
    await device.must('device', ['ip', `-${family}`, 'route', 'add', 'prohibit', forbidden]);
    const target = family === 4 ? '192.0.2.9' : '2001:db8:2::9';
    expect(await tcp(family, target, 443)).toEqual({ kind: 'not sent', because: 'EACCES' });
    expect(await dns(family, target)).toEqual({ kind: 'not sent', because: 'EACCES' });
  });
});

describe('probes of a daemon that is busy', () => {
  it.each([
    ['icmp', () => icmp(4, HOST[4], { timeoutMs: SHORT_MS })],
    ['dns', () => dns(6, DNS[6], { timeoutMs: SHORT_MS })],
    ['tcp', () => tcp(4, HOST[4], 443, { timeoutMs: SHORT_MS })],
  ])('%s finds an answer that came in time, and the time it took, when it looks too late', async (_, probe) => {
    using _noting = notesArrivals();
    let rttMs = Number.POSITIVE_INFINITY;
    for (let attempt = 0; attempt < NOTING_ATTEMPTS && rttMs >= 2 * SHORT_MS; attempt += 1) {
      const outcome = probe();
      const untilMs = performance.now() + 2 * SHORT_MS;
      while (performance.now() < untilMs);
      // On a busy machine who is asked may be late, too.
      const answer = await outcome;
      if (answer.kind === 'answered') rttMs = answer.rttMs;
    }
    expect(rttMs).toBeLessThan(2 * SHORT_MS);
  });
});

/** A moment after this the kernel begins to note when packets come in (net_enable_timestamp()), and goes on while it is held. */
function notesArrivals(): Disposable {
  using _ = enterNetworkNamespace(`/run/netns/${namespaceName(device.id, 'device')}`);
  return ProbeSocket.open({ kind: 'udp', source: address(wifiSource(4)), mark: 0 });
}

describe('SocketReadiness', () => {
  it('SocketReadiness ends every wait when it is disposed of', async () => {
    const own = new SocketReadiness(testBackground);
    await silently('tcp dport 443', async () => {
      const entered = enterNetworkNamespace(`/run/netns/${namespaceName(device.id, 'device')}`);
      const way = { source: address(wifiSource(4)), deviceIndex: 0, mark: 0 };
      const probes = Array.from({ length: 20 }, () =>
        probeTcp(address(HOST[4]), 443, { way, readiness: own, timeoutMs: 60_000 }),
      );
      entered[Symbol.dispose]();
      await own[Symbol.asyncDispose]();
      expect(await Promise.all(probes)).toEqual(probes.map(() => ({ kind: 'lost' })));
    });
  });
});
