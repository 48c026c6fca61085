import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_WAITING_PACKETS, MAX_WAITING_PACKETS_OF_USER, WaitingPackets } from './verdict-waiting.ts';

const USER = 1000;
const OTHER = 1001;

function taken(waiting: WaitingPackets<string>): string[] {
  const all: string[] = [];
  for (let next = waiting.next(); next !== undefined; next = waiting.next()) all.push(next);
  return all;
}

describe('WaitingPackets', () => {
  it('WaitingPackets.next() lets sockets take turns, whatever one of them sent before', () => {
    const waiting = new WaitingPackets<string>();
    for (let sent = 1; sent <= 3; sent++) waiting.add(USER, 'flood', `flood ${sent}`);
    expect(waiting.next()).toBe('flood 1');
    waiting.add(USER, 'mail', 'mail 1');
    waiting.add(USER, 'mail', 'mail 2');
    expect(taken(waiting)).toEqual(['flood 2', 'mail 1', 'flood 3', 'mail 2']);
    expect(waiting.isEmpty).toBe(true);
    waiting.add(USER, 'flood', 'flood 4');
    expect(taken(waiting)).toEqual(['flood 4']);
  });

  it('WaitingPackets.next() lets users take turns, from however many sockets one of them sends', () => {
    const waiting = new WaitingPackets<string>();
    for (let sent = 1; sent <= 4; sent++) waiting.add(USER, `socket ${sent}`, `flood ${sent}`);
    waiting.add(OTHER, 'socket', 'mail 1');
    waiting.add(OTHER, 'socket', 'mail 2');
    expect(taken(waiting)).toEqual(['flood 1', 'mail 1', 'flood 2', 'mail 2', 'flood 3', 'flood 4']);
  });

  it('WaitingPackets.add() refuses a user what is beyond his share, and takes of who has most for who has fewer', () => {
    const waiting = new WaitingPackets<string>();
    const full: number[] = [];
    const add = (user: number, packet: string): void => {
      const givenUp = waiting.add(user, packet, packet);
      if (givenUp !== undefined) full.push(givenUp.user);
    };
    for (let sent = 0; sent < MAX_WAITING_PACKETS_OF_USER; sent++) add(USER, `${sent}`);
    expect(full).toEqual([]);
    expect(waiting.add(USER, 'one', 'one more')).toEqual({ user: USER, packet: 'one more' });
    for (let sent = 0; sent < MAX_WAITING_PACKETS - MAX_WAITING_PACKETS_OF_USER - 1; sent++) add(OTHER, `${sent}`);
    add(7, 'first');
    expect(full).toEqual([]);
    expect(waiting.add(8, 'first', 'of a third')).toEqual({ user: USER, packet: '0' });
    expect(waiting.add(8, 'second', 'of a third')).toMatchObject({ user: expect.any(Number) });
    expect(taken(waiting)).toHaveLength(MAX_WAITING_PACKETS);
  });

  it('WaitingPackets loses nothing, repeats nothing, and keeps the order of each socket', () => {
    const step = fc.oneof(fc.constant('take' as const), fc.integer({ min: 0, max: 3 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const waiting = new WaitingPackets<{ socket: number; sent: number }>();
        const seen: { socket: number; sent: number }[] = [];
        let sent = 0;
        for (const each of steps) {
          if (each !== 'take') waiting.add(each % 2, `${each}`, { socket: each, sent: sent++ });
          else seen.push(...[waiting.next()].filter((packet) => packet !== undefined));
        }
        for (let next = waiting.next(); next !== undefined; next = waiting.next()) seen.push(next);
        expect(seen.map((packet) => packet.sent).toSorted((a, b) => a - b)).toEqual([...Array(sent).keys()]);
        for (const socket of [0, 1, 2, 3]) {
          const ofOne = seen.filter((packet) => packet.socket === socket).map((packet) => packet.sent);
          expect(ofOne).toEqual(ofOne.toSorted((a, b) => a - b));
        }
      }),
    );
  });
});
