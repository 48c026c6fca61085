import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import { encodeSocketAddress } from './socket-address.ts';

function hex(text: string, port: number, scopeId?: number): string {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(text);
  return Buffer.from(encodeSocketAddress(address, port, scopeId)).toString('hex');
}

describe('encodeSocketAddress()', () => {
  it('encodeSocketAddress() writes family, port and address of IPv4, and fills up', () => {
    expect(hex('192.0.2.1', 443)).toBe(`020001bbc0000201${'0'.repeat(16)}`);
  });

  it('encodeSocketAddress() writes the device of a link-local address, and of no other', () => {
    expect(hex('fe80::1', 80, 7)).toBe(`0a00005000000000fe80${'0'.repeat(26)}0107000000`);
    expect(hex('2001:db8::1', 80, 7)).toBe(`0a0000500000000020010db8${'0'.repeat(22)}0100000000`);
  });
});
