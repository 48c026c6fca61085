import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePrefix } from '../net/address.ts';
import { MAX_DESTINATION_LENGTH, MAX_PORTS, parseDestination, parsePeer } from './destination.ts';

const prefix = (text: string) => ({ target: { kind: 'prefix', prefix: parsePrefix(text) } });
const name = (text: string) => ({ target: { kind: 'name', name: text } });
const any = { target: { kind: 'any' } };
const port = (first: number, last: number = first) => ({ first, last });

describe('parseDestination()', () => {
  it.each<[string, object]>([
    ['*', any],
    ['*:*', any],
    ['*:443', { ...any, ports: [port(443)] }],
    ['*/udp', { ...any, protocol: 'udp' }],
    ['*:*/tcp', { ...any, protocol: 'tcp' }],
    ['*/icmp', { ...any, protocol: 'icmp' }],
    ['*:53/udp', { ...any, ports: [port(53)], protocol: 'udp' }],
    ['lan', { target: { kind: 'group', group: 'lan' } }],
    [
      'internet:80,443/tcp',
      { target: { kind: 'group', group: 'internet' }, ports: [port(80), port(443)], protocol: 'tcp' },
    ],
    ['on-link', { target: { kind: 'on-link' } }],
    ['on-link:5353,1900/udp', { target: { kind: 'on-link' }, ports: [port(5353), port(1900)], protocol: 'udp' }],
    ['192.0.2.1', prefix('192.0.2.1/32')],
    ['192.0.2.1:80', { ...prefix('192.0.2.1/32'), ports: [port(80)] }],
    ['192.0.2.1/tcp', { ...prefix('192.0.2.1/32'), protocol: 'tcp' }],
    ['192.0.2.0/24', prefix('192.0.2.0/24')],
    ['192.0.2.0/24/udp', { ...prefix('192.0.2.0/24'), protocol: 'udp' }],
    [
      '192.0.2.0/24:1000-2000,53/udp',
      { ...prefix('192.0.2.0/24'), ports: [port(1000, 2000), port(53)], protocol: 'udp' },
    ],
    ['0.0.0.0/0', prefix('0.0.0.0/0')],
    ['2001:db8::1', prefix('2001:db8::1/128')],
    ['2001:db8::/32', prefix('2001:db8::/32')],
    ['2001:db8::/32/tcp', { ...prefix('2001:db8::/32'), protocol: 'tcp' }],
    ['[2001:db8::/32]:443', { ...prefix('2001:db8::/32'), ports: [port(443)] }],
    ['[2001:db8::1]', prefix('2001:db8::1/128')],
    ['[::1]:22/tcp', { ...prefix('::1/128'), ports: [port(22)], protocol: 'tcp' }],
    ['imap.example.org:993', { ...name('imap.example.org'), ports: [port(993)] }],
    ['IMAP.Example.org.', name('imap.example.org')],
    ['printer.', name('printer')],
    ['xn--bcher-kva.example', name('xn--bcher-kva.example')],
    ['3com.example', name('3com.example')],
  ])('parseDestination() reads %s', (text, value) => {
    expect(parseDestination(text)).toEqual({ ok: true, value });
  });

  it.each<[string, string, string, RegExp]>([
    ['', 'invalid-destination', '', /host is missing/],
    [':443', 'invalid-destination', '', /host is missing/],
    ['10.0.0.1/8', 'host-bits-set', '10.0.0.1/8', /10\.0\.0\.0\/8/],
    ['[2001:db8::1/32]:443', 'host-bits-set', '2001:db8::1/32', /2001:db8::\/32/],
    ['300.1.1.1', 'invalid-destination', '300.1.1.1', /IPv4/],
    ['10.1', 'invalid-destination', '10.1', /IPv4/],
    ['10.0.0.0/33', 'invalid-destination', '10.0.0.0/33', /IPv4/],
    ['2001:db8:::1', 'invalid-destination', '2001:db8:::1', /IPv6/],
    ['::ffff:192.0.2.1', 'invalid-destination', '::ffff:192.0.2.1', /write 192\.0\.2\.1/],
    ['[2001:db8::]/32:443', 'invalid-destination', '/32:443', /in the brackets/],
    ['[2001:db8::1:443', 'invalid-destination', '[2001:db8::1:443', /no "\]"/],
    ['[example.org]:443', 'invalid-destination', 'example.org', /only an IPv6/],
    ['https://example.org/', 'invalid-destination', 'https://example.org/', /no URL/],
    ['example.org:https', 'invalid-destination', 'https', /443/],
    ['example.org:0', 'invalid-destination', '0', /1 to 65535/],
    ['example.org:80,65536', 'invalid-destination', '65536', /1 to 65535/],
    ['example.org:90-80', 'invalid-destination', '90-80', /80-90/],
    ['example.org:80,', 'invalid-destination', '', /1 to 65535/],
    ['example.org:80,*', 'invalid-destination', '*', /1 to 65535/],
    ['example.org/24', 'invalid-destination', 'example.org/24', /prefix length/],
    ['example.org:80/sctp', 'invalid-destination', 'sctp', /tcp, udp, icmp/],
    ['example.org:80/TCP', 'invalid-destination', 'TCP', /"tcp"/],
    ['*/icmpv6', 'invalid-destination', 'icmpv6', /ICMPv6/],
    ['*:8/icmp', 'invalid-destination', '8', /no ports/],
    ['*.example.org', 'not-yet-enforced', '*.example.org', /wildcards/],
    ['bücher.example', 'invalid-destination', 'bücher.example', /punycode/],
    ['lann', 'invalid-destination', 'lann', /"lan"/],
    ['localhost:80', 'invalid-destination', 'localhost', /"loopback"/],
    ['printer:631', 'invalid-destination', 'printer', /"printer\."/],
    ['-a.example', 'invalid-destination', '-a.example', /no host name/],
    ['a..example', 'invalid-destination', 'a..example', /no host name/],
    [`${'a'.repeat(64)}.example`, 'invalid-destination', `${'a'.repeat(64)}.example`, /no host name/],
    [`${'a.'.repeat(126)}ab`, 'invalid-destination', `${'a.'.repeat(126)}ab`, /no host name/],
    [`*:${'1,'.repeat(MAX_PORTS)}1`, 'too-long', `${'1,'.repeat(MAX_PORTS)}1`, /at most 64/],
    ['a'.repeat(2000), 'too-long', 'a'.repeat(2000), /at most/],
  ])('parseDestination() refuses %s and points at the part', (text, code, part, said) => {
    const result = parseDestination(text);
    if (result.ok) throw new Error(`accepted: ${text}`);
    const { mistake } = result;
    expect(mistake.code).toBe(code);
    expect(text.slice(mistake.part.from, mistake.part.to)).toBe(part);
    expect(`${mistake.message} ${mistake.hint ?? ''}`).toMatch(said);
  });

  it('parseDestination() never throws and never points outside the text', () => {
    const near = fc.stringMatching(/^[\]a.:/,*0-9[-]{0,30}$/);
    fc.assert(
      fc.property(fc.oneof(near, fc.string()), (text) => {
        const result = parseDestination(text);
        if (result.ok) return true;
        const { from, to } = result.mistake.part;
        return from >= 0 && from <= to && to <= text.length;
      }),
      { numRuns: 3000 },
    );
  });
});

describe('parsePeer()', () => {
  it.each<[string, object]>([
    ['*', any],
    ['*:22/tcp', { ...any, ports: [port(22)], protocol: 'tcp' }],
    ['lan:8000-8100', { target: { kind: 'group', group: 'lan' }, ports: [port(8000, 8100)] }],
    ['192.0.2.0/24:53/udp', { ...prefix('192.0.2.0/24'), ports: [port(53)], protocol: 'udp' }],
    ['[2001:db8::/32]:443', { ...prefix('2001:db8::/32'), ports: [port(443)] }],
    ['2001:db8::1', prefix('2001:db8::1/128')],
  ])('parsePeer() reads %s', (text, value) => {
    expect(parsePeer(text)).toEqual({ ok: true, value });
  });

  it.each<[string, string, string, RegExp]>([
    ['imap.example.org', 'invalid-destination', 'imap.example.org', /name cannot be known.*address/],
    ['printer.:631', 'invalid-destination', 'printer.', /name cannot be known/],
    ['*.example.org', 'invalid-destination', '*.example.org', /name cannot be known/],
    ['example.org:22/tcp', 'invalid-destination', 'example.org', /name cannot be known/],
    ['lann', 'invalid-destination', 'lann', /no address.*"lan"/],
    ['printer', 'invalid-destination', 'printer', /no address, network or group/],
    ['lan/icmp', 'invalid-destination', 'icmp', /tcp, udp .*kernel itself answers ICMP/],
    ['*/icmpv6', 'invalid-destination', 'icmpv6', /kernel itself/],
    ['*/tpc', 'invalid-destination', 'tpc', /"tcp"/],
    ['10.0.0.1/8:22', 'host-bits-set', '10.0.0.1/8', /10\.0\.0\.0\/8/],
    ['https://example.org', 'invalid-destination', 'https://example.org', /a peer is no URL/],
    ['*'.repeat(MAX_DESTINATION_LENGTH + 1), 'too-long', '*'.repeat(MAX_DESTINATION_LENGTH + 1), /a peer has at most/],
  ])('parsePeer() refuses %s', (text, code, part, words) => {
    const result = parsePeer(text);
    if (result.ok) throw new Error('accepted');
    const { mistake } = result;
    expect(mistake.code).toBe(code);
    expect(text.slice(mistake.part.from, mistake.part.to)).toBe(part);
    expect(`${mistake.message} ${mistake.hint ?? ''}`).toMatch(words);
  });

  it('parsePeer() reads what parseDestination() reads, less names and ICMP, and nothing else', () => {
    const host = fc.oneof(
      fc.constantFrom('*', 'lan', 'internet', 'a.example', 'printer.', '[2001:db8::1]', '192.0.2.0/24'),
      fc.ipV4(),
      fc.string({ maxLength: 10 }),
    );
    const ending = fc.constantFrom('', ':22', ':1-9,7', '/tcp', '/udp', '/icmp', ':22/tcp', ':0');
    fc.assert(
      fc.property(host, ending, (of, rest) => {
        const [peer, destination] = [parsePeer(of + rest), parseDestination(of + rest)];
        const { target, protocol } = destination.ok ? destination.value : {};
        const isPeer = destination.ok && target?.kind !== 'name' && protocol !== 'icmp';
        expect(peer.ok).toBe(isPeer);
        if (isPeer) expect(peer).toEqual(destination);
      }),
      { numRuns: 1000 },
    );
  });
});
