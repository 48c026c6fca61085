import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Accepted, Decision, Way } from './decision.ts';
import { strictest } from './strictest.ts';

const accept = (way: Way, app: string): Accepted => ({ verdict: 'accept', way, app, reason: { kind: 'daemon' } });
const system = accept({ kind: 'system' }, 'a');
const wifi = accept({ kind: 'uplink', name: 'wifi', id: 1 }, 'b');
const cellular = accept({ kind: 'uplink', name: 'cellular', id: 2 }, 'c');
const local = accept({ kind: 'local' }, 'd');
const queue: Decision = { verdict: 'queue', reason: { kind: 'daemon' } };
const reject: Decision = { verdict: 'reject', cause: 'denied', reason: { kind: 'daemon' } };
const drop: Decision = { verdict: 'drop', reason: { kind: 'daemon' } };
const any = fc.constantFrom<Decision>(system, wifi, cellular, local, queue, reject, drop);

describe('strictest', () => {
  it('strictest takes drop before reject before queue before accept', () => {
    expect(strictest([system, queue, reject, drop])).toBe(drop);
    expect(strictest([reject, queue, system])).toBe(reject);
    expect(strictest([system, queue])).toBe(queue);
    expect(strictest([])).toBeUndefined();
  });

  it('strictest takes the uplink that one program must use', () => {
    expect(strictest([system, wifi, system, wifi])).toBe(wifi);
    expect(strictest([system, local])).toBe(local);
  });

  it('strictest refuses what two programs must send by different uplinks', () => {
    expect(strictest([wifi, system, cellular])).toMatchObject({ verdict: 'reject', cause: 'no-uplink' });
  });

  it('strictest gives the same verdict in whatever order the programs are found', () => {
    const saying = (decision: Decision | undefined) => [
      decision?.verdict,
      decision?.verdict === 'accept' && decision.way,
    ];
    fc.assert(
      fc.property(fc.array(any, { maxLength: 5 }), (decisions) => {
        expect(saying(strictest([...decisions].reverse()))).toEqual(saying(strictest(decisions)));
      }),
    );
  });
});
