import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import {
  type HeldFlow,
  HeldFlows,
  MAX_HELD_FLOWS,
  MAX_HELD_FLOWS_OF_USER,
  MAX_HELD_PACKETS,
  MAX_HELD_PACKETS_PER_APP,
  MAX_HELD_PACKETS_PER_FLOW,
} from './verdict-holding.ts';

const PACKET = { packetId: 1, mark: 0, receivedUs: 0 };

function flow(): Flow {
  const address = parseAddress('192.0.2.1');
  if (address === undefined) throw new Error();
  return { protocol: 17, source: address, destination: address, loopback: false };
}

const heldBy = (app: string, user = 1000): HeldFlow => ({
  user,
  app,
  flow: flow(),
  owner: { kind: 'unknown', because: '' },
  deadlineMs: 0,
  packets: [PACKET],
  waitsFor: 'a.example.org',
});

/** Holds flows of one application, each with all its packets, until no more are taken. */
function fill(held: HeldFlows, app: string, user?: number): void {
  for (let n = 0; n < MAX_HELD_FLOWS && held.hold(`${app}${n}`, heldBy(app, user)).kind === 'taken'; n++) {
    for (let more = 1; more < MAX_HELD_PACKETS_PER_FLOW; more++) held.fold(`${app}${n}`, PACKET);
  }
}

describe('HeldFlows', () => {
  it('HeldFlows leaves room for other applications, and takes as much again as was released', () => {
    const held = new HeldFlows();
    fill(held, 'a');
    expect(held.packetCount).toBe(MAX_HELD_PACKETS_PER_APP);
    expect(held.fold('a0', PACKET)).toBe('full');
    expect(held.hold('b0', heldBy('b'))).toEqual({ kind: 'taken' });
    held.release('a0');
    expect(held.hold('a0', heldBy('a'))).toEqual({ kind: 'taken' });
  });

  it('HeldFlows holds no more than its share of the queue, whoever they are of', () => {
    const held = new HeldFlows();
    for (let n = 0; n < 10; n++) fill(held, `app${n}.`);
    expect(held.packetCount).toBe(MAX_HELD_PACKETS);
  });

  it('HeldFlows gives each user his share of flows, by however many applications, and takes of who has most', () => {
    const held = new HeldFlows();
    const hold = (user: number, key: string, app: string) => held.hold(`${user} ${key}`, heldBy(app, user));
    for (let n = 0; n < MAX_HELD_FLOWS_OF_USER; n++)
      for (const user of [1, 2]) expect(hold(user, `${n}`, `${n % 5}`)).toEqual({ kind: 'taken' });
    expect(hold(1, 'more', 'another')).toEqual({ kind: 'full' });
    expect(hold(3, '0', '3')).toEqual({ kind: 'taken over', from: 1, given: '1 0' });
    held.release('1 0');
    expect(held.flowCount).toBe(MAX_HELD_FLOWS);
  });
});
