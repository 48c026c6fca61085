import { describe, expect, it } from 'vitest';
import { parseAddress, parsePrefix } from '../net/address.ts';
import { isLocalDestination } from './local-networks.ts';

function isLocal(address: string, ...onLink: string[]): boolean {
  const parsed = parseAddress(address);
  if (parsed === undefined) throw new Error(address);
  return isLocalDestination(
    onLink.map(parsePrefix).filter((prefix) => prefix !== undefined),
    parsed,
  );
}

describe('isLocalDestination()', () => {
  it('holds for connected networks of private addresses', () => {
    expect(isLocal('192.168.7.9', '192.168.7.0/24')).toBe(true);
    expect(isLocal('fd00::9', 'fd00::/64')).toBe(true);
    expect(isLocal('192.168.8.9', '192.168.7.0/24')).toBe(false);
  });

  it('does not hold for other addresses, whatever network claims them', () => {
    expect(isLocal('203.0.113.9', '203.0.113.0/24')).toBe(false);
    expect(isLocal('2001:db8::9', '2000::/3')).toBe(false);
    expect(isLocal('10.1.2.3', '8.0.0.0/5')).toBe(false);
  });

  it('holds for what cannot leave the link', () => {
    for (const address of ['169.254.1.1', '224.0.0.251', 'fe80::1', 'ff02::fb']) expect(isLocal(address)).toBe(true);
    for (const address of ['239.1.1.1', 'ff05::1']) expect(isLocal(address)).toBe(false);
  });
});
