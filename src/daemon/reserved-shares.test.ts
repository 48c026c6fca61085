import { describe, expect, it } from 'vitest';
import { ReservedShares } from './reserved-shares.ts';

const filled = (): ReservedShares<string> => {
  const shares = new ReservedShares<string>({ places: 4, placesOfUser: 2, placesOfRoot: 1 });
  for (const uid of [1, 2]) for (const n of [1, 2]) shares.take(uid, `${uid}.${n}`);
  return shares;
};

describe('ReservedShares', () => {
  it('ReservedShares has room for root, whatever others hold, and for others, whatever root holds', () => {
    const shares = filled();
    expect(shares.take(0, 'root')).toEqual({ kind: 'taken' });
    expect(shares.take(0, 'more')).toEqual({ kind: 'full' });
    shares.free(2, '2.1');
    expect(shares.take(3, '3.1')).toEqual({ kind: 'taken' });
  });

  it('ReservedShares takes for a user what he himself holds and does not use', () => {
    const shares = filled();
    expect(shares.take(1, '1.3')).toEqual({ kind: 'full' });
    expect(shares.take(1, '1.3', (held) => held === '1.2')).toEqual({ kind: 'taken over', from: 1, given: '1.2' });
    expect(shares.take(1, '1.4', (held) => held === '1.2')).toEqual({ kind: 'full' });
  });
});
