import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress } from '../net/address.ts';
import { formatConnectTarget, parseConnectTarget } from './connect-target.ts';

describe('parseConnectTarget', () => {
  it.each([
    ['example.org:443', { host: 'example.org', port: 443, protocol: 'tcp' }],
    ['example.org:443/tcp', { host: 'example.org', port: 443, protocol: 'tcp' }],
    ['192.0.2.1:53/udp', { host: '192.0.2.1', port: 53, protocol: 'udp' }],
    ['192.0.2.1/icmp', { host: '192.0.2.1', protocol: 'icmp' }],
    ['[2001:db8::1]:993', { host: '2001:db8::1', port: 993, protocol: 'tcp' }],
    ['[2001:db8::1]:53/UDP', { host: '2001:db8::1', port: 53, protocol: 'udp' }],
    ['2001:db8::1/icmp', { host: '2001:db8::1', protocol: 'icmp' }],
    ['[::ffff:192.0.2.1]:443', { host: '192.0.2.1', port: 443, protocol: 'tcp' }],
    ['::ffff:c000:201/icmp', { host: '192.0.2.1', protocol: 'icmp' }],
    ['[::1]/icmp', { host: '::1', protocol: 'icmp' }],
    ['_sip._udp.example.org:5060/udp', { host: '_sip._udp.example.org', port: 5060, protocol: 'udp' }],
  ])('parseConnectTarget reads %s', (text, value) => {
    expect(parseConnectTarget(text)).toEqual({ ok: true, value });
  });

  it.each([
    ['example.org', 'which port? example.org:443, example.org:53/udp, or example.org/icmp'],
    ['example.org:', '"" is not a port: 1 to 65535'],
    ['example.org:0', '"0" is not a port: 1 to 65535'],
    ['example.org:65536', '"65536" is not a port: 1 to 65535'],
    ['example.org:80-90', '"80-90" is not a port: 1 to 65535'],
    ['example.org:https', '"https" is not a port: did you mean 443?'],
    ['example.org:*', '"*" is not a port: 1 to 65535'],
    [
      '2001:db8::1:443',
      'an IPv6 address needs brackets and a port: for port 443 write "[2001:db8::1]:443", for the address "[2001:db8::1:443]"',
    ],
    ['2001:db8::1:4437', 'an IPv6 address needs brackets and a port: [2001:db8::1:4437]:443'],
    ['https://example.org/x', 'this is a URL: write host and port: "example.org:443"'],
    ['gopher://example.org/x', 'this is a URL: write the host: "example.org"'],
    ['[192.0.2.1]:80', '"192.0.2.1" is not an IPv6 address'],
    ['192.0.2.256:80', '"192.0.2.256" is neither an address nor a name'],
    ['exa mple.org:80', '"exa mple.org" is neither an address nor a name'],
    ['example.org:80/sctp', 'the protocol is tcp, udp or icmp, not "sctp"'],
    ['example.org:80/icmp', 'ICMP has no ports: HOST/icmp'],
    [':80', 'which host? HOST:PORT'],
    ['', 'which host? HOST:PORT'],
  ])('parseConnectTarget says what is wrong with %j', (text, message) => {
    expect(parseConnectTarget(text)).toEqual({ ok: false, message });
  });

  it('parseConnectTarget reads back what formatConnectTarget writes', () => {
    const v4 = fc.bigInt(0n, 0xffffffffn).map((value) => formatAddress({ family: 4, value }));
    const v6 = fc.bigInt(0n, (1n << 128n) - 1n).map((value) => formatAddress({ family: 6, value }));
    const host = fc.oneof(v4, v6, fc.constantFrom('a', 'example.org', 'x-1.example'));
    const target = fc.oneof(
      fc.record({ host, port: fc.integer({ min: 1, max: 65535 }), protocol: fc.constantFrom('tcp', 'udp') }),
      fc.record({ host, protocol: fc.constant('icmp' as const) }),
    );
    fc.assert(
      fc.property(target, (value) => {
        expect(parseConnectTarget(formatConnectTarget(value))).toEqual({ ok: true, value });
      }),
    );
  });
});
