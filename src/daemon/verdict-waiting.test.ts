import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_WAITING_PACKETS, WaitingPackets } from './verdict-waiting.ts';

function taken(waiting: WaitingPackets<string>): string[] {
  const all: string[] = [];
  for (let next = waiting.next(); next !== undefined; next = waiting.next()) all.push(next);
  return all;
}

describe('WaitingPackets', () => {
  it('WaitingPackets.next() lets sockets take turns, whatever one of them sent before', () => {
    const waiting = new WaitingPackets<string>();
    for (let sent = 1; sent <= 3; sent++) waiting.add('flood', `flood ${sent}`);
    expect(waiting.next()).toBe('flood 1');
    waiting.add('mail', 'mail 1');
    waiting.add('mail', 'mail 2');
    expect(taken(waiting)).toEqual(['flood 2', 'mail 1', 'flood 3', 'mail 2']);
    expect(waiting.isEmpty).toBe(true);
    waiting.add('flood', 'flood 4');
    expect(taken(waiting)).toEqual(['flood 4']);
  });

  it('WaitingPackets.isFull says when no more should be read', () => {
    const waiting = new WaitingPackets<number>();
    for (let sent = 0; sent < MAX_WAITING_PACKETS; sent++) {
      expect(waiting.isFull).toBe(false);
      waiting.add(`${sent % 7}`, sent);
    }
    expect(waiting.isFull).toBe(true);
    waiting.next();
    expect(waiting.isFull).toBe(false);
  });

  it('WaitingPackets loses nothing, repeats nothing, and keeps the order of each socket', () => {
    const step = fc.oneof(fc.constant('take' as const), fc.integer({ min: 0, max: 3 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const waiting = new WaitingPackets<{ socket: number; sent: number }>();
        const seen: { socket: number; sent: number }[] = [];
        let sent = 0;
        for (const each of steps) {
          if (each !== 'take') waiting.add(`${each}`, { socket: each, sent: sent++ });
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
