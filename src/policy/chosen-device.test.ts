import { describe, expect, it } from 'vitest';
import { type Address, type Prefix, parseAddress, parsePrefix } from '../net/address.ts';
import { asChosen } from './chosen-device.ts';
import type { Decision } from './decision.ts';
import { describeReason } from './describe-decision.ts';
import type { Facts, UplinkState } from './facts.ts';

const at = { file: '/etc/pointsman/policies/a.yaml', line: 3, column: 1 };
const address = (text: string): Address => parseAddress(text) as Address;
const prefix = (text: string): Prefix => parsePrefix(text) as Prefix;
const uplink = (id: number, name: string, device: string, network: string): UplinkState => ({
  ...{ id, name, device, deviceIndex: id + 1, up: true, v4: true, v6: true, addresses: [], gateways: {} },
  onLink: [prefix(network)],
});
const facts = {
  uplinks: [uplink(1, 'wifi', 'wlan0', '10.1.0.0/24'), uplink(2, 'phone', 'wwan0', '10.2.0.0/24')],
} as unknown as Facts;
const to = (destination: string, chosenDevice?: string) => ({
  ...{ protocol: 6, source: address('10.1.0.2'), destination: address(destination), loopback: false },
  ...(chosenDevice !== undefined && { chosenDevice }),
});
const reason = { kind: 'otherwise', layer: 'administrator', at } as const;
const byWifi: Decision = { verdict: 'accept', reason, way: { kind: 'uplink', name: 'wifi', id: 1 } };
const local: Decision = { verdict: 'accept', reason, way: { kind: 'local' } };
const system: Decision = { verdict: 'accept', reason, way: { kind: 'system' } };

describe('asChosen', () => {
  it('asChosen() refuses the device of another uplink, and one that is none', () => {
    for (const device of ['wwan0', 'docker0'])
      expect(asChosen(byWifi, to('203.0.113.9', device), facts)).toMatchObject({
        ...{ verdict: 'reject', cause: 'other-device', chosen: { device, permitted: ['wlan0'] } },
      });
  });

  it('asChosen() leaves alone what chooses nothing, its own device, or loopback', () => {
    for (const device of [undefined, 'wlan0', 'lo'])
      expect(asChosen(byWifi, to('203.0.113.9', device), facts)).toBe(byWifi);
  });

  it('asChosen() leaves alone what goes by the system’s routes', () => {
    expect(asChosen(system, to('203.0.113.9', 'wwan0'), facts)).toBe(system);
  });

  it('asChosen() lets an uplink’s device lead to its own networks alone, and leaves other devices alone', () => {
    expect(asChosen(local, to('10.2.0.9', 'wwan0'), facts)).toBe(local);
    expect(asChosen(local, to('10.1.0.9', 'docker0'), facts)).toBe(local);
    expect(asChosen(local, to('10.1.0.9', 'wwan0'), facts)).toMatchObject({ verdict: 'reject', cause: 'other-device' });
  });

  it('asChosen() permits each uplink that shares where the flow does not tell whose it is', () => {
    const considered = ['wifi', 'phone'].map((name) => ({ uplink: name, taken: true, because: 'permitted' }));
    const way = { kind: 'uplink', name: 'wifi', id: 1 } as const;
    const shared: Decision = { ...byWifi, choice: { via: at, way, considered } };
    expect(asChosen(shared, to('203.0.113.9', 'wwan0'), facts)).toBe(shared);
  });

  it('describeReason() says by which device it would have left, and by which it may', () => {
    expect(describeReason(asChosen(byWifi, to('203.0.113.9', 'wwan0'), facts))).toBe(
      'otherwise (administrator), and not by the device wwan0, but by wlan0, /etc/pointsman/policies/a.yaml:3',
    );
    expect(describeReason(asChosen(local, to('10.1.0.9', 'wwan0'), facts))).toContain(
      'and not by the device wwan0, which is not connected to it',
    );
  });
});
