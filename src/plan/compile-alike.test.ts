import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import type { UplinkState } from '../policy/facts.ts';
import { compileAlike } from './compile-alike.ts';
import { renderRule } from './nft/render.ts';

const uplink = (id: number, device: string, own: string, up = true): UplinkState => {
  const address = parseAddress(own) ?? expect.fail(`${own} is no address`);
  return {
    ...{ id, name: `u${id}`, device, up, v4: true, v6: false, onLink: [], gateways: {}, addresses: [address] },
  };
};
const namesOf = (uplinks: readonly UplinkState[]): string[] => compileAlike(uplinks).sets.map(({ name }) => name);

describe('compileAlike', () => {
  it('compileAlike remembers who asks by which of two devices with one address, and answers by that one', () => {
    const { answers, chains } = compileAlike([uplink(1, 'a0', '192.168.8.100'), uplink(2, 'b0', '192.168.8.100')]);
    const remembered = chains.flatMap(({ rules }) => rules.map(renderRule));
    const key = 'meta l4proto . ct original proto-src . ct original proto-dst';
    for (const [at, protocols, set, timeout] of [
      [2, '{ tcp, udp }', 'came4_by_2', '432000s'],
      [3, '{ icmp, ipv6-icmp }', 'pinged4_by_2', '60s'],
    ] as const) {
      expect(remembered.at(at)).toBe(
        `iifname "b0" ip daddr 192.168.8.100 ct direction original meta l4proto ${protocols} ` +
          `update @${set} { ip saddr . ${key} timeout ${timeout} }`,
      );
      expect(answers.map(renderRule).at(at)).toBe(
        `ip saddr 192.168.8.100 ct direction reply meta l4proto ${protocols} ip daddr . ${key} @${set} ` +
          'ct mark set ct mark & 0x00ffffff | 0xfd000000 goto via_2',
      );
    }
  });

  it('compileAlike does nothing where addresses differ, one uplink is down, or both are on one device', () => {
    const first = uplink(1, 'a0', '192.168.8.100');
    expect(namesOf([first, uplink(2, 'b0', '192.168.8.101')])).toEqual([]);
    expect(namesOf([first, uplink(2, 'b0', '192.168.8.100', false)])).toEqual([]);
    expect(namesOf([first, uplink(2, 'a0', '192.168.8.100')])).toEqual([]);
    expect(namesOf([first, uplink(2, 'b0', '192.168.8.100')])).toEqual([
      'came4_by_1',
      'pinged4_by_1',
      'came4_by_2',
      'pinged4_by_2',
    ]);
  });
});
