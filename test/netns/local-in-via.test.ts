/** `local` in a `via`: private networks and the link's own by the VPN alone, or not at all; the other ends count what arrives. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INTERNET_HOSTS, LAB_LAN, LAB_UPLINKS, ROUTER_INSIDE } from '../../src/lab/world.ts';
import { Arrivals } from './support/arrivals.ts';
import { buildProgram } from './support/build-program.ts';
import { Device, UPLINKS } from './support/device.ts';
import { Probe } from './support/probe.ts';
import { until } from './support/until.ts';

const SERVER = INTERNET_HOSTS[0] ?? expect.fail('the lab has no host');
const [WIFI] = LAB_UPLINKS;
const ROUTER = WIFI?.access ?? expect.fail('the lab has no wifi');
/** Private and connected: the LAN, and the wireless network's own. Its IPv6 is of global addresses, which are never local. */
const NEIGHBOURS = [LAB_LAN.v4.far, LAB_LAN.v6.far, ROUTER.v4.far];
/** Of networks that the wireless one claims by a lease or a router advertisement. */
const CLAIMS = ['10.0.0.0/8', '10.1.2.0/24', 'fd00::/8'];
const CLAIMED = ['10.1.2.3', '10.99.2.3', 'fd99::3'];
const EVERYBODY = [...NEIGHBOURS, ...CLAIMED, SERVER.v4, SERVER.v6];
const PORT = 7;
const TIMES = 5;

let device: Device;
let program: Probe;
let python: string;
let ends: readonly (readonly [string, Arrivals])[] = [];

interface Fared {
  readonly refused: number;
  /** By the far end of each link. */
  readonly arrived: Readonly<Record<string, number>>;
}

async function take(): Promise<Fared['arrived']> {
  const counts = await Promise.all(ends.map(async ([name, end]) => [name, await end.take()] as const));
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

async function send(host: string): Promise<Fared> {
  await take();
  let refused = 0;
  for (let i = 0; i < TIMES; i += 1) {
    const answer = await program.openAndEcho({ id: `${i}`, kind: 'udp-connected', host, port: PORT, timeoutMs: 100 });
    if (!answer.ok && answer.error !== 'timeout') refused += 1;
    await program.close(`${i}`);
  }
  return { refused, arrived: await take() };
}

/** Everything arrives at this end, and nothing at another. */
async function expectAllBy(end: string, hosts: readonly string[]): Promise<void> {
  for (const host of hosts) {
    const { arrived } = await send(host);
    expect(Object.keys(arrived), host).toEqual([end]);
    expect(arrived[end], host).toBeGreaterThanOrEqual(TIMES);
  }
}

async function policy(via: string): Promise<void> {
  device.writePolicy('chat', `exec: ${python}`, `otherwise: allow\nvia: ${via}`);
  expect(await device.pointsman('reload')).toMatchObject({ exitCode: 0 });
}

const explained = async (host: string): Promise<string> =>
  (await device.pointsman('explain', python, host.includes(':') ? `[${host}]:${PORT}` : `${host}:${PORT}`)).stdout;

const claim = (verb: 'add' | 'del', one: string): Promise<string> =>
  device.must('device', ['ip', one.includes(':') ? '-6' : '-4', 'route', verb, one, 'dev', 'wifi0']);

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('localvia');
  python = device.copyOfPython('probe');
  // Its other end plays the VPN's.
  device.write(`${UPLINKS}/cellular.yaml`, 'pointsman: 1\nuplink: cellular\ndevice: cell0\ntype: vpn\nprobe: off\n');
  await device.startDaemon();
  await device.untilUplink('cellular', true);
  program = Probe.start(device, [python]);
  ends = [
    ['vpn', await Arrivals.start(device, { part: 'cell', device: ROUTER_INSIDE, to: EVERYBODY })],
    ['wifi', await Arrivals.start(device, { part: 'wifi', device: ROUTER_INSIDE, to: EVERYBODY })],
    ['lan', await Arrivals.start(device, { part: 'lan', device: 'eth0', to: EVERYBODY })],
  ];
  // So that what is claimed would be there.
  for (const one of ['10.1.2.3/8', '10.99.2.3/8', 'fd99::3/8'])
    await device.must('wifi', [
      'ip',
      'addr',
      'add',
      one,
      'dev',
      ROUTER_INSIDE,
      ...(one.includes(':') ? ['nodad'] : []),
    ]);
});

afterAll(async () => {
  await program?.[Symbol.asyncDispose]();
  for (const [, end] of ends) await end[Symbol.asyncDispose]();
  await device?.[Symbol.asyncDispose]();
});

describe('local in a via', () => {
  it('local: system reaches connected private networks directly, as no word does', async () => {
    for (const local of ['', ', local: system']) {
      await policy(`{ require: { type: vpn }, else: block${local} }`);
      await expectAllBy('lan', [LAB_LAN.v4.far, LAB_LAN.v6.far]);
      await expectAllBy('wifi', [ROUTER.v4.far]);
      await expectAllBy('vpn', [SERVER.v4, SERVER.v6]);
    }
  });

  it('local: via sends private networks, too, into the VPN, and nothing by their own devices', async () => {
    await policy('{ require: { type: vpn }, else: block, local: via }');
    await expectAllBy('vpn', [...NEIGHBOURS, SERVER.v4, SERVER.v6]);
    expect(await explained(LAB_LAN.v4.far)).toMatch(/uplink cellular/);
  });

  it('local: via is not beaten by what another network claims to have, wide or narrow', async () => {
    await policy('{ require: { type: vpn }, else: block, local: via }');
    for (const one of CLAIMS) await claim('add', one);
    await until('the claims are seen', async () => (await device.pointsman('uplinks')).stdout.includes('fd00::/8'));
    await expectAllBy('vpn', CLAIMED);
    // Nor for who asks for no VPN: the word alone says it.
    await policy('{ prefer: { type: vpn }, local: via }');
    await expectAllBy('vpn', [...CLAIMED, ...NEIGHBOURS]);
    for (const one of CLAIMS) await claim('del', one);
  });

  it('local: block refuses what is local at once, and lets all else by the uplink', async () => {
    await policy('{ require: { type: vpn }, else: block, local: block }');
    for (const host of NEIGHBOURS) {
      expect(await send(host), host).toEqual({ refused: TIMES, arrived: {} });
      const opened = await program.open({ id: 'tcp', kind: 'tcp', host, port: PORT, timeoutMs: 5000 });
      expect(opened, host).toMatchObject({ ok: false, error: 'ECONNREFUSED' });
      await program.close('tcp');
    }
    await expectAllBy('vpn', [SERVER.v4, SERVER.v6]);
    expect(await explained(LAB_LAN.v6.far)).toContain('blocks what is local');
  });

  it('local: via refuses private networks where the VPN is gone', async () => {
    await policy('{ require: { type: vpn }, else: block, local: via }');
    await device.must('device', ['ip', 'link', 'set', 'cell0', 'down']);
    await device.untilUplink('cellular', false);
    for (const host of [...NEIGHBOURS, SERVER.v4, SERVER.v6])
      expect(await send(host), host).toEqual({ refused: TIMES, arrived: {} });
  });
});
