import { describe, expect, it } from 'vitest';
import { fakeLink } from '../kernel/fake/fake-kernel.ts';
import { type Address, formatAddress, parseAddress, parsePrefix } from '../net/address.ts';
import { type Route, RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, RTN_UNICAST, RTPROT_BOOT } from '../netlink/route.ts';
import type { UplinkState } from '../policy/facts.ts';
import { ALL_OF_NETWORKS, networkInterest } from '../policy/network-interest.ts';
import { attachNetworks, gatewaysOf, MAX_GATEWAYS, type NetworkSources } from './attached-network.ts';

const address = (text: string): Address => parseAddress(text) ?? expect.fail(text);
const route = (oif: number, gateway: string, metric: number, table = RT_TABLE_MAIN): Route => ({
  family: address(gateway).family,
  table,
  destination: parsePrefix(gateway.includes(':') ? '::/0' : '0.0.0.0/0') ?? expect.fail('prefix'),
  type: RTN_UNICAST,
  scope: RT_SCOPE_UNIVERSE,
  protocol: RTPROT_BOOT,
  metric,
  gateway: address(gateway),
  oif,
  onlink: false,
});
const WIFI = fakeLink({ index: 3, name: 'wlan0', carrierLosses: 2 });
const LAN = fakeLink({ index: 4, name: 'eth0' });
const TUNNEL = fakeLink({ index: 5, name: 'tun0', type: 65534 });
const NETWORK = {
  links: [WIFI, LAN, TUNNEL],
  addresses: [],
  routes: [
    route(3, '192.0.2.1', 600),
    route(3, 'fe80::1', 600),
    route(4, '198.51.100.1', 100),
    route(5, '10.0.0.1', 50, 7),
  ],
};

const uplink = (device: string, part: Partial<UplinkState> = {}): UplinkState => {
  const state = { name: device, id: 1, device, up: true, v4: true, v6: true, addresses: [], onLink: [], gateways: {} };
  return { ...state, ...part };
};

const SOURCES: NetworkSources = {
  macOf: (gateway) => (gateway.address.family === 4 ? '00:00:5e:00:53:04' : '00:00:5e:00:53:01'),
  ssids: () => new Map([[3, 'Home']]),
  managed: ({ name }) => (name === 'wlan0' ? { domains: ['home.example'], ssid: 'as NetworkManager says' } : {}),
  ownDomains: () => ['lan'],
};

describe('gatewaysOf()', () => {
  it('gatewaysOf() are those of the default routes by the device and that of the file, each once', () => {
    const stated = { v4: address('192.0.2.1'), v6: address('fe80::9') };
    const found = gatewaysOf(uplink('wlan0', { gateways: stated }), NETWORK);
    expect(found.map((gateway) => formatAddress(gateway.address))).toEqual(['192.0.2.1', 'fe80::9', 'fe80::1']);
    expect(found[0]).toMatchObject({ linkIndex: 3, carrierLosses: 2 });
  });

  it('gatewaysOf() are none of tunnels, of what is down and of what is gone, and never many', () => {
    expect(gatewaysOf(uplink('tun0'), NETWORK)).toEqual([]);
    expect(gatewaysOf(uplink('wlan0', { up: false }), NETWORK)).toEqual([]);
    expect(gatewaysOf(uplink('wlan9'), NETWORK)).toEqual([]);
    const routes = Array.from({ length: 99 }, (_, i) => route(3, `192.0.2.${i + 1}`, i));
    expect(gatewaysOf(uplink('wlan0'), { ...NETWORK, routes })).toHaveLength(MAX_GATEWAYS);
  });
});

describe('attachNetworks()', () => {
  it('attachNetworks() tells what is known of each network', () => {
    const [wifi, lan, tunnel] = attachNetworks(
      ['wlan0', 'eth0', 'tun0'].map((name) => uplink(name)),
      NETWORK,
      ALL_OF_NETWORKS,
      SOURCES,
    );
    expect(wifi?.network).toEqual({
      ssid: 'Home',
      gatewayMacs: ['00:00:5e:00:53:01', '00:00:5e:00:53:04'],
      domains: ['home.example'],
    });
    // Main's default route leads out there; the tunnel's is in another table.
    expect(lan?.network).toEqual({ gatewayMacs: ['00:00:5e:00:53:04'], domains: ['lan'] });
    expect(tunnel).not.toHaveProperty('network');
  });

  it('attachNetworks() believes NetworkManager where the kernel says nothing', () => {
    const [wifi] = attachNetworks([uplink('wlan0')], NETWORK, ALL_OF_NETWORKS, { ...SOURCES, ssids: () => new Map() });
    expect(wifi?.network?.ssid).toBe('as NetworkManager says');
  });

  it('attachNetworks() looks for nothing that nobody asks about', () => {
    const never = (): never => expect.fail('asked');
    const nobody: NetworkSources = { macOf: never, ssids: never, managed: never, ownDomains: never };
    const uplinks = [uplink('wlan0')];
    expect(attachNetworks(uplinks, NETWORK, networkInterest(), nobody)).toBe(uplinks);
    const { managed } = SOURCES;
    const onlySsid = { ...networkInterest(), ssid: true };
    const [wifi] = attachNetworks(uplinks, NETWORK, onlySsid, { ...nobody, managed, ssids: SOURCES.ssids });
    expect(wifi?.network).toEqual({ ssid: 'Home' });
  });

  it('attachNetworks() says nothing of what is down', () => {
    const [wifi] = attachNetworks([uplink('wlan0', { up: false })], NETWORK, ALL_OF_NETWORKS, SOURCES);
    expect(wifi).not.toHaveProperty('network');
  });
});
