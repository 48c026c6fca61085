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
const rulesOf = (uplinks: readonly UplinkState[]): string[] =>
  compileAlike(uplinks).chains.flatMap(({ rules }) => rules.map(renderRule));

describe('compileAlike', () => {
  it('compileAlike labels a conversation with its first packet, and lets none of it in by another one with its address', () => {
    const uplinks = [uplink(1, 'a0', '192.168.8.100'), uplink(2, 'b0', '192.168.8.100')];
    expect(rulesOf(uplinks)).toEqual([
      'iifname "a0" ip daddr 192.168.8.100 ct direction original ct label 2 drop',
      'iifname "b0" ip daddr 192.168.8.100 ct direction original ct label 1 drop',
      'ct status confirmed accept',
      'iifname "a0" ct label set 1 accept',
      'iifname "b0" ct label set 2 accept',
    ]);
    expect(compileAlike(uplinks).answers.map(renderRule)).toEqual(
      [1, 2].map(
        (id) =>
          `ip saddr 192.168.8.100 ct direction reply ct label ${id} ct mark set ct mark & 0x00ffffff | 0xfd000000 goto via_${id}`,
      ),
    );
  });

  it('compileAlike labels alone where addresses differ or one is down, and nothing of two on one device', () => {
    const first = uplink(1, 'a0', '192.168.8.100');
    const labels = [
      'ct status confirmed accept',
      'iifname "a0" ct label set 1 accept',
      'iifname "b0" ct label set 2 accept',
    ];
    for (const other of [uplink(2, 'b0', '192.168.8.101'), uplink(2, 'b0', '192.168.8.100', false)]) {
      expect(rulesOf([first, other])).toEqual(labels);
      expect(compileAlike([first, other]).answers).toEqual([]);
    }
    expect(rulesOf([first, uplink(2, 'a0', '192.168.8.100')])).toEqual([]);
  });
});
