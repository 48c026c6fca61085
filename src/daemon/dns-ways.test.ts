import { describe, expect, it } from 'vitest';
import { type Address, formatAddress, parseAddress, parsePrefix } from '../net/address.ts';
import { APP_NONE, DNS_RELAY_PORT, UPLINK_LOCAL, wayMark } from '../plan/reserved.ts';
import type { UplinkState } from '../policy/facts.ts';
import type { Uplink } from '../policy/model.ts';
import { type DnsFacts, dnsRoute } from './dns-ways.ts';

const address = (text: string): Address => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const prefixes = (...texts: string[]) => texts.map(parsePrefix).filter((prefix) => prefix !== undefined);

const CELL: UplinkState = {
  name: 'cell',
  id: 2,
  device: 'wwan0',
  deviceIndex: 3,
  up: true,
  v4: true,
  v6: false,
  addresses: [],
  onLink: prefixes('10.2.0.0/24'),
  gateways: {},
};
const uplink = (...resolvers: string[]): Uplink => ({
  name: 'cell',
  device: 'wwan0',
  priority: 100,
  properties: { type: 'cellular', metered: false, roaming: false, trusted: false, encrypted: false },
  gateways: {},
  at: { file: 'cell.yaml', line: 1, column: 1 },
  ...(resolvers.length > 0 && { resolvers: resolvers.map(address) }),
});
const factsOf = (state: UplinkState, own: readonly string[], configured: readonly string[]): DnsFacts => ({
  uplinks: [uplink(...own)],
  facts: { uplinks: [state], onLink: prefixes('192.168.7.0/24', '10.2.0.0/24') },
  resolvers: configured.map(address),
});

const entry = (mark: number, to = '192.168.7.1', destinationPort = 53) => ({
  mark,
  original: {
    protocol: 17,
    source: address('10.2.0.9'),
    sourcePort: 40_000,
    destination: address(to),
    destinationPort,
  },
});
const VIA_CELL = (wayMark(2) | 7) >>> 0;

function route(mark: number, facts: DnsFacts, to?: string) {
  const found = dnsRoute(entry(mark, to), facts);
  return found?.kind === 'ask'
    ? { appId: found.appId, mark: found.way.mark, resolvers: found.way.resolvers.map(formatAddress) }
    : found;
}

describe('dnsRoute()', () => {
  it('asks the resolvers of the uplink, as far as it carries them, by its mark', () => {
    expect(route(VIA_CELL, factsOf(CELL, ['10.2.0.1', '2001:db8::53', '192.0.2.1'], ['192.168.7.1']))).toEqual({
      appId: 7,
      mark: 0x8200feff,
      resolvers: ['10.2.0.1', '192.0.2.1'],
    });
  });

  it('asks those that its network has told a manager where its file names none, and never this machine', () => {
    const managed = (device: string) =>
      device === 'wwan0' ? ['127.0.0.1', '2001:db8::1', '10.2.0.7'].map(address) : [];
    const facts = (own: readonly string[]) => ({ ...factsOf(CELL, own, ['192.0.2.1']), managed });
    expect(route(VIA_CELL, facts([]))).toMatchObject({ resolvers: ['10.2.0.7'] });
    expect(route(VIA_CELL, facts(['10.2.0.1']))).toMatchObject({ resolvers: ['10.2.0.1'] });
    expect(route(VIA_CELL, { ...facts([]), managed: () => [] })).toMatchObject({ resolvers: ['192.0.2.1'] });
  });

  it('asks the configured ones that the uplink leads to where it has none, the one that was asked first', () => {
    const facts = factsOf(CELL, [], ['192.168.7.1', '10.2.0.1', '192.0.2.1', '192.0.2.2', '2001:db8::53']);
    expect(route(VIA_CELL, facts, '192.0.2.2')).toMatchObject({ resolvers: ['192.0.2.2', '10.2.0.1', '192.0.2.1'] });
    expect(route(VIA_CELL, facts, '127.0.0.53')).toMatchObject({ resolvers: ['10.2.0.1', '192.0.2.1', '192.0.2.2'] });
  });

  it('asks nobody else where the uplink is down, is no more, or leads to no resolver', () => {
    expect(route(VIA_CELL, factsOf({ ...CELL, up: false }, ['10.2.0.1'], []))).toEqual({ kind: 'nobody', appId: 7 });
    expect(route((wayMark(3) | 7) >>> 0, factsOf(CELL, ['10.2.0.1'], []))).toEqual({ kind: 'nobody', appId: 7 });
    expect(route(VIA_CELL, factsOf(CELL, [], ['192.168.7.1']))).toEqual({
      kind: 'unresolved',
      appId: 7,
      uplink: 'cell',
    });
  });

  it('asks exactly who was asked, by the system’s route and on this machine', () => {
    for (const mark of [wayMark(0), wayMark(UPLINK_LOCAL)])
      expect(route(mark, factsOf(CELL, ['10.2.0.1'], ['192.0.2.1']), '127.0.0.53')).toEqual({
        appId: APP_NONE,
        mark: 0x8000feff,
        resolvers: ['127.0.0.53'],
      });
  });

  it('has no route for what was not redirected', () => {
    expect(dnsRoute(entry(VIA_CELL, '127.0.0.1', DNS_RELAY_PORT), factsOf(CELL, ['10.2.0.1'], []))).toBeUndefined();
  });
});
