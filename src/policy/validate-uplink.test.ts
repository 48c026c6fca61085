import { describe, expect, it } from 'vitest';
import { formatAddress } from '../net/address.ts';
import { parseUplinkFile } from './parse-file.ts';

const parse = (text: string, file = '/etc/pointsman/uplinks/home.yaml') =>
  parseUplinkFile(file, new TextEncoder().encode(`pointsman: 1\n${text}`));
const HOME = 'uplink: home\ndevice: wlan0\n';

describe('parseUplinkFile()', () => {
  it('parseUplinkFile() gives every property a value', () => {
    expect(parse(HOME)).toEqual({
      uplink: {
        name: 'home',
        device: 'wlan0',
        priority: 100,
        properties: { type: 'other', metered: false, roaming: false, trusted: false, encrypted: false },
        sources: {
          type: { by: 'default' },
          metered: { by: 'default' },
          roaming: { by: 'default' },
          trusted: { by: 'default' },
          encrypted: { by: 'default' },
        },
        gateways: {},
        at: { file: '/etc/pointsman/uplinks/home.yaml', line: 2, column: 9 },
      },
      diagnostics: [],
    });
  });

  it('parseUplinkFile() reads what is stated', () => {
    const text = `${HOME}priority: 0\nweight: 3\ntype: wifi\nmetered: true\ntrusted: true\ngateway: {v4: 192.0.2.1, v6: "fe80::1"}\n`;
    expect(parse(text).uplink).toMatchObject({
      priority: 0,
      weight: 3,
      properties: { type: 'wifi', metered: true, roaming: false, trusted: true },
      sources: { type: { by: 'file' }, metered: { by: 'file' }, roaming: { by: 'default' } },
      gateways: { v4: '192.0.2.1', v6: 'fe80::1' },
    });
  });

  it('parseUplinkFile() reads numbers in their units', () => {
    expect(parse(`${HOME}bandwidth: 50mbit\nrtt: 0.6s\nloss: 2.5%\n`).uplink?.properties).toMatchObject({
      bandwidthBitsPerSecond: 50_000_000,
      rttMs: 600,
      lossRatio: 0.025,
    });
  });

  it('parseUplinkFile() reads resolvers', () => {
    const { uplink } = parse(`${HOME}resolvers: [192.0.2.53, "2001:db8::53"]\n`);
    expect(uplink?.resolvers?.map(formatAddress)).toEqual(['192.0.2.53', '2001:db8::53']);
  });

  it.each([
    ['another name than the file', 'uplink: work\ndevice: a', 'name-mismatch'],
    ['no device', 'uplink: home', 'missing-key'],
    ['a device name of 16 bytes', `uplink: home\ndevice: ${'a'.repeat(16)}`, 'invalid-value'],
    ['a device name with a slash', 'uplink: home\ndevice: a/b', 'invalid-value'],
    ['a device name that nft reads as a pattern', 'uplink: home\ndevice: "eth*"', 'invalid-value'],
    ['the device ..', 'uplink: home\ndevice: ..', 'invalid-value'],
    ['a priority above the bound', `${HOME}priority: 1001`, 'invalid-value'],
    ['a weight of nothing', `${HOME}weight: 0`, 'invalid-value'],
    ['a priority that is no whole number', `${HOME}priority: 1.5`, 'wrong-type'],
    ['an endless priority', `${HOME}priority: 1e999`, 'wrong-type'],
    ['an unknown type', `${HOME}type: token-ring`, 'invalid-value'],
    ['yes for true', `${HOME}metered: yes`, 'wrong-type'],
    ['a gateway of the other family', `${HOME}gateway: {v4: "::1"}`, 'invalid-value'],
    ['a resolver that is no address', `${HOME}resolvers: [one.one.one.one]`, 'invalid-value'],
    ['a resolver on loopback', `${HOME}resolvers: [127.0.0.53]`, 'invalid-value'],
    ['an empty list of resolvers', `${HOME}resolvers: []`, 'invalid-value'],
    ['an unknown key of the gateway', `${HOME}gateway: {v5: "::1"}`, 'unknown-key'],
    ['a bandwidth without a unit', `${HOME}bandwidth: "5"`, 'invalid-value'],
    ['a bound for a value', `${HOME}rtt: <80ms`, 'invalid-value'],
    ['more loss than there is', `${HOME}loss: 101%`, 'invalid-value'],
    ['what only probes can tell', `${HOME}validated: true`, 'unknown-key'],
    ['a key of policies', `${HOME}app: a`, 'unknown-key'],
  ])('parseUplinkFile() refuses %s', (_, text, code) => {
    const { uplink, diagnostics } = parse(text);
    expect(uplink).toBeUndefined();
    expect(diagnostics).toMatchObject([{ code }]);
  });

  it('parseUplinkFile() refuses a name that is no uplink name', () => {
    expect(parse('uplink: Home\ndevice: a', 'Home.yaml').diagnostics).toMatchObject([{ code: 'invalid-value' }]);
  });

  it('parseUplinkFile() takes a file that says so for a mask, and an empty one for a mistake', () => {
    const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
    expect(parseUplinkFile('home.yaml', encode('mask: true'))).toEqual({ diagnostics: [], masked: true });
    const { masked, diagnostics } = parseUplinkFile('home.yaml', new Uint8Array());
    expect([masked, diagnostics.map(({ code }) => code)]).toEqual([undefined, ['empty-file']]);
  });
});
