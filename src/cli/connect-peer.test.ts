import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress } from '../net/address.ts';
import { parseConnectPeer, parseOwnPort } from './connect-peer.ts';

describe('parseConnectPeer', () => {
  it.each([
    ['192.0.2.7', { from: '192.0.2.7' }],
    ['192.0.2.7:50000', { from: '192.0.2.7', fromPort: 50000 }],
    ['2001:db8::7', { from: '2001:db8::7' }],
    ['[2001:db8::7]', { from: '2001:db8::7' }],
    ['[2001:DB8::7]:50000', { from: '2001:db8::7', fromPort: 50000 }],
    ['::ffff:192.0.2.7', { from: '192.0.2.7' }],
    ['::1', { from: '::1' }],
  ])('parseConnectPeer reads %s', (text, value) => {
    expect(parseConnectPeer(text)).toEqual({ ok: true, value });
  });

  it.each([
    ['example.org:80', '"example.org" is not an address: a connection comes from one, not from a name'],
    ['192.0.2.256', '"192.0.2.256" is not an address: a connection comes from one, not from a name'],
    ['192.0.2.0/24', '"192.0.2.0/24" is not one address: who connects?'],
    ['192.0.2.7/udp', 'the protocol goes with the port of this machine: --from 192.0.2.7 --port 22/udp'],
    ['192.0.2.7:0', '"0" is not a port: 1 to 65535'],
    ['192.0.2.7:', '"" is not a port: 1 to 65535'],
    ['192.0.2.7:*', '"*" is not a port: 1 to 65535'],
    ['192.0.2.7:1-2', '"1-2" is not a port: 1 to 65535'],
    ['[192.0.2.7]:80', '"192.0.2.7" is not an IPv6 address'],
    ['[]:80', 'who connects? ADDRESS or ADDRESS:PORT'],
    [':80', 'who connects? ADDRESS or ADDRESS:PORT'],
    ['', 'who connects? ADDRESS or ADDRESS:PORT'],
    ['[2001:db8::7', '"[2001:db8::7" is not an address: a connection comes from one, not from a name'],
  ])('parseConnectPeer says what is wrong with %j', (text, message) => {
    expect(parseConnectPeer(text)).toEqual({ ok: false, message });
  });

  it('parseConnectPeer reads every address, with and without a port', () => {
    const v4 = fc.bigInt(0n, 0xffffffffn).map((value) => formatAddress({ family: 4, value }));
    // Not those that stand for an IPv4 address.
    const v6 = fc.bigInt(1n << 64n, (1n << 128n) - 1n).map((value) => formatAddress({ family: 6, value }));
    fc.assert(
      fc.property(fc.oneof(v4, v6), fc.option(fc.integer({ min: 1, max: 65535 })), (from, port) => {
        const host = port !== null && from.includes(':') ? `[${from}]` : from;
        const value = port === null ? { from } : { from, fromPort: port };
        expect(parseConnectPeer(port === null ? host : `${host}:${port}`)).toEqual({ ok: true, value });
      }),
    );
  });

  it('parseConnectPeer throws at no text', () => {
    fc.assert(fc.property(fc.string(), (text) => void expect(parseConnectPeer(text)).toHaveProperty('ok')));
  });
});

describe('parseOwnPort', () => {
  it.each([
    ['22', { port: 22, protocol: 'tcp' }],
    ['22/tcp', { port: 22, protocol: 'tcp' }],
    ['5353/UDP', { port: 5353, protocol: 'udp' }],
  ])('parseOwnPort reads %s', (text, value) => {
    expect(parseOwnPort(text)).toEqual({ ok: true, value });
  });

  it.each([
    ['', '"" is not a port: 1 to 65535'],
    ['0', '"0" is not a port: 1 to 65535'],
    ['65536', '"65536" is not a port: 1 to 65535'],
    ['*', '"*" is not a port: 1 to 65535'],
    ['ssh', '"ssh" is not a port: 1 to 65535'],
    ['22/icmp', 'the protocol is tcp or udp, not "icmp"'],
    ['22/', 'the protocol is tcp or udp, not ""'],
    ['22/tcp/x', 'the protocol is tcp or udp, not "tcp/x"'],
  ])('parseOwnPort says what is wrong with %j', (text, message) => {
    expect(parseOwnPort(text)).toEqual({ ok: false, message });
  });
});
