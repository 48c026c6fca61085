import { describe, expect, it } from 'vitest';
import { alikeUplinks } from './alike-uplinks.ts';
import { parseUplinkFile } from './parse-file.ts';

const uplink = (name: string, device: string, gateway?: string) => {
  const stated = gateway === undefined ? '' : `gateway: ${gateway}\n`;
  const text = `pointsman: 1\nuplink: ${name}\ndevice: ${device}\n${stated}`;
  return parseUplinkFile(`${name}.yaml`, new TextEncoder().encode(text)).uplink ?? expect.fail(text);
};
const V6 = '{ v6: "fe80::1" }';

describe('alikeUplinks()', () => {
  it.each([
    [undefined, undefined],
    ['{ v4: 192.0.2.1 }', '{ v4: 192.0.2.1 }'],
    [V6, '{ v6: "FE80:0::1" }'],
  ])('alikeUplinks() warns of two on one device with the gateways %s and %s', (one, two) => {
    expect(alikeUplinks([uplink('one', 'eth0', one), uplink('two', 'eth0', two)])).toMatchObject([
      {
        severity: 'warning',
        code: 'duplicate-entry',
        file: 'two.yaml',
        line: 2,
        hint: expect.stringContaining('gateway:'),
      },
    ]);
  });

  it.each([
    ['eth0', undefined, 'eth1', undefined],
    ['eth0', undefined, 'eth0', '{ v4: 192.0.2.1 }'],
    ['eth0', '{ v4: 192.0.2.2 }', 'eth0', '{ v4: 192.0.2.1 }'],
    ['eth0', V6, 'eth0', '{ v4: 192.0.2.1, v6: "fe80::1" }'],
  ])('alikeUplinks() has nothing to say of %s by %s and %s by %s', (device, one, otherDevice, two) => {
    expect(alikeUplinks([uplink('one', device, one), uplink('two', otherDevice, two)])).toEqual([]);
  });

  it('alikeUplinks() leaves alone what was found', () => {
    const found = { ...uplink('eth0', 'eth0'), discovered: true as const };
    expect(alikeUplinks([uplink('one', 'eth0'), found])).toEqual([]);
  });
});
