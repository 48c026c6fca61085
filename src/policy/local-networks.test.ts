import { describe, expect, it } from 'vitest';
import { parseAddress, parsePrefix } from '../net/address.ts';
import { believedRanges, isBelievedLocal, isLocalDestination, isOnLink, protects } from './local-networks.ts';
import type { Via } from './model.ts';

function isLocal(address: string, ...onLink: string[]): boolean {
  const parsed = parseAddress(address);
  if (parsed === undefined) throw new Error(address);
  return isLocalDestination(
    onLink.map(parsePrefix).filter((prefix) => prefix !== undefined),
    parsed,
  );
}

describe('isLocalDestination()', () => {
  it('holds for connected networks of private addresses', () => {
    expect(isLocal('192.168.7.9', '192.168.7.0/24')).toBe(true);
    expect(isLocal('fd00::9', 'fd00::/64')).toBe(true);
    expect(isLocal('192.168.8.9', '192.168.7.0/24')).toBe(false);
  });

  it('does not hold for other addresses, whatever network claims them', () => {
    expect(isLocal('203.0.113.9', '203.0.113.0/24')).toBe(false);
    expect(isLocal('2001:db8::9', '2000::/3')).toBe(false);
    expect(isLocal('10.1.2.3', '8.0.0.0/5')).toBe(false);
  });

  it('holds for what cannot leave the link', () => {
    for (const address of ['169.254.1.1', '224.0.0.251', 'fe80::1', 'ff02::fb']) expect(isLocal(address)).toBe(true);
    for (const address of ['239.1.1.1', 'ff05::1']) expect(isLocal(address)).toBe(false);
  });
});

const prefixOf = (text: string) => parsePrefix(text) ?? expect.fail(text);
const addressOf = (text: string) => parseAddress(text) ?? expect.fail(text);

describe('isOnLink()', () => {
  const NETWORKS = ['192.168.1.0/24', '2001:db8:7::/64', '10.0.0.0/8', '10.1.2.0/24', '10.9.0.0/16', '10.9.9.0/24'];
  const facts = { onLink: NETWORKS.map(prefixOf), overstated: ['10.0.0.0/8', '10.9.9.0/24'].map(prefixOf) };

  it.each([
    ['a network of private addresses', '192.168.1.9', true, true],
    ['one of global addresses', '2001:db8:7::9', true, true],
    ['what is behind a router', '192.168.2.9', false, false],
    ['what cannot leave the link', 'fe80::9', true, true],
    ['broadcast', '255.255.255.255', true, true],
    ['multicast that routers forward', '239.1.1.1', false, false],
    ['loopback', '127.0.0.1', false, false],
    ['what is overstated', '10.200.0.1', false, true],
    ['what is connected within what is overstated', '10.1.2.3', true, true],
    ['what is overstated within what is connected', '10.9.9.1', false, true],
  ])('isOnLink() of %s', (_, to, allowed, refused) => {
    expect(isOnLink(facts, 'allow', addressOf(to))).toBe(allowed);
    expect(isOnLink(facts, 'deny', addressOf(to))).toBe(refused);
    expect(isOnLink(facts, 'drop', addressOf(to))).toBe(refused);
  });
});

describe('isBelievedLocal()', () => {
  const believed = (onLink: readonly string[], doubted: readonly string[], to: string): boolean =>
    isBelievedLocal({ onLink: onLink.map(prefixOf), doubted: doubted.map(prefixOf) }, addressOf(to));

  it.each([
    ['what is doubted', ['10.0.0.0/8'], ['10.0.0.0/8'], '10.1.2.3', false],
    ['a network of IPv6 that is doubted', ['fd00::/8'], ['fd00::/8'], 'fd77::1', false],
    ['what is not', ['192.168.1.0/24', '10.0.0.0/8'], ['10.0.0.0/8'], '192.168.1.9', true],
    ['a doubted part of what is not', ['192.168.1.0/24', '192.168.1.0/25'], ['192.168.1.0/25'], '192.168.1.9', false],
    ['the rest of it', ['192.168.1.0/24', '192.168.1.0/25'], ['192.168.1.0/25'], '192.168.1.200', true],
    ['a part of what is doubted that is not', ['10.0.0.0/8', '10.1.0.0/16'], ['10.0.0.0/8'], '10.1.2.3', true],
    ['what cannot leave the link', ['10.0.0.0/8'], ['10.0.0.0/8'], 'fe80::1', true],
    ['what is not private', ['8.8.8.0/24'], [], '8.8.8.8', false],
  ])('isBelievedLocal() of %s', (_, onLink, doubted, to, local) => {
    expect(believed(onLink, doubted, to)).toBe(local);
  });

  it('believedRanges() has nothing of a network where it is doubted to its very ends', () => {
    const halves = ['10.1.0.0/17', '10.1.128.0/17'];
    const ranges = believedRanges({ onLink: ['10.1.0.0/16', ...halves].map(prefixOf), doubted: halves.map(prefixOf) });
    expect(ranges).toEqual(believedRanges({ onLink: [] }));
  });
});

describe('protects()', () => {
  const at = { file: 'a.yaml', line: 1, column: 1 };
  const via = (words: Partial<Via>): Via => ({
    ...{ require: {}, prefer: {}, avoid: {}, prohibit: {}, else: 'block' as const, at },
    ...words,
  });

  it.each([
    ['an encrypted uplink', { require: { encrypted: true } }, true],
    ['no unencrypted one', { prohibit: { encrypted: false } }, true],
    ['one by its name', { require: { name: ['home'] } }, true],
    ['a trusted one', { require: { trusted: true } }, true],
    ['a VPN', { require: { type: ['vpn'] } }, true],
    ['a VPN or ethernet', { require: { type: ['vpn', 'ethernet'] } }, false],
    ['an unencrypted one', { require: { encrypted: false } }, false],
    ['one that costs nothing', { prohibit: { metered: true } }, false],
    ['rather an encrypted one', { prefer: { encrypted: true } }, false],
  ] satisfies [string, Partial<Via>, boolean][])('protects() of a via that asks for %s', (_, words, expected) => {
    expect(protects(via(words))).toBe(expected);
  });
});
