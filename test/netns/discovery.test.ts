/** Uplinks that no file names: found where there are ways out, gone with them, and taken by policies meanwhile. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RouteReport } from '../../src/api/route.ts';
import type { Status, UplinkStatus } from '../../src/api/status.ts';
import type { UplinksReport } from '../../src/api/uplinks.ts';
import { INTERNET_HOSTS, LAB_UPLINKS } from '../../src/lab/world.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device, UPLINKS } from './support/device.ts';
import { Probe } from './support/probe.ts';
import { until } from './support/until.ts';
import { loseWifi, restoreWifi } from './support/wifi-link.ts';

const ECHO_PORT = 7;
/** Opens the device and stays, so that it has a carrier. linux/if_tun.h: TUNSETIFF, IFF_TUN | IFF_NO_PI. */
const HOLD_TUN = `
import fcntl, struct, sys
tun = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", b"tun9", 0x1001))
print("here", flush=True)
sys.stdin.read()
`;

let device: Device;
let daemon: Daemon;
let python: string;

const uplinkNames = ({ uplinks }: Status): string[] => uplinks.map(({ name }) => name).sort();
const untilNames = (...names: string[]): Promise<Status> =>
  device.untilStatus(`uplinks ${names.join(' ')}`, (status) => `${uplinkNames(status)}` === `${names}`);
const uplinkNamed = async (name: string): Promise<UplinkStatus | undefined> =>
  (await device.status()).uplinks.find((uplink) => uplink.name === name);
const ip = (...args: string[]): Promise<string> => device.must('device', ['ip', ...args]);

/** By the file that keeps the numbers. */
function numberOf(name: string): number | undefined {
  const { uplinks } = JSON.parse(readFileSync(device.path('var/lib/pointsman/ids.json'), 'utf8')) as {
    readonly uplinks: Readonly<Record<'inUse' | 'gone', readonly (readonly [string, number])[]>>;
  };
  return [...uplinks.inUse, ...uplinks.gone].find(([each]) => each === name)?.[1];
}

/** The address that the server saw, or the refusal. */
async function connect(program: Probe, id: string): Promise<string> {
  const server = INTERNET_HOSTS[0];
  if (server === undefined) throw new Error('the lab has changed');
  const end = device.seenEnd();
  const answer = await program.openAndEcho({ id, kind: 'tcp', host: server.v4, port: ECHO_PORT });
  if (!answer.ok) return answer.error;
  return device.seenSince(end)[0]?.client ?? 'not seen';
}

/** With `--json`. */
async function ask<T>(...words: readonly string[]): Promise<T> {
  const { stdout, stderr, exitCode } = await device.pointsman(...words, '--json');
  if (exitCode !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as T;
}

const addressOf = (name: string): string => LAB_UPLINKS.find((uplink) => uplink.name === name)?.access.v4.near ?? '';

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('disc');
  python = device.copyOfPython('probe');
  device.remove(UPLINKS);
  daemon = await device.startDaemon();
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await untilNames('cell0', 'wifi0');
});

describe('discovery', () => {
  it('discovery leaves the routing as it is until a policy chooses among what is found', async () => {
    const ours = async (): Promise<boolean> => /^177\d\d:/m.test(await ip('rule'));
    expect(await ours()).toBe(false);
    device.writePolicy('cell', `exec: ${python}`, 'otherwise: allow\nvia: { require: { name: cell0 } }');
    await until('rules of the uplinks', ours);
  });

  it('discovery finds the devices that have a default route, each family by itself, and no others', async () => {
    expect(await uplinkNamed('wifi0')).toMatchObject({ device: 'wifi0', up: true, v4: true, v6: true });
    await ip('-6', 'route', 'del', 'default', 'dev', 'wifi0');
    await device.untilStatus('wifi0 without IPv6', ({ uplinks }) =>
      uplinks.some(({ name, v4, v6 }) => name === 'wifi0' && v4 && !v6),
    );
    await restoreWifi(device, 'link set down');
    await device.untilStatus('wifi0 with IPv6', ({ uplinks }) =>
      uplinks.some(({ name, v6 }) => name === 'wifi0' && v6),
    );
  });

  it('discovery lets policies take what is found, and refuses what is gone', async () => {
    await using program = Probe.start(device, [python]);
    expect(await connect(program, 'first')).toBe(addressOf('cellular'));
    const number = numberOf('cell0');
    expect(number).toBeGreaterThan(0);
    await ip('link', 'set', 'cell0', 'down');
    await untilNames('wifi0');
    expect(await connect(program, 'refused')).toMatch(/^E(HOSTUNREACH|CONNREFUSED|NETUNREACH|ACCES)$/);
    const cellular = LAB_UPLINKS.find(({ name }) => name === 'cellular');
    if (cellular === undefined) throw new Error('the lab has changed');
    const { v4, v6 } = cellular.access;
    const lines = [
      'link set cell0 up',
      `addr replace ${v6.near}/${v6.length} dev cell0 nodad`,
      `route replace default via ${v4.far} dev cell0 metric ${cellular.metric}`,
      `route replace default via ${v6.far} dev cell0 metric ${cellular.metric}`,
    ];
    await device.must('device', ['ip', '-batch', '-'], lines.join('\n'));
    await untilNames('cell0', 'wifi0');
    expect(await connect(program, 'again')).toBe(addressOf('cellular'));
    expect(numberOf('cell0')).toBe(number);
  });

  it('`pointsman uplinks` and `pointsman route` say who uses what is found, how much, and why, also without a daemon', async () => {
    const counts = '/proc/sys/net/netfilter/nf_conntrack_acct';
    await device.must('device', ['sh', '-c', `echo 1 > ${counts}`]);
    await using program = Probe.start(device, [python]);
    expect(await connect(program, 'counted')).toBe(addressOf('cellular'));
    const report = await ask<UplinksReport>('uplinks');
    expect(report.isCounted).toBe(true);
    const [cell, wifi] = ['cell0', 'wifi0'].map((name) => report.uplinks.find((uplink) => uplink.name === name));
    expect(cell?.usedBy[0]).toMatchObject({ app: 'cell' });
    // A handshake, and a byte there and back.
    expect(cell?.usedBy[0]?.packets).toBeGreaterThanOrEqual(5);
    expect(cell?.usedBy[0]?.bytes).toBeGreaterThan(200);
    expect(cell?.takenBy).toEqual([{ because: 'permitted', apps: ['cell'], more: 0 }]);
    expect(wifi?.passedOver).toEqual([{ because: 'required: name cell0', apps: ['cell'], more: 0 }]);

    const route = await ask<RouteReport>('route', 'cell');
    expect(route.rules).toMatchObject([
      { rule: 'otherwise: allow', v4: { way: 'uplink cell0' }, v6: { way: 'uplink cell0' } },
    ]);
    expect(route.traffic[0]).toMatchObject({ way: 'uplink cell0' });
    expect(await ask<RouteReport>('route', `${program.pid}`)).toMatchObject({ app: 'cell' });

    await daemon.stop();
    try {
      await device.must('device', ['sh', '-c', `echo 0 > ${counts}`]);
      const offline = await ask<UplinksReport>('uplinks');
      expect(offline.uplinks.map(({ name, state }) => [name, state])).toEqual([
        ['cell0', 'up'],
        ['wifi0', 'up'],
      ]);
      expect(offline.isCounted).toBe(false);
      const again = await ask<RouteReport>('route', 'cell');
      expect(again.rules).toEqual(route.rules);
    } finally {
      daemon = await device.startDaemon();
    }
  });

  it('discovery follows a device that is deleted and made again, with the same number', async () => {
    const number = numberOf('wifi0');
    await loseWifi(device, 'device deleted');
    await untilNames('cell0');
    await restoreWifi(device, 'device deleted');
    await untilNames('cell0', 'wifi0');
    expect(numberOf('wifi0')).toBe(number);
  });

  it('discovery finds a tunnel with an address and a route, and it goes with the program that made it', async () => {
    const [file = '', ...args] = device.inside([python, '-c', HOLD_TUN]);
    const holder = spawn(file, args);
    try {
      await once(holder.stdout, 'data');
      const lines = ['link set tun9 up', 'addr add 10.99.0.2/32 dev tun9', 'route add 10.99.0.0/24 dev tun9'];
      await device.must('device', ['ip', '-batch', '-'], lines.join('\n'));
      const { uplinks } = await untilNames('cell0', 'tun9', 'wifi0');
      const seen = uplinks.find(({ name }) => name === 'tun9');
      expect(seen).toMatchObject({ up: true, v4: true, v6: false, properties: 'other, metered, roaming' });
      await ip('route', 'del', '10.99.0.0/24', 'dev', 'tun9');
      await untilNames('cell0', 'wifi0');
      await ip('route', 'add', '10.99.0.0/24', 'dev', 'tun9');
      await untilNames('cell0', 'tun9', 'wifi0');
    } finally {
      holder.kill('SIGKILL');
    }
    await untilNames('cell0', 'wifi0');
  });

  it('discovery passes over bridges, their ports and devices that lead nowhere', async () => {
    const lines = [
      'link add docker9 type bridge',
      'addr add 172.31.9.1/24 dev docker9',
      'link set docker9 up',
      'link add port9 type veth peer name inside9',
      'link set port9 master docker9 up',
      'link set inside9 up',
      'addr add 172.31.9.2/24 dev inside9',
    ];
    await device.must('device', ['ip', '-batch', '-'], lines.join('\n'));
    // Once this one is seen, so is all the rest.
    await ip('route', 'add', 'default', 'via', '172.31.9.1', 'dev', 'inside9', 'metric', '5000');
    try {
      await untilNames('cell0', 'inside9', 'wifi0');
    } finally {
      await ip('link', 'del', 'docker9');
      await ip('link', 'del', 'port9');
    }
    await untilNames('cell0', 'wifi0');
  });

  it('discovery gives a device the name of the file that names it, and another one where a file has its name', async () => {
    device.write(`${UPLINKS}/home.yaml`, 'pointsman: 1\nuplink: home\ndevice: wifi0\ntype: wifi\n');
    await untilNames('cell0', 'home');
    device.remove(UPLINKS);
    device.write(`${UPLINKS}/wifi0.yaml`, 'pointsman: 1\nuplink: wifi0\ndevice: none9\n');
    await untilNames('cell0', 'wifi0', 'wifi0-2');
    expect(await uplinkNamed('wifi0-2')).toMatchObject({ device: 'wifi0', up: true });
    device.remove(UPLINKS);
  });

  it('discovery can be switched off', async () => {
    device.write(`${UPLINKS}/home.yaml`, 'pointsman: 1\nuplink: home\ndevice: wifi0\n');
    device.write('etc/pointsman/default.yaml', 'pointsman: 1\nuplinks: files\n');
    await untilNames('home');
    device.remove(UPLINKS);
    device.write('etc/pointsman/default.yaml', 'pointsman: 1\n');
  });
});
