import { describe, expect, it } from 'vitest';
import { addressToBytes, parseAddress } from '../net/address.ts';
import { u32 } from './bytes.ts';
import { decodeTunnelEnds } from './tunnel-ends.ts';

const bytes = (text: string): Uint8Array => addressToBytes(parseAddress(text) ?? expect.fail(text));

describe('decodeTunnelEnds', () => {
  it.each([
    ['gre', 7, 20],
    ['ip6gre', 7, 20],
    ['ipip', 3, 20],
    ['sit', 3, 20],
    ['ip6tnl', 3, 20],
    ['vti', 5, 6],
  ])('decodeTunnelEnds finds where %s sends, and its mark', (kind, remote, mark) => {
    const data = new Map([
      [remote, bytes('198.51.100.9')],
      [mark, u32(5)],
    ]);
    expect(decodeTunnelEnds(kind, data)).toEqual({ remote: parseAddress('198.51.100.9'), mark: 5 });
  });

  it('decodeTunnelEnds finds either family of VXLAN and GENEVE', () => {
    expect(decodeTunnelEnds('vxlan', new Map([[16, bytes('2001:db8::9')]]))).toMatchObject({ remote: { family: 6 } });
    expect(decodeTunnelEnds('geneve', new Map([[2, bytes('198.51.100.9')]]))).toMatchObject({ remote: { family: 4 } });
  });

  it('decodeTunnelEnds says that a tunnel without an other end has none, and of other devices nothing', () => {
    expect(decodeTunnelEnds('sit', new Map([[3, bytes('0.0.0.0')]]))).toEqual({ mark: 0 });
    expect(decodeTunnelEnds('vlan', new Map([[3, bytes('198.51.100.9')]]))).toBeUndefined();
  });
});
