import { describe, expect, it } from 'vitest';
import type { UplinkReport } from '../api/uplinks.ts';
import { bytesText, trafficText } from './render-traffic.ts';
import { renderUplinks } from './render-uplinks.ts';

const WIFI: UplinkReport = {
  name: 'wifi',
  device: 'wlan0',
  discovered: true,
  state: 'up',
  v4: true,
  v6: true,
  addresses: ['192.0.2.2', '2001:db8::2'],
  gateways: ['192.0.2.1', 'fe80::1'],
  properties: [
    { name: 'type', value: 'wifi', source: 'kernel' },
    { name: 'metered', value: 'yes', source: 'NetworkManager, guess' },
    { name: 'roaming', value: 'no', source: 'default' },
    { name: 'trusted', value: 'no', source: 'default' },
  ],
  priority: 600,
  health: { v4: { state: 'good', rttMs: 12.4, lossRatio: 0.01 }, v6: { state: 'failed', captivePortal: true } },
  network: { ssid: 'Ho\u001bme', gatewayMacs: ['00:00:5e:00:53:01'], domains: ['home.example', 'lan'] },
  connection: 'Home WLAN',
  technologies: [],
  dns: ['192.0.2.53'],
  traffic: { connections: 3, packets: 1024, bytes: 1_234_567 },
  usedBy: [{ app: 'org.example.Mail', connections: 3, packets: 1024, bytes: 1_234_567 }],
  takenBy: [{ because: 'permitted', apps: ['org.example.Mail', 'org.example.Sync'], more: 7 }],
  passedOver: [{ because: 'prohibited: metered true', apps: ['org.example.Backup'], more: 0 }],
};

describe('renderUplinks', () => {
  it('renderUplinks shows all in a table, then what each is and who uses it', () => {
    const { connection: _, health: __, network: ___, ...plain } = WIFI;
    const phone: UplinkReport = {
      ...plain,
      ...{ name: 'phone', device: 'wwan0', discovered: false, state: 'no device', v4: false, v6: false },
      ...{ addresses: [], gateways: [], dns: [], technologies: ['LTE'], operator: 'Example Mobile' },
      properties: [{ name: 'type', value: 'other', source: 'default' }],
      ...{ traffic: { connections: 0 }, usedBy: [], takenBy: [], passedOver: [] },
    };
    const others = [{ way: 'came in', connections: 1 }];
    expect(renderUplinks({ uplinks: [WIFI, phone], others, isCounted: true }, { colour: false })).toBe(`\
UPLINK  STATE      DEVICE  IP   TYPE           CONNECTIONS  TRAFFIC
wifi    up         wlan0   4+6  wifi, metered  3            1.2 MB
phone   no device  wwan0   -    other          0            -

wifi "Home WLAN"  (no file names it)
  addresses    192.0.2.2, 2001:db8::2
  gateways     192.0.2.1, fe80::1
  SSID         "Ho�me"
  gateway MAC  00:00:5e:00:53:01
  domains      home.example, lan
  DNS servers  192.0.2.53
  type         wifi (kernel)
  metered      yes (NetworkManager, guess)
  by default   not roaming, not trusted
  priority     600 (kernel)
  health IPv4  good, 12 ms, 1 % loss
  health IPv6  failed, captive portal
  used by      org.example.Mail: 3 connections, 1.2 MB in 1024 packets
  taken by     org.example.Mail, org.example.Sync and 7 more: permitted
  not by       org.example.Backup: prohibited: metered true

phone, Example Mobile, LTE
  by default  type other
  priority    600 (file)

by no uplink
  now  came in: 1 connection

Traffic is that of connections that are open now, in both directions.
`);
  });

  it('renderUplinks says so where there are none, and what is not known', () => {
    const none = { uplinks: [], others: [], isCounted: false };
    expect(renderUplinks(none, { colour: false })).toBe('No uplinks: every connection takes the system’s route.\n');
    const uncounted = renderUplinks({ ...none, uplinks: [WIFI] }, { colour: false });
    expect(uncounted).toContain('Traffic is not counted here: net.netfilter.nf_conntrack_acct is 0');
    const unknown = { ...none, uplinks: [WIFI], connectionsUnknown: 'only root may see them' };
    expect(renderUplinks(unknown, { colour: false })).toContain('Connections are not shown: only root may see them.');
  });

  it('renderUplinks shows what has ended since the daemon started, and what is not known of it', () => {
    const total = {
      begun: 5,
      ended: 3,
      open: 2,
      sent: { packets: 9, bytes: 1200 },
      received: { packets: 9, bytes: 30e6 },
    };
    const users = Array.from({ length: 10 }, (_, i) => ({ ...total, app: `app${i}` }));
    const totals = {
      sinceMs: 0,
      overruns: 2,
      isTold: false,
      others: [{ begun: 1, ended: 1, open: 0, app: 'a', way: 'came in' }],
    };
    const report = { uplinks: [{ ...WIFI, totals: users }], others: [], isCounted: true, totals };
    const text = renderUplinks(report, { colour: false });
    expect(text).toContain('  since start  app0: 5 begun, 3 ended, 1.2 kB sent, 30 MB received\n');
    expect(text).toContain('               and 2 more\n');
    expect(text).toContain('by no uplink\n  since start  came in, a: 1 begun, 1 ended\n');
    expect(text).toContain('These are at least so many: ends of connections were lost 2 times.\n');
    expect(text).toContain('net.netfilter.nf_conntrack_events is 0');
  });

  it('renderUplinks lets no name of a network write to the terminal', () => {
    const evil = { ...WIFI, connection: 'a\u001b[2Jb' };
    expect(renderUplinks({ uplinks: [evil], others: [], isCounted: true }, { colour: false })).not.toContain('\u001b');
  });
});

describe('bytesText', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [9949, '9.9 kB'],
    [9951, '10 kB'],
    [999_499, '999 kB'],
    [999_600, '1.0 MB'],
    [1_234_567_890, '1.2 GB'],
  ])('bytesText writes %i as %s', (bytes, text) => {
    expect(bytesText(bytes)).toBe(text);
  });
});

describe('trafficText', () => {
  it('trafficText leaves out what is not counted', () => {
    expect(trafficText({ connections: 1 })).toBe('1 connection');
    expect(trafficText({ connections: 2, packets: 5, bytes: 700 })).toBe('2 connections, 700 B in 5 packets');
  });

  it.each([
    ['device down', 'its device is down: sudo ip link set wlan0 up'],
    ['no carrier', 'no carrier'],
    ['no address', 'no address'],
    ['no default route', 'add "gateway: { v4: ADDRESS }" to its file'],
  ] as const)('renderUplinks says why an uplink is down, and what to do: %s', (downBecause, text) => {
    const uplinks = [{ ...WIFI, state: 'down', downBecause } as const];
    expect(renderUplinks({ uplinks, others: [], isCounted: true }, { colour: false })).toContain(text);
  });
});
