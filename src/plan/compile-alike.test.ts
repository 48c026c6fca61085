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
    expect(chains.flatMap(({ rules }) => rules.map(renderRule)).at(1)).toBe(
      'iifname "b0" ip daddr 192.168.8.100 ct direction original meta l4proto { tcp, udp } ' +
        'update @came4_by_2 { ip saddr . meta l4proto . th sport . th dport timeout 432000s }',
    );
    expect(answers.map(renderRule).at(1)).toBe(
      'ip saddr 192.168.8.100 ct direction reply meta l4proto { tcp, udp } ' +
        'ip daddr . meta l4proto . th dport . th sport @came4_by_2 ct mark set ct mark & 0x00ffffff | 0xfd000000 goto via_2',
    );
  });

  it('compileAlike does nothing where addresses differ, one uplink is down, or both are on one device', () => {
    const first = uplink(1, 'a0', '192.168.8.100');
    expect(namesOf([first, uplink(2, 'b0', '192.168.8.101')])).toEqual([]);
    expect(namesOf([first, uplink(2, 'b0', '192.168.8.100', false)])).toEqual([]);
    expect(namesOf([first, uplink(2, 'a0', '192.168.8.100')])).toEqual([]);
    expect(namesOf([first, uplink(2, 'b0', '192.168.8.100')])).toEqual(['came4_by_1', 'came4_by_2']);
  });
});
