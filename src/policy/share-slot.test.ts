import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_ICMP, IPPROTO_TCP } from '../net/protocol.ts';
import { APP_SHARE_CLASSES, appSlot, SHARE_SLOTS, shareSlot } from './share-slot.ts';

function flow(to: string, sourcePort: number, more: Partial<Flow> = {}): Flow {
  const [source, destination] = [parseAddress('192.0.2.1'), parseAddress(to)];
  if (source === undefined || destination === undefined) throw new RangeError(to);
  return { protocol: IPPROTO_TCP, source, destination, sourcePort, destinationPort: 443, loopback: false, ...more };
}
const many = Array.from({ length: 4096 }, (_, i) => i);

describe('shareSlot()', () => {
  it('shareSlot() tells connections apart by all that makes them one, destinations and apps only by themselves', () => {
    const connections = new Set(many.map((port) => shareSlot('connection', flow('203.0.113.9', port), 'a')));
    expect(connections.size).toBeGreaterThan(3500);
    const destinations = new Set(many.map((port) => shareSlot('destination', flow('203.0.113.9', port), `${port}`)));
    expect(destinations.size).toBe(1);
    expect(shareSlot('destination', flow('203.0.113.8', 1), '')).not.toBe([...destinations][0]);
    expect(shareSlot('app', flow('203.0.113.9', 1), 'a')).toBe(shareSlot('app', flow('198.51.100.7', 2), 'a'));
  });

  it('shareSlot() does not guess at a connection that is not there yet', () => {
    const [nowhere] = [parseAddress('0.0.0.0')];
    if (nowhere === undefined) throw new RangeError();
    const { sourcePort: _, ...asked } = flow('203.0.113.9', 1);
    expect(shareSlot('connection', asked, '')).toBeUndefined();
    expect(shareSlot('connection', flow('203.0.113.9', 1, { source: nowhere }), '')).toBeUndefined();
    expect(shareSlot('connection', { ...asked, protocol: IPPROTO_ICMP }, '')).toBeDefined();
  });
});

describe('appSlot()', () => {
  it('appSlot() spreads applications evenly over its classes', () => {
    const slots = many.map((i) => appSlot(`org.example.App${i}`));
    expect(new Set(slots).size).toBeLessThanOrEqual(APP_SHARE_CLASSES);
    expect(new Set(slots).size).toBeGreaterThan(APP_SHARE_CLASSES * 0.9);
    const lower = slots.filter((slot) => slot < SHARE_SLOTS / 2).length;
    expect(lower / slots.length).toBeCloseTo(0.5, 1);
  });
});
