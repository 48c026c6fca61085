import { describe, expect, it } from 'vitest';
import { fakeLink } from '../kernel/fake/fake-kernel.ts';
import { formatPrefix, parsePrefix } from '../net/address.ts';
import type { Route } from '../netlink/route.ts';
import { propertiesOf } from '../policy/join-uplinks.ts';
import type { Uplink, UplinkType } from '../policy/model.ts';
import { doubtedNetworks, overstatedNetworks } from './doubted-networks.ts';
import type { Network } from './network.ts';

const LINKS = ['lo', 'wlan0', 'eth0', 'tun0', 'lan0'].map((name, i) =>
  fakeLink({ index: i + 1, name, loopback: name === 'lo' }),
);
const prefixOf = (text: string) => parsePrefix(text) ?? expect.fail(text);

const uplink = (device: string, type: UplinkType, networks: readonly string[] = []): Uplink => ({
  ...{ name: device, device, priority: 100, gateways: {}, at: { file: 'u.yaml', line: 1, column: 1 } },
  ...propertiesOf([{ by: 'file', told: { type } }]),
  ...(networks.length > 0 && { networks: networks.map(prefixOf) }),
});
const UPLINKS = [uplink('wlan0', 'wifi'), uplink('eth0', 'ethernet'), uplink('tun0', 'vpn')];

/** `wlan0 10.0.0.0/8`: on-link; `tun0 10.0.0.0/8 via`: by a gateway there. */
const networkOf = (lines: readonly string[]): Network => ({
  ...{ links: LINKS, addresses: [] },
  routes: lines.map((line): Route => {
    const [device = '', to = '', via] = line.split(' ');
    const destination = prefixOf(to);
    const { family } = destination.address;
    const oif = LINKS.find(({ name }) => name === device)?.index ?? expect.fail(device);
    const head = { family, table: 254, destination, type: 1, scope: 253, protocol: 2, metric: 0, oif, onlink: false };
    return via === undefined ? head : { ...head, scope: 0, gateway: { family, value: destination.address.value + 1n } };
  }),
});

const doubted = (lines: readonly string[], uplinks: readonly Uplink[] = UPLINKS): string[] =>
  doubtedNetworks(networkOf(lines), uplinks).map(formatPrefix);
const overstated = (lines: readonly string[], uplinks: readonly Uplink[] = UPLINKS): string[] =>
  overstatedNetworks(networkOf(lines), uplinks).map(formatPrefix);

describe('doubtedNetworks', () => {
  it.each([
    ['a network of one place', ['wlan0 192.168.1.0/24', 'wlan0 10.1.0.0/16', 'wlan0 fd00:1:2::/48'], []],
    [
      'more than one place has',
      ['wlan0 10.0.0.0/8', 'wlan0 fd00::/8', 'wlan0 172.16.0.0/12'],
      [...['10.0.0.0/8', '172.16.0.0/12', 'fd00::/8']],
    ],
    ['what a VPN leads to', ['wlan0 10.1.0.0/16', 'tun0 10.0.0.0/8 via'], ['10.1.0.0/16']],
    ['what lies around what a VPN leads to', ['wlan0 10.1.0.0/16', 'tun0 10.1.2.0/24 via'], ['10.1.0.0/16']],
    ['beside a VPN that takes everything', ['wlan0 10.1.0.0/16', 'tun0 0.0.0.0/1', 'tun0 128.0.0.0/1'], []],
    ['what another uplink has, too', ['wlan0 10.1.0.0/16', 'eth0 10.1.2.0/24'], ['10.1.0.0/16', '10.1.2.0/24']],
    ['what a network has that is no uplink, but not that', ['wlan0 10.1.2.0/25', 'lan0 10.1.2.0/24'], ['10.1.2.0/25']],
    ['a wide network that is no uplink’s', ['lan0 10.0.0.0/8'], []],
    ['what is not private, which is never local', ['wlan0 8.0.0.0/8'], []],
  ])('doubtedNetworks() of %s', (_, lines, expected) => {
    expect(doubted(lines)).toEqual(expected);
  });

  it('doubtedNetworks() believes what a file states', () => {
    const stated = [uplink('wlan0', 'wifi', ['10.0.0.0/8', 'fd00::/8']), uplink('tun0', 'vpn')];
    expect(doubted(['wlan0 10.0.0.0/8', 'wlan0 10.1.0.0/16', 'tun0 10.1.2.0/24 via'], stated)).toEqual([]);
    expect(doubted(['wlan0 10.0.0.0/7'], stated)).toEqual([]);
    expect(doubted(['wlan0 172.16.0.0/12', 'eth0 10.0.0.0/8'], [...stated, uplink('eth0', 'ethernet')])).toEqual([
      ...['10.0.0.0/8', '172.16.0.0/12'],
    ]);
  });
});

describe('overstatedNetworks', () => {
  it.each([
    ['a network of one place, of whatever addresses', ['wlan0 192.168.1.0/24', 'wlan0 2001:db8:1::/48'], []],
    [
      'more than one place has',
      ['wlan0 8.0.0.0/8', 'wlan0 10.0.0.0/8', 'wlan0 2001:db8::/32'],
      ['8.0.0.0/8', '10.0.0.0/8', '2001:db8::/32'],
    ],
    ['what a VPN leads to', ['wlan0 203.0.113.0/24', 'tun0 203.0.0.0/16 via'], ['203.0.113.0/24']],
    ['what lies around what a VPN leads to', ['wlan0 203.0.0.0/16', 'tun0 203.0.113.0/24 via'], ['203.0.0.0/16']],
    ['beside a VPN that takes everything', ['wlan0 203.0.113.0/24', 'tun0 0.0.0.0/1', 'tun0 128.0.0.0/1'], []],
    ['what another device has, too: it is connected either way', ['wlan0 10.1.0.0/16', 'eth0 10.1.2.0/24'], []],
    ['a wide network that is no uplink’s', ['lan0 10.0.0.0/8'], []],
  ])('overstatedNetworks() of %s', (_, lines, expected) => {
    expect(overstated(lines)).toEqual(expected);
  });

  it('overstatedNetworks() believes what a file states', () => {
    const stated = [uplink('wlan0', 'wifi', ['8.0.0.0/8']), uplink('tun0', 'vpn')];
    expect(overstated(['wlan0 8.0.0.0/8', 'tun0 8.1.0.0/16 via', 'wlan0 10.0.0.0/8'], stated)).toEqual(['10.0.0.0/8']);
  });
});
