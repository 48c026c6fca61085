import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fakeLink } from '../kernel/fake/fake-kernel.ts';
import { formatAddress, parseAddress } from '../net/address.ts';
import { dhcpLeases, leaseDirectories } from './dhcp-leases.ts';

const LINKS = [fakeLink({ index: 2, name: 'wlan0' }), fakeLink({ index: 3, name: 'eth0' })];
const NETWORKD = '# This is private data. Do not parse.\nADDRESS=10.0.0.7\nSERVER_ADDRESS=10.0.0.1\nT1=300\n';
const lease = (device: string, server: string): string =>
  `lease {\n  interface "${device}";\n  fixed-address 10.1.0.7;\n  option dhcp-server-identifier ${server};\n  renew 2 2026/11/30 04:00:00;\n}\n`;

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'leases-'));
  mkdirSync(join(directory, 'leases'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const servers = (options: Parameters<typeof dhcpLeases>[0]) =>
  dhcpLeases(options)
    .servers(LINKS)
    .map(({ device, address }) => `${device} ${formatAddress(address)}`);

describe('dhcpLeases', () => {
  it('dhcpLeases reads who leased a link its address from what systemd-networkd writes', () => {
    writeFileSync(join(directory, 'leases', '2'), NETWORKD);
    writeFileSync(join(directory, 'leases', '9'), NETWORKD);
    expect(servers({ networkdDirectory: directory })).toEqual(['wlan0 10.0.0.1']);
    expect(servers({})).toEqual([]);
  });

  it('dhcpLeases takes the last lease of a device in dhclient’s files, and leaves others alone', () => {
    writeFileSync(join(directory, 'dhclient.leases'), lease('wlan0', '10.1.0.1') + lease('wlan0', '10.1.0.2'));
    writeFileSync(join(directory, 'dhclient.eth0.leases'), lease('eth0', '10.2.0.1') + lease('gone0', '10.3.0.1'));
    writeFileSync(join(directory, 'notes'), lease('eth0', '10.9.0.1'));
    expect(servers({ dhclientDirectory: directory })).toEqual(['wlan0 10.1.0.2', 'eth0 10.2.0.1']);
  });

  it('dhcpLeases has what NetworkManager says, each server once', () => {
    writeFileSync(join(directory, 'leases', '2'), NETWORKD);
    const dhcpServer = parseAddress('10.0.0.1');
    if (dhcpServer === undefined) throw new Error('address');
    const managed = { device: () => ({ technologies: [], isSetUp: true, dns: [], dhcpServer }) };
    expect(servers({ managed, networkdDirectory: directory })).toEqual(['wlan0 10.0.0.1', 'eth0 10.0.0.1']);
  });

  it('dhcpLeases believes nothing that is no address, and no directory that is not there', () => {
    writeFileSync(join(directory, 'leases', '2'), 'SERVER_ADDRESS=::1\n');
    writeFileSync(join(directory, 'leases', '3'), 'SERVER_ADDRESS=nobody\n');
    expect(servers({ networkdDirectory: directory, dhclientDirectory: join(directory, 'nowhere') })).toEqual([]);
  });
});

describe('leaseDirectories', () => {
  it('leaseDirectories are the system’s in its own network namespace, and else those below a root', () => {
    expect(leaseDirectories(false, '/')).toEqual({});
    expect(leaseDirectories(false, '/srv/x')).toEqual({ dhclientDirectory: '/srv/x/var/lib/dhcp' });
    expect(leaseDirectories(true, '/')).toEqual({
      networkdDirectory: '/run/systemd/netif',
      dhclientDirectory: '/var/lib/dhcp',
    });
  });
});
