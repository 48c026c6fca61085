import { describe, expect, it } from 'vitest';
import { fakeLink } from '../kernel/fake/fake-kernel.ts';
import { UplinkKeys } from './uplink-keys.ts';

const UPLINKS = [
  { name: 'home', device: 'wlan0' },
  { name: 'eth0', device: 'eth0' },
];
const links = (devices: Readonly<Record<string, number>>) =>
  Object.entries(devices).map(([name, index]) => fakeLink({ name, index }));

describe('UplinkKeys', () => {
  it('UplinkKeys.of() keeps the key while the device is the same, gone, or made again', () => {
    const keys = new UplinkKeys();
    for (const devices of [{ wlan0: 3, eth0: 4 }, { eth0: 4 }, { wlan0: 7, eth0: 4 }, {}, { wlan0: 8, eth0: 9 }]) {
      expect([...keys.of(UPLINKS, links(devices)).values()]).toEqual(['home', 'eth0']);
    }
  });

  it('UplinkKeys.of() gives another key where the name comes to another device that is not instead of the former', () => {
    const keys = new UplinkKeys();
    const of = (devices: Readonly<Record<string, number>>) => [...keys.of(UPLINKS, links(devices)).values()];
    of({ wlan0: 3, eth0: 4 });
    expect(of({ wlan0: 4, eth0: 3 })).toEqual(['home 2', 'eth0 2']);
    expect(of({ wlan0: 4, eth0: 3 })).toEqual(['home 2', 'eth0 2']);
    expect(of({ old0: 3, eth0: 5, wlan0: 4 })).toEqual(['home 2', 'eth0 3']);
    expect(of({ wlan0: 3, eth0: 5 })).toEqual(['home 2', 'eth0 3']);
  });
});
