/** What the real NetworkManager says of an uplink holds, live, unless the uplink's file says otherwise. */
import type { ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UplinksReport } from '../../src/api/uplinks.ts';
import { LAB_UPLINKS } from '../../src/lab/world.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device, UPLINKS } from './support/device.ts';
import { ManagedNetwork, stop } from './support/network-manager.ts';
import { until } from './support/until.ts';

let device: Device;
let daemon: Daemon;
let network: ManagedNetwork;
let manager: ChildProcess;

const wifi = LAB_UPLINKS.find(({ name }) => name === 'wifi')?.access;
const profile = (): string[] => {
  if (wifi === undefined) throw new Error('the lab has changed');
  const { v4, v6 } = wifi;
  return [
    ...['type', 'ethernet', 'ifname', 'wifi0', 'con-name', 'Home WLAN'],
    ...['ipv4.method', 'manual', 'ipv4.addresses', `${v4.near}/${v4.length}`, 'ipv4.gateway', v4.far],
    ...['ipv6.method', 'manual', 'ipv6.addresses', `${v6.near}/${v6.length}`, 'ipv6.gateway', v6.far],
    ...['ipv4.dns', '203.0.113.53', 'ipv6.dns', '2001:db8:113::53'],
  ];
};
async function uplinksReport(): Promise<UplinksReport> {
  const { stdout } = await device.pointsman('uplinks', '--json');
  return JSON.parse(stdout) as UplinksReport;
}

/** As `status` shows them. */
const propertiesOf = async (name: string): Promise<string | undefined> =>
  (await device.status()).uplinks.find((uplink) => uplink.name === name)?.properties;
const untilProperties = (name: string, properties: string | undefined): Promise<unknown> =>
  until(`${name} to be ${properties}`, async () => (await propertiesOf(name)) === properties && 'so');

async function setMetered(value: 'yes' | 'no'): Promise<void> {
  await network.nmcli('connection', 'modify', 'Home WLAN', 'connection.metered', value);
  await network.nmcli('device', 'reapply', 'wifi0');
}

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('nm');
  network = await ManagedNetwork.start(device);
  device.remove(UPLINKS);
  daemon = await device.startDaemon({ wrap: (command) => network.withBus(command) });
  await untilProperties('wifi0', 'ethernet');
  manager = await network.startNetworkManager();
});

afterAll(async () => {
  await network?.[Symbol.asyncDispose]();
  await device?.[Symbol.asyncDispose]();
});

describe('NetworkManager', () => {
  it('NetworkManager comes while the daemon runs, and says that a connection costs money', async () => {
    await network.nmcli('connection', 'add', ...profile(), 'connection.metered', 'yes');
    await network.nmcli('connection', 'up', 'Home WLAN');
    await untilProperties('wifi0', 'ethernet, metered');
    expect(await propertiesOf('cell0')).toBe('ethernet');
  });

  it('NetworkManager is named as the source by `pointsman uplinks`, with the name of the connection and its DNS servers', async () => {
    const { uplinks } = await uplinksReport();
    const wifi0 = uplinks.find(({ name }) => name === 'wifi0');
    expect(wifi0).toMatchObject({
      connection: 'Home WLAN',
      dns: ['203.0.113.53', '2001:db8:113::53'],
      discovered: true,
    });
    expect(wifi0?.properties).toContainEqual({ name: 'metered', value: 'yes', source: 'NetworkManager' });
    const { stdout } = await device.pointsman('uplinks');
    expect(stdout).toMatch(/^wifi0 "Home WLAN"/m);
    expect(stdout).toMatch(/^ {2}metered +yes \(NetworkManager\)$/m);
  });

  it('NetworkManager is heard when it changes its mind', async () => {
    await setMetered('no');
    await untilProperties('wifi0', 'ethernet');
    await setMetered('yes');
    await untilProperties('wifi0', 'ethernet, metered');
  });

  it('NetworkManager says which domain a network has, and a profile begins and ends with it', async () => {
    const untilHolds = (wanted: boolean): Promise<unknown> =>
      device.untilStatus(`the profile to ${wanted ? 'hold' : 'end'}`, ({ profiles = [] }) =>
        profiles.some(({ name, holds }) => name === 'home' && holds === wanted),
      );
    const setDomain = async (domain: string): Promise<void> => {
      await network.nmcli('connection', 'modify', 'Home WLAN', 'ipv4.dns-search', domain);
      await network.nmcli('device', 'reapply', 'wifi0');
    };
    const when = '[{ uplink: wifi0, domain: home.example }]';
    device.write('etc/pointsman/profiles/home.yaml', `pointsman: 1\nprofile: home\nwhen: ${when}\n`);
    await untilHolds(false);
    await setDomain('Home.Example,lan');
    await untilHolds(true);
    const { uplinks } = await uplinksReport();
    expect(uplinks.find(({ name }) => name === 'wifi0')?.network?.domains).toEqual(['home.example', 'lan']);
    await setDomain('sub.home.example');
    await untilHolds(false);
    device.remove('etc/pointsman/profiles');
  });

  it('NetworkManager is not believed where a file says otherwise, and is where it says nothing', async () => {
    device.write(`${UPLINKS}/home.yaml`, 'pointsman: 1\nuplink: home\ndevice: wifi0\nmetered: false\n');
    await untilProperties('home', 'ethernet');
    device.write(`${UPLINKS}/home.yaml`, 'pointsman: 1\nuplink: home\ndevice: wifi0\ntype: wifi\n');
    await untilProperties('home', 'wifi, metered');
    device.remove(UPLINKS);
    await untilProperties('wifi0', 'ethernet, metered');
  });

  it('NetworkManager without anything to say of modems beside it changes nothing', async () => {
    await network.startModemManager();
    await setMetered('no');
    await untilProperties('wifi0', 'ethernet');
    await setMetered('yes');
    await untilProperties('wifi0', 'ethernet, metered');
  });

  it('NetworkManager is asked by a daemon that starts beside it', async () => {
    await daemon.stop();
    daemon = await device.startDaemon({ wrap: (command) => network.withBus(command) });
    await untilProperties('wifi0', 'ethernet, metered');
  });

  it('NetworkManager is no longer believed once it has ended', async () => {
    await stop(manager);
    await untilProperties('wifi0', 'ethernet');
    expect((await device.status()).state).toBe('enforcing');
  });
});
