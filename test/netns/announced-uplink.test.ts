/** A neighbour that announces itself as a router is no way out until somebody on this machine says so. */
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { UplinksReport } from '../../src/api/uplinks.ts';
import { INTERNET_HOSTS, LAB_LAN } from '../../src/lab/world.ts';
import { Arrivals } from './support/arrivals.ts';
import { buildProgram } from './support/build-program.ts';
import { Device, UPLINKS } from './support/device.ts';
import { Probe } from './support/probe.ts';
import { until } from './support/until.ts';

const ADVERTISE = fileURLToPath(new URL('./support/advertise.py', import.meta.url));
const SERVER = INTERNET_HOSTS[0] ?? expect.fail('the lab has no host');
const PORT = 7;
const TIMES = 5;
const DEFAULTS = 'etc/pointsman/default.yaml';
const FILE = `${UPLINKS}/neighbour.yaml`;

let device: Device;
let program: Probe;
let arrivals: Arrivals;

/** From a link-local address of the neighbour, as any machine on the link can. */
async function advertise(lifetimeSeconds: number): Promise<void> {
  await device.must('lan', ['python3', ADVERTISE, 'eth0', `${lifetimeSeconds}`, '2001:db8:666::']);
}

async function attempts(): Promise<readonly string[]> {
  const errors: string[] = [];
  for (let i = 0; i < TIMES; i += 1) {
    const socket = { id: `${i}`, kind: 'tcp', host: SERVER.v6, port: PORT, timeoutMs: 500 } as const;
    const answer = await program.open(socket);
    errors.push(answer.ok ? 'connected' : answer.error);
    await program.close(socket.id);
  }
  return errors;
}

const stateOf = async (name: string): Promise<string | undefined> => {
  const { stdout } = await device.pointsman('uplinks', '--json');
  return (JSON.parse(stdout) as UplinksReport).uplinks.find((uplink) => uplink.name === name)?.state;
};

const untilState = (name: string, state: string): Promise<unknown> =>
  until(`${name} ${state}`, async () => (await stateOf(name)) === state);

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('announced');
  const python = device.copyOfPython('probe');
  // As hosts have it; the lab's own links have addresses and routes of the administrator.
  await device.must('device', ['sh', '-c', `echo 1 > /proc/sys/net/ipv6/conf/${LAB_LAN.device}/accept_ra`]);
  // Who answers neighbour discovery as a host is taken for a router no longer (RFC 4861 section 7.2.5).
  await device.must('lan', ['sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1']);
  const via = '{ require: { type: ethernet }, prohibit: { metered: true }, else: block }';
  device.writePolicy('wired', `exec: ${python}`, `otherwise: allow\nvia: ${via}`);
  await device.startDaemon();
  program = Probe.start(device, [python]);
  arrivals = await Arrivals.start(device, { part: 'lan', device: 'eth0', to: [SERVER.v6] });
  await advertise(1800);
});

afterEach(async () => {
  device.remove(FILE);
  device.write(DEFAULTS, 'pointsman: 1\n');
});

afterAll(async () => {
  await program?.[Symbol.asyncDispose]();
  await arrivals?.[Symbol.asyncDispose]();
  await device?.[Symbol.asyncDispose]();
});

describe('a router advertisement', () => {
  it('a router advertisement on a device that nobody made an uplink is shown and meets no `via`', async () => {
    await untilState(LAB_LAN.device, 'not taken');
    await arrivals.take();
    expect(await attempts()).toEqual(Array.from({ length: TIMES }, () => expect.stringMatching(/^E/)));
    expect(await arrivals.take()).toBe(0);
    const { stdout } = await device.pointsman('uplinks');
    expect(stdout).toMatch(/^lan0 +not taken/m);
    expect(stdout).toContain('only router advertisements say that it leads out');
    expect((await device.pointsman('status')).stdout).toMatch(/^lan0 +lan0 +not taken/m);
    const route = await device.pointsman('route', 'wired');
    expect(route.stdout).toContain('found, not taken');
  });

  it('a router advertisement is taken where a file names the device', async () => {
    device.write(FILE, `pointsman: 1\nuplink: neighbour\ndevice: ${LAB_LAN.device}\nprobe: off\n`);
    await untilState('neighbour', 'up');
    await arrivals.take();
    await attempts();
    expect(await arrivals.take()).toBeGreaterThanOrEqual(TIMES);
    device.remove(FILE);
    await untilState(LAB_LAN.device, 'not taken');
    expect(await attempts()).toEqual(Array.from({ length: TIMES }, () => expect.stringMatching(/^E/)));
  });

  it('a router advertisement is taken where the system default trusts what is found', async () => {
    device.write(DEFAULTS, 'pointsman: 1\ntrust-found: true\n');
    await untilState(LAB_LAN.device, 'up');
    await arrivals.take();
    await attempts();
    expect(await arrivals.take()).toBeGreaterThanOrEqual(TIMES);
    device.write(DEFAULTS, 'pointsman: 1\n');
    await untilState(LAB_LAN.device, 'not taken');
  });

  it('a router advertisement does not keep a device from being an uplink that root gives a default route', async () => {
    const route = ['default', 'via', LAB_LAN.v4.far, 'dev', LAB_LAN.device, 'metric', '5000'];
    await device.must('device', ['ip', 'route', 'add', ...route]);
    await untilState(LAB_LAN.device, 'up');
    await device.must('device', ['ip', 'route', 'del', ...route]);
    await untilState(LAB_LAN.device, 'not taken');
  });

  it('a router advertisement that is taken back leaves nothing to be shown', async () => {
    await advertise(0);
    await until('nothing found', async () => (await stateOf(LAB_LAN.device)) === undefined);
  });
});
