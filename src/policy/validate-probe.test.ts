import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import { parseUplinkFile } from './parse-file.ts';

const parse = (probe: string) =>
  parseUplinkFile(
    'home.yaml',
    new TextEncoder().encode(`pointsman: 1\nuplink: home\ndevice: wlan0\nprobe: ${probe}\n`),
  );
const NOTHING = { icmp: [], tcp: [], intervalMs: 10_000 };

describe('validateProbe()', () => {
  it('validateProbe() reads targets of every kind', () => {
    const text = `{ icmp: [192.0.2.1, "2001:db8::1"], tcp: ["192.0.2.1:443", "[2001:db8::1]:80"],
      http: "http://connectivity.example/generate_204", dns: { server: 192.0.2.53, name: Example.ORG }, interval: 2.5s }`;
    expect(parse(text)).toMatchObject({
      diagnostics: [],
      uplink: {
        probe: {
          icmp: [parseAddress('192.0.2.1'), parseAddress('2001:db8::1')],
          tcp: [
            { address: parseAddress('192.0.2.1'), port: 443 },
            { address: parseAddress('2001:db8::1'), port: 80 },
          ],
          http: { host: 'connectivity.example', port: 80, path: '/generate_204' },
          dns: { server: parseAddress('192.0.2.53'), name: 'example.org' },
          intervalMs: 2500,
        },
      },
    });
  });

  it.each([
    ['off', 'off'],
    ['{}', NOTHING],
    ['{ interval: 1h }', { ...NOTHING, intervalMs: 3_600_000 }],
    ['{ icmp: 192.0.2.1 }', { ...NOTHING, icmp: [parseAddress('192.0.2.1')] }],
    [
      '{ http: "http://[2001:db8::1]:8080" }',
      { ...NOTHING, http: { host: parseAddress('2001:db8::1'), port: 8080, path: '/' } },
    ],
    ['{ http: "http://a.example?x=1" }', { ...NOTHING, http: { host: 'a.example', port: 80, path: '/?x=1' } }],
  ])('validateProbe() reads %s', (text, probe) => {
    expect(parse(text)).toMatchObject({ diagnostics: [], uplink: { probe } });
    expect(parse(text).uplink?.probe).toEqual(probe);
  });

  it.each([
    ['on', 'invalid-value', '"probe" must be off, not "on"'],
    ['false', 'wrong-type', '"probe" must be off, not false'],
    ['{ ping: 192.0.2.1 }', 'unknown-key', '"ping" is not a key of this language'],
    [
      '{ dns: { server: 192.0.2.53, name: a.example, host: a.example } }',
      'unknown-key',
      '"host" is not a key of this language',
    ],
    ['{ dns: { server: 192.0.2.53 } }', 'missing-key', '"name" is missing'],
    ['{ dns: { server: a.example, name: a.example } }', 'invalid-value', '"a.example" is no IPv4 or IPv6 address'],
    ['{ dns: { server: 192.0.2.53, name: 192.0.2.1 } }', 'invalid-value', '"192.0.2.1" is no name such as'],
    ['{ dns: { server: 192.0.2.53, name: "*.a.example" } }', 'invalid-value', '"*.a.example" is no name such as'],
    ['{ icmp: [] }', 'invalid-value', '"icmp" must not be empty'],
    ['{ icmp: a.example }', 'invalid-value', '"a.example" is no IPv4 or IPv6 address'],
    ['{ icmp: [192.0.2.1, 192.0.2.0/24] }', 'invalid-value', '"192.0.2.0/24" is no IPv4 or IPv6 address'],
    ['{ icmp: [a, a, a, a, a, a, a, a, a] }', 'invalid-value', '"icmp" is too large: at most 8 entries'],
    ['{ tcp: 192.0.2.1 }', 'invalid-value', '"192.0.2.1" is not an address and a port'],
    ['{ tcp: "a.example:443" }', 'invalid-value', '"a.example:443" is not an address and a port'],
    ['{ tcp: "192.0.2.0/24:443" }', 'invalid-value', '"192.0.2.0/24:443" is not an address and a port'],
    ['{ tcp: "192.0.2.1:80-90" }', 'invalid-value', '"192.0.2.1:80-90" is not an address and a port'],
    ['{ tcp: "192.0.2.1:80,90" }', 'invalid-value', '"192.0.2.1:80,90" is not an address and a port'],
    ['{ tcp: "192.0.2.1:80/udp" }', 'invalid-value', '"192.0.2.1:80/udp" is not an address and a port'],
    ['{ http: "https://a.example/" }', 'invalid-value', 'a captive portal cannot answer for https'],
    ['{ http: a.example }', 'invalid-value', '"a.example" is no URL'],
    ['{ http: "http://user@a.example/" }', 'invalid-value', '"http://user@a.example/" is no URL'],
    ['{ http: "http://a.example/a b" }', 'invalid-value', '"http://a.example/a b" is no URL'],
    ['{ http: "http://*/" }', 'invalid-value', '"http://*/" is no URL'],
    ['{ interval: 999ms }', 'invalid-value', '"999ms" is no time from 1s to 1h'],
    ['{ interval: 61m }', 'invalid-value', '"61m" is no time from 1s to 1h'],
    ['{ interval: soon }', 'invalid-value', '"soon" is no time from 1s to 1h'],
    ['{ interval: 10 }', 'wrong-type', '"interval" must be text, not 10'],
  ])('validateProbe() refuses %s', (text, code, message) => {
    const { uplink, diagnostics } = parse(text);
    expect(uplink).toBeUndefined();
    expect(diagnostics).toMatchObject([{ code, line: 4, message: expect.stringContaining(message) }]);
  });
});
