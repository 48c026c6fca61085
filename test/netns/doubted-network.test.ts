/** What the network of an uplink says to be local is no way around a `via` that protects what it sends. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { UplinksReport } from '../../src/api/uplinks.ts';
import { LAB_UPLINKS, ROUTER_INSIDE } from '../../src/lab/world.ts';
import { Arrivals } from './support/arrivals.ts';
import { buildProgram } from './support/build-program.ts';
import { Device, UPLINKS } from './support/device.ts';
import { Probe } from './support/probe.ts';
import { until } from './support/until.ts';

const [WIFI] = LAB_UPLINKS;
/** Somebody of a private network that one would reach by a VPN. */
const THERE = { v4: '10.1.2.3', v6: 'fd99::3' };
const PORT = 7;
const TIMES = 5;
/** As a lease of 10.0.0.0/8 has it, or a router advertisement of fd00::/8. */
const CLAIMS = ['10.0.0.0/8', 'fd00::/8'];

let device: Device;
let program: Probe;
let python: string;
let arrivals: Arrivals;

const believedNot = async (name: string): Promise<readonly string[]> => {
  const { stdout } = await device.pointsman('uplinks', '--json');
  const report = JSON.parse(stdout) as UplinksReport;
  return report.uplinks.find((uplink) => uplink.name === name)?.notBelieved ?? [];
};

async function send(host: string): Promise<{ readonly refused: number; readonly arrived: number }> {
  await arrivals.take();
  let refused = 0;
  for (let i = 0; i < TIMES; i += 1) {
    const answer = await program.openAndEcho({ id: `${i}`, kind: 'udp-connected', host, port: PORT, timeoutMs: 100 });
    if (!answer.ok && answer.error !== 'timeout') refused += 1;
    await program.close(`${i}`);
  }
  return { refused, arrived: await arrivals.take() };
}

const policy = async (via: string): Promise<void> => {
  device.writePolicy('careful', `exec: ${python}`, `otherwise: allow\nvia: ${via}`);
  await device.pointsman('reload');
};

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('doubted');
  python = device.copyOfPython('probe');
  await device.startDaemon();
  program = Probe.start(device, [python]);
  arrivals = await Arrivals.start(device, {
    part: 'wifi',
    device: ROUTER_INSIDE,
    to: [THERE.v4, THERE.v6, '10.20.30.77', 'fd98::77'],
  });
  for (const [address, length] of [
    [THERE.v4, 8],
    [THERE.v6, 8],
  ] as const) {
    await device.must('wifi', ['ip', 'addr', 'add', `${address}/${length}`, 'dev', ROUTER_INSIDE]);
  }
});

afterEach(async () => {
  for (const claim of CLAIMS) {
    const route = [claim, 'dev', WIFI?.device ?? ''];
    await device.run(['ip', ...(claim.includes(':') ? ['-6'] : []), 'route', 'del', ...route]);
  }
});

afterAll(async () => {
  await program?.[Symbol.asyncDispose]();
  await arrivals?.[Symbol.asyncDispose]();
  await device?.[Symbol.asyncDispose]();
});

const ipOf = (network: string): readonly string[] => (network.includes(':') ? ['ip', '-6'] : ['ip']);

async function claim(): Promise<void> {
  for (const one of CLAIMS) {
    await device.must('device', ['ip', ...(one.includes(':') ? ['-6'] : []), 'route', 'add', one, 'dev', 'wifi0']);
  }
}

describe('a network that an uplink says to be local', () => {
  it.each([
    '{ require: { encrypted: true }, else: block }',
    '{ require: { type: vpn }, else: block }',
    '{ require: { trusted: true }, else: block }',
    '{ require: { name: nowhere }, else: block }',
  ])('a network that an uplink says to be local is not for who has %s', async (via) => {
    await policy(via);
    await claim();
    await until('the claims are seen', async () => (await believedNot('wifi')).join() === CLAIMS.join());
    for (const host of [THERE.v4, THERE.v6]) expect(await send(host)).toEqual({ refused: TIMES, arrived: 0 });
    const { stdout } = await device.pointsman('uplinks');
    expect(stdout).toMatch(/not believed +10\.0\.0\.0\/8, fd00::\/8 to be local/);
  });

  it('a network that an uplink says to be local is reached by that uplink itself, and by who does not mind', async () => {
    await claim();
    for (const via of ['{ require: { name: wifi }, else: block }', '{ prohibit: { metered: true }, else: block }']) {
      await policy(via);
      await until('the claims are seen', async () => (await believedNot('wifi')).length > 0);
      for (const host of [THERE.v4, THERE.v6]) expect((await send(host)).arrived).toBe(TIMES);
    }
  });

  it('a network that an uplink says to be local goes by the VPN that leads there', async () => {
    device.write(`${UPLINKS}/cellular.yaml`, 'pointsman: 1\nuplink: cellular\ndevice: cell0\ntype: vpn\nprobe: off\n');
    await policy('{ require: { type: vpn }, else: block }');
    await claim();
    const byVpn = await Arrivals.start(device, { part: 'cell', device: ROUTER_INSIDE, to: [THERE.v4, THERE.v6] });
    try {
      await until('the claims are seen', async () => (await believedNot('wifi')).length > 0);
      for (const host of [THERE.v4, THERE.v6]) {
        expect((await send(host)).arrived).toBe(0);
        expect(await byVpn.take()).toBeGreaterThanOrEqual(TIMES);
      }
    } finally {
      await byVpn[Symbol.asyncDispose]();
    }
  });

  it('a network that an uplink says to be local is local where the uplink’s file says so', async () => {
    await claim();
    await until('the claims are seen', async () => (await believedNot('wifi')).length > 0);
    const networks = `networks: [${CLAIMS.map((one) => `"${one}"`).join(', ')}]`;
    device.write(`${UPLINKS}/wifi.yaml`, `pointsman: 1\nuplink: wifi\ndevice: wifi0\nprobe: off\n${networks}\n`);
    await policy('{ require: { encrypted: true }, else: block }');
    await until('the file is believed', async () => (await believedNot('wifi')).length === 0);
    for (const host of [THERE.v4, THERE.v6]) expect((await send(host)).arrived).toBe(TIMES);
  });

  it('a network that an uplink says to be local is not where an address of its width brings it', async () => {
    const addresses = ['10.9.9.9/8', 'fd77::7/8'];
    device.write(`${UPLINKS}/wifi.yaml`, 'pointsman: 1\nuplink: wifi\ndevice: wifi0\nprobe: off\n');
    for (const address of addresses) {
      await device.must('device', ['ip', 'addr', 'add', address, 'dev', 'wifi0', 'nodad']);
    }
    try {
      await policy('{ require: { encrypted: true }, else: block }');
      await until('the claims are seen', async () => (await believedNot('wifi')).join() === CLAIMS.join());
      for (const host of [THERE.v4, THERE.v6]) expect(await send(host)).toEqual({ refused: TIMES, arrived: 0 });
    } finally {
      for (const address of addresses) await device.must('device', ['ip', 'addr', 'del', address, 'dev', 'wifi0']);
    }
  });

  it('a network that an uplink says to be local is not where it is a small part of what a VPN leads to', async () => {
    const small = ['10.1.2.0/24', 'fd99::/64'];
    const [, cellular] = LAB_UPLINKS;
    const gateways = [cellular?.access.v4.far ?? '', cellular?.access.v6.far ?? ''];
    device.write(`${UPLINKS}/wifi.yaml`, 'pointsman: 1\nuplink: wifi\ndevice: wifi0\nprobe: off\n');
    device.write(`${UPLINKS}/cellular.yaml`, 'pointsman: 1\nuplink: cellular\ndevice: cell0\ntype: vpn\nprobe: off\n');
    for (const [i, wide] of CLAIMS.entries()) {
      await device.must('device', [
        ...ipOf(wide),
        'route',
        'add',
        wide,
        'via',
        gateways[i] ?? '',
        'dev',
        'cell0',
        'metric',
        '50',
      ]);
    }
    for (const one of small) await device.must('device', [...ipOf(one), 'route', 'add', one, 'dev', 'wifi0']);
    const byVpn = await Arrivals.start(device, { part: 'cell', device: ROUTER_INSIDE, to: [THERE.v4, THERE.v6] });
    try {
      await policy('{ require: { type: vpn }, else: block }');
      await until('the claims are seen', async () => (await believedNot('wifi')).join() === small.join());
      for (const host of [THERE.v4, THERE.v6]) {
        expect((await send(host)).arrived).toBe(0);
        expect(await byVpn.take()).toBeGreaterThanOrEqual(TIMES);
      }
    } finally {
      await byVpn[Symbol.asyncDispose]();
      for (const one of small) await device.run([...ipOf(one), 'route', 'del', one, 'dev', 'wifi0']);
      for (const wide of CLAIMS) await device.run([...ipOf(wide), 'route', 'del', wide, 'dev', 'cell0']);
    }
  });

  it('a network that an uplink says to be local is not where it is a small part of another uplink’s', async () => {
    const small = ['10.20.30.64/26', 'fd98::/66'];
    const away = ['10.20.30.77', 'fd98::77'];
    device.write(`${UPLINKS}/cellular.yaml`, 'pointsman: 1\nuplink: cellular\ndevice: cell0\nprobe: off\n');
    await device.must('device', ['ip', 'addr', 'add', 'fd98::2/64', 'dev', 'cell0', 'nodad']);
    for (const one of away) await device.must('wifi', ['ip', 'addr', 'add', one, 'dev', ROUTER_INSIDE, 'nodad']);
    for (const one of small) await device.must('device', [...ipOf(one), 'route', 'add', one, 'dev', 'wifi0']);
    try {
      await policy('{ require: { name: cellular }, else: block }');
      await until('the claims are seen', async () => (await believedNot('wifi')).join() === small.join());
      for (const host of away) expect((await send(host)).arrived, host).toBe(0);
      // Who does not mind goes where the route leads: that it does is what makes the rest worth something.
      await policy('{ prohibit: { metered: true }, else: any }');
      for (const host of away) expect((await send(host)).arrived, host).toBe(TIMES);
    } finally {
      for (const one of small) await device.run([...ipOf(one), 'route', 'del', one, 'dev', 'wifi0']);
      await device.must('device', ['ip', 'addr', 'del', 'fd98::2/64', 'dev', 'cell0']);
    }
  });
});
