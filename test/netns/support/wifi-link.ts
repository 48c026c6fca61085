/** Takes the device's wifi away in each way that happens to real ones, and gives it back as a network manager does. */
import { LAB_UPLINKS, type LabUplink, namespaceName } from '../../../src/lab/world.ts';
import type { Device } from './device.ts';

export const LOSSES = ['link set down', 'carrier lost', 'device deleted'] as const;
export type Loss = (typeof LOSSES)[number];

/** Wifi stays, but is another network than before. */
export const RENUMBERINGS = ['address changed', 'gateway changed'] as const;
export type Renumbering = (typeof RENUMBERINGS)[number];

const WIFI: LabUplink = wifi();
const OTHER = { address: '192.168.10.3', gateway: '192.168.10.4' };

function wifi(): LabUplink {
  const found = LAB_UPLINKS.find(({ name }) => name === 'wifi');
  if (found === undefined) throw new Error('the lab has no wifi');
  return found;
}

export async function loseWifi(device: Device, loss: Loss): Promise<void> {
  switch (loss) {
    case 'link set down':
      await device.must('device', ['ip', 'link', 'set', WIFI.device, 'down']);
      return;
    case 'carrier lost':
      await device.must('wifi', ['ip', 'link', 'set', 'inside', 'down']);
      return;
    case 'device deleted':
      await device.must('device', ['ip', 'link', 'del', WIFI.device]);
      return;
  }
}

/** Whatever of it is missing. */
export async function restoreWifi(device: Device, loss: Loss): Promise<void> {
  if (loss === 'device deleted') {
    const router = namespaceName(device.id, WIFI.router);
    const link = ['ip', 'link', 'add', WIFI.device, 'type', 'veth', 'peer', 'name', 'inside', 'netns', router];
    await device.must('device', link);
  }
  await device.must('wifi', ['ip', '-batch', '-'], lines('inside', 'far'));
  await device.must('device', ['ip', '-batch', '-'], `${lines(WIFI.device, 'near')}\n${routes()}`);
}

function lines(name: string, end: 'near' | 'far'): string {
  const { v4, v6 } = WIFI.access;
  return [
    `link set ${name} up`,
    `addr replace ${v4[end]}/${v4.length} dev ${name}`,
    `addr replace ${v6[end]}/${v6.length} dev ${name} nodad`,
  ].join('\n');
}

function routes(): string {
  const { access, device, metric } = WIFI;
  return [
    `route replace default via ${access.v4.far} dev ${device} proto dhcp src ${access.v4.near} metric ${metric}`,
    `route replace default via ${access.v6.far} dev ${device} proto ra metric ${metric}`,
  ].join('\n');
}

/** By hand, as a DHCP client does it. */
export async function renumberWifi(device: Device, renumbering: Renumbering): Promise<void> {
  const { access, device: name, metric } = WIFI;
  const { near, far, length } = access.v4;
  const route = (gateway: string, source: string): string =>
    `route replace default via ${gateway} dev ${name} proto dhcp src ${source} metric ${metric}`;
  switch (renumbering) {
    case 'address changed':
      // The first address goes first: with it the kernel takes all others of its network away.
      await device.must(
        'device',
        ['ip', '-batch', '-'],
        [...swap(near, OTHER.address), route(far, OTHER.address)].join('\n'),
      );
      return;
    case 'gateway changed':
      await device.must('wifi', ['ip', 'addr', 'replace', `${OTHER.gateway}/${length}`, 'dev', 'inside']);
      await device.must('device', ['ip', '-batch', '-'], route(OTHER.gateway, near));
      return;
  }
}

export async function renumberWifiBack(device: Device, renumbering: Renumbering): Promise<void> {
  const { near } = WIFI.access.v4;
  if (renumbering === 'address changed')
    await device.must('device', ['ip', '-batch', '-'], swap(OTHER.address, near).join('\n'));
  await device.must('device', ['ip', '-batch', '-'], routes());
}

function swap(from: string, to: string): string[] {
  const { access, device } = WIFI;
  const { length } = access.v4;
  return [`addr del ${from}/${length} dev ${device}`, `addr add ${to}/${length} dev ${device}`];
}
