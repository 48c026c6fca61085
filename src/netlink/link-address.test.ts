import { describe, expect, it } from 'vitest';
import { formatAddress } from '../net/address.ts';
import { capturedMessage } from './captured-messages.ts';
import { decodeLinkAddress, encodeAddressDump } from './link-address.ts';

describe('decodeLinkAddress()', () => {
  it('reads an IPv4 address', () => {
    const { address, ...rest } = decodeLinkAddress(capturedMessage('addressV4'));
    expect(formatAddress(address)).toBe('10.0.0.2');
    const flags = { tentative: false, deprecated: false, dadFailed: false, secondary: false };
    expect(rest).toEqual({ linkIndex: 3, prefixLength: 24, scope: 0, ...flags });
  });

  it('tells the own end of a point-to-point link from the peer', () => {
    const { address, peer } = decodeLinkAddress(capturedMessage('addressPeer'));
    expect([address, peer].map((each) => each && formatAddress(each))).toEqual(['10.9.0.1', '10.9.0.2']);
  });

  it('reads a tentative IPv6 address', () => {
    const decoded = decodeLinkAddress(capturedMessage('addressTentative'));
    expect(formatAddress(decoded.address)).toBe('2001:db8::2');
    expect(decoded).toMatchObject({ prefixLength: 64, tentative: true, deprecated: false });
  });
});

describe('encodeAddressDump()', () => {
  it('asks for one family', () => {
    expect([...encodeAddressDump(4).body]).toEqual([2, 0, 0, 0, 0, 0, 0, 0]);
    expect(encodeAddressDump(6).body[0]).toBe(10);
  });
});
