/** What a tunnel costs is what carries it costs, at the moment; and what only looks like a VPN is none. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { UplinkReport, UplinksReport } from '../../src/api/uplinks.ts';
import { INTERNET_HOSTS, LAB_UPLINKS, ROUTER_INSIDE } from '../../src/lab/world.ts';
import { Arrivals } from './support/arrivals.ts';
import { buildProgram } from './support/build-program.ts';
import { Device, UPLINKS } from './support/device.ts';
import { Probe } from './support/probe.ts';
import { until } from './support/until.ts';

const TUNNEL = fileURLToPath(new URL('./support/tunnel.py', import.meta.url));
/** Who carries on at the other end of the tunnel, and who is reached through it. */
const REMOTE = INTERNET_HOSTS[0] ?? expect.fail('the lab has no host');
const INSIDE = INTERNET_HOSTS[1] ?? expect.fail('the lab has one host');
const [WIFI, CELLULAR] = LAB_UPLINKS;
const CELL_GATEWAY = CELLULAR?.access.v4.far ?? '';
const PORT = 9;
const TIMES = 5;
const FILE = `${UPLINKS}/tunnel.yaml`;

let device: Device;
let program: Probe;
let python: string;
let byWifi: Arrivals;
let byCell: Arrivals;
let holder: ChildProcess | undefined;

const ip = (...args: readonly string[]): Promise<string> => device.must('device', ['ip', ...args]);

const uplinkNamed = async (name: string): Promise<UplinkReport | undefined> => {
  const { stdout } = await device.pointsman('uplinks', '--json');
  return (JSON.parse(stdout) as UplinksReport).uplinks.find((uplink) => uplink.name === name);
};
const propertyOf = async (name: string, property: string): Promise<string> => {
  const uplink = await uplinkNamed(name);
  const shown = uplink?.properties.find((each) => each.name === property);
  return `${uplink?.state}: ${shown?.value} (${shown?.source})`;
};
const untilProperty = (name: string, property: string, text: string): Promise<unknown> =>
  until(`${name} ${property} ${text}`, async () => (await propertyOf(name, property)) === text);

/** A tunnel with an address and a default route that comes after all others. */
async function makeTunnel(name: string, how: 'connected' | 'unconnected', own = '10.99.0.2'): Promise<void> {
  const [command = '', ...args] = device.inside(['python3', TUNNEL, name, REMOTE.v4, '9999', how]);
  holder = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  if (holder.stdout === null) throw new Error('no output');
  await once(holder.stdout, 'data');
  const lines = [`link set ${name} up`, `addr add ${own}/32 dev ${name}`, `route add default dev ${name} metric 900`];
  await device.must('device', ['ip', '-batch', '-'], lines.join('\n'));
}

/** Datagrams of the policy's program to somebody beyond the tunnel, and what arrived at the tunnel's other end by each. */
async function send(): Promise<{ readonly refused: number; readonly wifi: number; readonly cell: number }> {
  await byWifi.take();
  await byCell.take();
  let refused = 0;
  for (let i = 0; i < TIMES; i += 1) {
    const socket = { id: `${i}`, kind: 'udp-connected', host: INSIDE.v4, port: PORT, timeoutMs: 100 } as const;
    const answer = await program.openAndEcho(socket);
    if (!answer.ok && answer.error !== 'timeout') refused += 1;
    await program.close(socket.id);
  }
  return { refused, wifi: await byWifi.take(), cell: await byCell.take() };
}

const REFUSED = { refused: TIMES, wifi: 0, cell: 0 };
const policy = (via: string): void => device.writePolicy('carried', `exec: ${python}`, `otherwise: allow\nvia: ${via}`);
const NO_METERED = (name: string): string => `{ require: { name: ${name} }, prohibit: { metered: true }, else: block }`;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('carried');
  python = device.copyOfPython('probe');
  await device.startDaemon();
  program = Probe.start(device, [python]);
  const to = [REMOTE.v4, INSIDE.v4];
  byWifi = await Arrivals.start(device, { part: 'wifi', device: ROUTER_INSIDE, to });
  byCell = await Arrivals.start(device, { part: 'cell', device: ROUTER_INSIDE, to });
});

afterEach(async () => {
  holder?.kill('SIGKILL');
  if (holder?.exitCode === null && holder.signalCode === null) await once(holder, 'close');
  holder = undefined;
  device.remove(FILE);
});

afterAll(async () => {
  await program?.[Symbol.asyncDispose]();
  await byWifi?.[Symbol.asyncDispose]();
  await byCell?.[Symbol.asyncDispose]();
  await device?.[Symbol.asyncDispose]();
});

describe('an uplink that others carry', () => {
  it('an uplink that is a tun device costs what the uplink of its process’s socket costs, and follows it', async () => {
    policy(NO_METERED('tun9'));
    await makeTunnel('tun9', 'connected');
    await untilProperty('tun9', 'metered', 'up: no (carrier)');
    expect(await send()).toMatchObject({ refused: 0, cell: 0 });
    expect(await send()).toMatchObject({ wifi: TIMES });
    await ip('route', 'add', REMOTE.v4, 'via', CELL_GATEWAY, 'dev', 'cell0');
    await untilProperty('tun9', 'metered', 'up: yes (carrier)');
    expect(await send()).toEqual(REFUSED);
    await ip('route', 'del', REMOTE.v4, 'via', CELL_GATEWAY, 'dev', 'cell0');
    await untilProperty('tun9', 'metered', 'up: no (carrier)');
    expect(await send()).toMatchObject({ refused: 0, wifi: TIMES, cell: 0 });
  });

  it('an uplink whose carrier nobody knows may cost, unless a file says otherwise', async () => {
    policy(NO_METERED('tun8'));
    await makeTunnel('tun8', 'unconnected');
    await untilProperty('tun8', 'metered', 'up: yes (unknown carrier)');
    expect(await send()).toEqual(REFUSED);
    policy(NO_METERED('tunnel'));
    device.write(FILE, 'pointsman: 1\nuplink: tunnel\ndevice: tun8\nmetered: false\nprobe: off\n');
    await untilProperty('tunnel', 'metered', 'up: no (file)');
    expect(await send()).toMatchObject({ refused: 0, wifi: TIMES });
  });

  it('an uplink that is a macvlan on a modem costs what the modem costs', async () => {
    policy(NO_METERED('mac9'));
    const lines = [
      'link add mac9 link cell0 type macvlan mode bridge',
      'link set mac9 up',
      'addr add 10.20.30.9/24 dev mac9',
      `route add default via ${CELL_GATEWAY} dev mac9 metric 900`,
    ];
    await device.must('device', ['ip', '-batch', '-'], lines.join('\n'));
    try {
      await untilProperty('mac9', 'metered', 'up: yes (carrier)');
      expect(await propertyOf('mac9', 'type')).toBe('up: cellular (carrier)');
      expect(await send()).toEqual(REFUSED);
    } finally {
      await ip('link', 'del', 'mac9');
    }
  });

  it('an uplink that is a VXLAN costs what the way to its other end costs', async () => {
    policy(NO_METERED('vx9'));
    const lines = [
      `route add ${REMOTE.v4} via ${CELL_GATEWAY} dev cell0`,
      `link add vx9 type vxlan id 9 remote ${REMOTE.v4} dstport 4789`,
      'link set vx9 up',
      'addr add 10.98.0.2/24 dev vx9',
      'neigh replace 10.98.0.1 lladdr 00:00:5e:00:53:01 dev vx9 nud permanent',
      'route add default via 10.98.0.1 dev vx9 metric 900',
    ];
    await device.must('device', ['ip', '-batch', '-'], lines.join('\n'));
    try {
      await untilProperty('vx9', 'metered', 'up: yes (carrier)');
      expect(await send()).toEqual(REFUSED);
      await ip('route', 'del', REMOTE.v4, 'via', CELL_GATEWAY, 'dev', 'cell0');
      await untilProperty('vx9', 'metered', 'up: no (carrier)');
    } finally {
      await ip('link', 'del', 'vx9');
    }
  });

  it.each([
    ['a tun device that nobody says to be a VPN', 'tun7', '10.99.0.2', 'up: other (default)'],
    ['a CLAT', 'clat', '192.0.0.1', 'up: wifi (carrier)'],
  ])('an uplink that is %s is no VPN', async (_, name, own, type) => {
    policy('{ require: { type: vpn }, else: block }');
    await makeTunnel(name, 'connected', own);
    await untilProperty(name, 'type', type);
    expect(await send()).toEqual(REFUSED);
  });

  it('an uplink that is a tun device by which all goes in halves counts as a VPN', async () => {
    policy('{ require: { type: vpn }, else: block }');
    await makeTunnel('tun6', 'connected');
    await ip('route', 'add', REMOTE.v4, 'via', WIFI?.access.v4.far ?? '', 'dev', 'wifi0');
    for (const half of ['0.0.0.0/1', '128.0.0.0/1']) await ip('route', 'add', half, 'dev', 'tun6');
    await untilProperty('tun6', 'type', 'up: vpn (kernel, guess)');
    expect(await send()).toMatchObject({ refused: 0, wifi: TIMES });
    await ip('route', 'del', REMOTE.v4, 'dev', 'wifi0');
  });
});
