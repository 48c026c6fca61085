import { describe, expect, it } from 'vitest';
import type { Value } from '../dbus/decode-value.ts';
import { addressToBytes, formatAddress, parseAddress } from '../net/address.ts';
import { networkManagerDevices } from './network-manager.ts';

const NM = 'org.freedesktop.NetworkManager';
const properties = (of: Record<string, Value>): Map<Value, Value> => new Map(Object.entries(of));
const interfaces = (of: Record<string, Map<Value, Value>>) => new Map(Object.entries(of));
const v6 = parseAddress('2001:db8::53');
if (v6 === undefined) throw new Error('address');

const device = (of: Record<string, Value>) =>
  networkManagerDevices(new Map([['/d', interfaces({ [`${NM}.Device`]: properties(of) })]]));

describe('networkManagerDevices', () => {
  it('networkManagerDevices reads the connection, what it costs, and its DNS servers', () => {
    const objects = new Map([
      [
        '/d/3',
        interfaces({
          [`${NM}.Device`]: properties({
            Interface: 'wlan0',
            IpInterface: 'wlan0',
            DeviceType: 2,
            Metered: 3,
            ActiveConnection: '/a/1',
            Ip4Config: '/4/1',
            Ip6Config: '/6/1',
          }),
          [`${NM}.Device.Wireless`]: properties({ ActiveAccessPoint: '/ap/1' }),
        }),
      ],
      ['/ap/1', interfaces({ [`${NM}.AccessPoint`]: properties({ Ssid: new TextEncoder().encode('Café') }) })],
      ['/a/1', interfaces({ [`${NM}.Connection.Active`]: properties({ Id: 'Home WLAN' }) })],
      [
        '/4/1',
        interfaces({
          [`${NM}.IP4Config`]: properties({
            NameserverData: [properties({ address: '192.0.2.53' })],
            Domains: ['Home.Example'],
            Searches: ['lan.', '~.', 7],
          }),
        }),
      ],
      [
        '/6/1',
        interfaces({ [`${NM}.IP6Config`]: properties({ Nameservers: [addressToBytes(v6), new Uint8Array(3)] }) }),
      ],
    ]);
    const found = networkManagerDevices(objects).get('wlan0');
    expect(found).toMatchObject({
      telling: { by: 'NetworkManager', told: { type: 'wifi', metered: true }, guesses: ['metered'] },
      connection: 'Home WLAN',
      ssid: 'Café',
      domains: ['home.example', 'lan'],
    });
    expect(found?.dns.map(formatAddress)).toEqual(['192.0.2.53', '2001:db8::53']);
  });

  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['nobody', undefined],
    [7, undefined],
  ])(
    'networkManagerDevices takes the option dhcp_server_identifier %j for who leased the address',
    (server, wanted) => {
      const objects = new Map([
        ['/d', interfaces({ [`${NM}.Device`]: properties({ Interface: 'wlan0', Dhcp4Config: '/dhcp/1' }) })],
        [
          '/dhcp/1',
          interfaces({
            [`${NM}.DHCP4Config`]: properties({ Options: properties({ dhcp_server_identifier: server }) }),
          }),
        ],
      ]);
      const found = networkManagerDevices(objects).get('wlan0')?.dhcpServer;
      expect(found && formatAddress(found)).toBe(wanted);
    },
  );

  it.each([
    [0, {}, []],
    [1, { metered: true }, []],
    [2, { metered: false }, []],
    [3, { metered: true }, ['metered']],
    [4, { metered: false }, ['metered']],
    [9, {}, []],
  ])('networkManagerDevices takes NM_METERED %i for what it is', (Metered, told, guesses) => {
    expect(device({ Interface: 'eth0', DeviceType: 1, Metered }).get('eth0')?.telling).toEqual({
      by: 'NetworkManager',
      told,
      guesses,
    });
  });

  it.each([
    ['was set up', {}, true],
    ['was set up, and has flags', { StateFlags: 0x5c }, true],
    ['is what NetworkManager found on the device', { StateFlags: 0x80 }, false],
  ])('networkManagerDevices tells whether a connection %s', (_, flags, isSetUp) => {
    const objects = new Map([
      ['/d', interfaces({ [`${NM}.Device`]: properties({ Interface: 'eth0', ActiveConnection: '/a' }) })],
      ['/a', interfaces({ [`${NM}.Connection.Active`]: properties({ Id: 'eth0', ...flags }) })],
    ]);
    expect(networkManagerDevices(objects).get('eth0')).toMatchObject({ connection: 'eth0', isSetUp });
  });

  it('networkManagerDevices knows the tunnel of a VPN by its addresses, and other tunnels not', () => {
    const config = (address: string) =>
      interfaces({ [`${NM}.IP4Config`]: properties({ AddressData: [properties({ address, prefix: 32 })] }) });
    const tun = (name: string, path: string) =>
      interfaces({ [`${NM}.Device`]: properties({ Interface: name, DeviceType: 16, Ip4Config: path }) });
    const objects = new Map([
      ['/d/1', tun('tun0', '/4/1')],
      ['/d/2', tun('tun1', '/4/2')],
      ['/a/1', interfaces({ [`${NM}.Connection.Active`]: properties({ Id: 'work', Vpn: true, Ip4Config: '/4/9' }) })],
      ['/a/2', interfaces({ [`${NM}.Connection.Active`]: properties({ Id: 'tun1', Vpn: false, Ip4Config: '/4/2' }) })],
      ['/4/1', config('10.8.0.2')],
      ['/4/2', config('10.9.0.2')],
      ['/4/9', config('10.8.0.2')],
    ]);
    const found = networkManagerDevices(objects);
    expect(['tun0', 'tun1'].map((name) => found.get(name)?.telling.told.type)).toEqual(['vpn', undefined]);
  });

  it('networkManagerDevices names a modem by the device that carries its packets', () => {
    const found = device({ Interface: 'cdc-wdm0', IpInterface: 'wwan0', DeviceType: 8 });
    expect([...found.keys()]).toEqual(['wwan0']);
    expect(found.get('wwan0')?.telling.told).toEqual({ type: 'cellular' });
  });

  it('networkManagerDevices passes over what is not of the type it should be', () => {
    expect(device({ Interface: 7 }).size).toBe(0);
    const odd = device({ Interface: 'eth0', Metered: 'yes', ActiveConnection: '/none', Ip4Config: 5 });
    expect(odd.get('eth0')).toEqual({
      telling: { by: 'NetworkManager', told: {}, guesses: [] },
      isSetUp: false,
      dns: [],
    });
  });
});
