import { describe, expect, it } from 'vitest';
import { type Address, parseAddress, parsePrefix } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_ICMPV6, IPPROTO_IGMP, IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import type { Facts, UplinkState } from './facts.ts';
import { housekeeping } from './housekeeping.ts';

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}
const prefix = (text: string) => {
  const parsed = parsePrefix(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const uplink = (name: string, id: number, up: boolean): UplinkState => ({
  ...{ name, id, device: `${name}0`, deviceIndex: id + 1, up, v4: up, v6: false },
  ...{ addresses: [], onLink: [], gateways: {} },
});
const FACTS: Facts = {
  uplinks: [uplink('wifi', 1, true), uplink('cell', 2, false)],
  onLink: [prefix('192.168.7.0/24'), prefix('2001:db8:7::/64')],
  resolvers: [],
  names: new Map(),
  users: new Map(),
  groups: new Map(),
  packages: new Map(),
  containers: new Map(),
  dhcpServers: [
    ['wifi0', '192.168.7.1'],
    ['wifi0', '203.0.113.67'],
    ['cell0', '203.0.113.68'],
    ['eth9', '203.0.113.69'],
    ['wifi0', '203.0.113.70'],
    ['cell0', '203.0.113.70'],
  ].map(([device = '', text = '']) => ({ device, address: address(text) })),
};

const udp = (from: number, to: number) => ({ protocol: IPPROTO_UDP, sourcePort: from, destinationPort: to });
const icmp6 = (type: number) => ({ protocol: IPPROTO_ICMPV6, icmp: { type, code: 0 } });

function told(part: Partial<Flow>, peer: string, direction: 'out' | 'in' = 'out'): string {
  const there = address(peer);
  const here = address(there.family === 4 ? '192.168.7.2' : 'fe80::2');
  const [source, destination] = direction === 'out' ? [here, there] : [there, here];
  const flow: Flow = {
    ...{ protocol: IPPROTO_UDP, source, destination, loopback: false },
    ...(direction === 'in' && { inbound: true as const }),
    ...part,
  };
  const decision = housekeeping(flow, FACTS);
  if (decision === undefined) return 'a flow as any other';
  if (decision.verdict !== 'accept') return decision.verdict;
  return decision.way.kind === 'uplink' ? decision.way.name : decision.way.kind;
}
const ORDINARY = 'a flow as any other';

describe('housekeeping', () => {
  it.each([
    ['255.255.255.255', 'system'],
    ['169.254.9.9', 'system'],
    ['192.168.7.1', 'system'],
    ['203.0.113.67', 'wifi'],
    ['203.0.113.68', 'reject'],
    ['203.0.113.69', 'system'],
    ['203.0.113.70', 'system'],
    ['192.168.7.9', ORDINARY],
    ['203.0.113.9', ORDINARY],
    ['224.0.0.1', ORDINARY],
  ])('housekeeping of a DHCP client that asks %s: %s', (server, way) => {
    expect(told(udp(68, 67), server)).toBe(way);
    expect(told({ ...udp(68, 67), protocol: IPPROTO_TCP }, server)).toBe(ORDINARY);
    expect(told(udp(68, 68), server)).toBe(ORDINARY);
  });

  it.each([
    ['ff02::1:2', 'system'],
    ['fe80::1', 'system'],
    ['ff05::1:3', ORDINARY],
    ['2001:db8:7::1', ORDINARY],
    ['2001:db8::9', ORDINARY],
  ])('housekeeping of a DHCPv6 client that asks %s: %s', (server, way) => {
    expect(told(udp(546, 547), server)).toBe(way);
    expect(told(udp(68, 67), server)).toBe(ORDINARY);
  });

  it.each([
    [udp(67, 68), '192.168.7.9', 'system'],
    [udp(67, 68), '255.255.255.255', 'system'],
    [udp(67, 68), '203.0.113.9', ORDINARY],
    [udp(547, 546), 'fe80::9', 'system'],
    [udp(547, 546), '2001:db8:7::9', 'system'],
    [udp(547, 546), '2001:db8::9', ORDINARY],
  ])('housekeeping of a DHCP server that answers from %j to %s: %s', (ports, client, way) => {
    expect(told(ports, client)).toBe(way);
  });

  it.each([
    [udp(67, 68), '192.168.7.1', 'system'],
    [udp(67, 68), '203.0.113.67', 'system'],
    [udp(67, 68), '203.0.113.9', ORDINARY],
    [udp(547, 546), 'fe80::1', 'system'],
    [udp(68, 67), '192.168.7.9', ORDINARY],
  ])('housekeeping of what comes in from %j of %s: %s', (ports, peer, way) => {
    expect(told(ports, peer, 'in')).toBe(way);
  });

  it('housekeeping takes what is sent to all for an answer of DHCP, whoever sends it', () => {
    const answer = { ...udp(67, 68), destination: address('255.255.255.255') };
    expect(told(answer, '203.0.113.9', 'in')).toBe('system');
  });

  it.each([133, 134, 135, 136])('housekeeping of neighbour discovery, type %i, is for those on the link', (type) => {
    for (const there of ['fe80::1', 'ff02::1', 'ff02::1:ff00:9', '2001:db8:7::9'])
      expect(told(icmp6(type), there), there).toBe('system');
    for (const there of ['2001:db8::9', 'ff05::1', 'fd00::1']) expect(told(icmp6(type), there), there).toBe(ORDINARY);
    expect(told(icmp6(type), '2001:db8::9', 'in')).toBe('system');
  });

  it.each([130, 131, 132, 143])('housekeeping of listener discovery, type %i, is for groups', (type) => {
    for (const there of ['ff02::16', 'ff02::1', 'ff05::1:3']) expect(told(icmp6(type), there), there).toBe('system');
    for (const there of ['2001:db8::9', 'fe80::1']) expect(told(icmp6(type), there), there).toBe(ORDINARY);
  });

  it('housekeeping of IGMP is for groups', () => {
    const igmp = { protocol: IPPROTO_IGMP };
    for (const there of ['224.0.0.22', '239.1.2.3']) expect(told(igmp, there), there).toBe('system');
    for (const there of ['203.0.113.9', '192.168.7.9']) expect(told(igmp, there), there).toBe(ORDINARY);
  });

  it('housekeeping is no ping, no error and no redirect', () => {
    for (const type of [1, 128, 129, 137]) expect(told(icmp6(type), 'fe80::1')).toBe(ORDINARY);
  });
});
