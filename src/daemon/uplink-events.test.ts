import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import type { UplinkState } from '../policy/facts.ts';
import { propertiesOf, type Telling } from '../policy/join-uplinks.ts';
import { type UplinksInForce, uplinkEvents } from './uplink-events.ts';

const address = parseAddress('192.0.2.2');
if (address === undefined) throw new Error('address');

interface Part {
  readonly name?: string;
  readonly telling?: Telling;
  readonly state?: Partial<UplinkState>;
}

function inForce(...parts: readonly Part[]): UplinksInForce {
  const uplinks = parts.map(({ name = 'wifi', telling }) => ({
    name,
    device: `${name}0`,
    priority: 1,
    ...propertiesOf(telling === undefined ? [] : [telling]),
    gateways: {},
    at: { file: 'x', line: 1, column: 1 },
  }));
  const states = parts.map(({ name = 'wifi', state }, i): UplinkState => {
    const head = { name, id: i + 1, device: `${name}0`, deviceIndex: 3, up: true, v4: true, v6: true };
    return { ...head, addresses: [address as NonNullable<typeof address>], onLink: [], gateways: {}, ...state };
  });
  return { policySet: { uplinks }, machine: { facts: { uplinks: states } } };
}

const told = (before: UplinksInForce | undefined, after: UplinksInForce): string[] =>
  uplinkEvents(before, after, 7).map(({ uplink, what, details }) => `${uplink} ${what}: ${details}`);

describe('uplinkEvents', () => {
  it('uplinkEvents tells what has come and what has gone', () => {
    const vpn = { name: 'wg', telling: { by: 'kernel', told: { type: 'vpn', encrypted: true } } as const };
    expect(told(inForce({}), inForce({}, vpn))).toEqual(['wg found: vpn, encrypted; IPv4 and IPv6']);
    expect(told(inForce({}, vpn), inForce({}))).toEqual(['wg gone: ']);
  });

  it.each([
    ['a lost family', { state: { v6: false } }, 'now IPv4, was IPv4 and IPv6'],
    ['a lost way', { state: { v4: false, v6: false } }, 'now no way out, was IPv4 and IPv6'],
    ['an address', { state: { addresses: [] } }, 'without address 192.0.2.2'],
    [
      'what it costs',
      { telling: { by: 'NetworkManager', told: { metered: true }, guesses: ['metered'] } as const },
      'metered yes (NetworkManager, guess)',
    ],
    ['its health', { state: { health: { v4: { state: 'failed' } } } }, 'health of IPv4 failed'],
  ] satisfies [string, Part, string][])('uplinkEvents tells %s', (_, part, details) => {
    expect(told(inForce({}), inForce(part))).toEqual([`wifi changed: ${details}`]);
  });

  it('uplinkEvents tells nothing at the start, nor where nothing is otherwise', () => {
    expect(told(undefined, inForce({}))).toEqual([]);
    expect(told(inForce({}), inForce({}))).toEqual([]);
  });
});
