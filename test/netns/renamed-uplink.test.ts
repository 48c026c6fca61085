/** Two devices that swap their names, and default routes in the forms that the kernel has for them. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { INTERNET_HOSTS, LAB_UPLINKS, ROUTER_INSIDE } from '../../src/lab/world.ts';
import { Arrivals } from './support/arrivals.ts';
import { buildProgram } from './support/build-program.ts';
import { Device, UPLINKS } from './support/device.ts';
import { Probe } from './support/probe.ts';
import { restoreWifi } from './support/wifi-link.ts';

const SERVER = INTERNET_HOSTS[0] ?? expect.fail('the lab has no host');
const [WIFI] = LAB_UPLINKS;
const GATEWAY = WIFI?.access.v4.far ?? '';
const PORT = 7;
const TIMES = 5;

let device: Device;
let program: Probe;
let byWifi: Arrivals;
let byCell: Arrivals;

const batch = (...lines: readonly string[]): Promise<string> =>
  device.must('device', ['ip', '-batch', '-'], lines.join('\n'));
const swap = (): Promise<string> =>
  batch('link set wifi0 name swap0', 'link set cell0 name wifi0', 'link set swap0 name cell0');

/** What arrives by either, since the last time. */
const arrived = async (): Promise<{ readonly wifi: number; readonly cell: number }> => ({
  wifi: await byWifi.take(),
  cell: await byCell.take(),
});

async function send(id: string): Promise<void> {
  for (let i = 0; i < TIMES; i += 1) await program.echo(id, 100);
}

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('renamed');
  const python = device.copyOfPython('probe');
  device.writePolicy('wifi', `exec: ${python}`, 'otherwise: allow\nvia: { require: { name: wifi }, else: block }');
  await device.startDaemon();
  program = Probe.start(device, [python]);
  byWifi = await Arrivals.start(device, { part: 'wifi', device: ROUTER_INSIDE, to: [SERVER.v4] });
  byCell = await Arrivals.start(device, { part: 'cell', device: ROUTER_INSIDE, to: [SERVER.v4] });
});

afterAll(async () => {
  await program?.[Symbol.asyncDispose]();
  await byWifi?.[Symbol.asyncDispose]();
  await byCell?.[Symbol.asyncDispose]();
  await device?.[Symbol.asyncDispose]();
});

describe('an uplink whose device', () => {
  it('an uplink whose device swaps its name with another one’s ends what lives on it, and goes by the one that is called so', async () => {
    for (const kind of ['udp', 'udp-connected', 'tcp'] as const) {
      await program.open({ id: kind, kind, host: SERVER.v4, port: PORT });
      await send(kind);
    }
    expect((await arrived()).wifi).toBeGreaterThanOrEqual(3 * TIMES);
    await swap();
    try {
      await device.untilStatus('the swap is noticed', ({ uplinks }) =>
        uplinks.some(({ name, addresses }) => name === 'wifi' && addresses.includes('10.20.30.2')),
      );
      await arrived();
      for (const kind of ['udp-connected', 'tcp'] as const) await send(kind);
      expect(await arrived()).toEqual({ wifi: 0, cell: 0 });
      await program.open({ id: 'after', kind: 'udp-connected', host: SERVER.v4, port: PORT });
      await send('after');
      expect(await arrived()).toEqual({ wifi: 0, cell: TIMES });
    } finally {
      await swap();
      await device.untilStatus('as before', ({ uplinks }) =>
        uplinks.some(({ name, addresses }) => name === 'wifi' && addresses.includes('192.168.10.2')),
      );
    }
  });
});

describe('a default route', () => {
  let router = '';
  beforeAll(async () => {
    const shown = await device.must('wifi', ['ip', '-j', '-6', 'addr', 'show', 'dev', ROUTER_INSIDE, 'scope', 'link']);
    const [of] = JSON.parse(shown) as { readonly addr_info: { readonly local?: string }[] }[];
    router = of?.addr_info.find(({ local }) => local !== undefined)?.local ?? '';
  });
  afterEach(async () => {
    device.remove(`${UPLINKS}/none.yaml`);
    await device.run(['ip', 'nexthop', 'flush']);
    await device.must('device', ['sysctl', '-qw', 'net.ipv4.nexthop_compat_mode=1']);
    await restoreWifi(device, 'link set down');
  });

  const FORMS: readonly (readonly [string, (router: string) => readonly string[], boolean])[] = [
    ['by an IPv6 next hop', (by) => [`route add default via inet6 ${by} dev wifi0`], true],
    [
      'of several ways',
      () => [`route add default nexthop via ${GATEWAY} dev wifi0 nexthop via 10.20.30.1 dev cell0`],
      true,
    ],
    [
      'by a next hop that stands for itself',
      () => [`nexthop add id 71 via ${GATEWAY} dev wifi0`, 'route add default nhid 71'],
      true,
    ],
    [
      'by one of which the kernel tells the number alone',
      () => [`nexthop add id 71 via ${GATEWAY} dev wifi0`, 'route add default nhid 71'],
      false,
    ],
    [
      'by an IPv6 one of which the kernel tells the number alone',
      (by) => [`nexthop add id 71 via ${by} dev wifi0`, 'route add default nhid 71'],
      false,
    ],
    [
      'by a group of which the kernel tells the number alone',
      () => [
        `nexthop add id 71 via ${GATEWAY} dev wifi0`,
        'nexthop add id 72 via 10.20.30.1 dev cell0',
        'nexthop add id 73 group 71/72',
        'route add default nhid 73',
      ],
      false,
    ],
    ['in another table', () => [`route add default via ${GATEWAY} dev wifi0 table 300`], true],
  ];

  it.each(FORMS)('a default route %s makes an uplink that carries IPv4', async (_, lines, isToldWhole) => {
    await device.must('device', ['sysctl', '-qw', `net.ipv4.nexthop_compat_mode=${isToldWhole ? 1 : 0}`]);
    await device.must('device', ['ip', 'route', 'del', 'default', 'dev', 'wifi0']);
    await device.untilStatus('wifi without IPv4', ({ uplinks }) =>
      uplinks.some(({ name, v4 }) => name === 'wifi' && !v4),
    );
    const each = lines(router).map((line) => line.split(' '));
    const onlyRoutes = (words: readonly string[]): readonly string[] => (words[0] === 'route' ? ['-4'] : []);
    for (const words of each) await device.must('device', ['ip', ...onlyRoutes(words), ...words]);
    await device.untilStatus('wifi with IPv4', ({ uplinks }) => uplinks.some(({ name, v4 }) => name === 'wifi' && v4));
    await arrived();
    await program.open({ id: 'form', kind: 'udp-connected', host: SERVER.v4, port: PORT });
    await send('form');
    await program.close('form');
    expect(await arrived()).toEqual({ wifi: TIMES, cell: 0 });
    const [, , ...route] = each.at(-1) ?? [];
    await device.must('device', ['ip', '-4', 'route', 'del', ...route]);
  });
});
