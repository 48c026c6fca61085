import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UserShares } from './user-shares.ts';

const BOUNDS = { places: 8, placesOfUser: 4 };
const ALICE = 1000;
const BOB = 1001;

describe('UserShares', () => {
  it('UserShares gives each user so many places and no more, until he frees one', () => {
    const shares = new UserShares<string>(BOUNDS);
    for (const place of ['a', 'b', 'c', 'd']) expect(shares.take(ALICE, place)).toEqual({ kind: 'taken' });
    expect(shares.take(ALICE, 'e')).toEqual({ kind: 'full' });
    expect(shares.take(BOB, 'f')).toEqual({ kind: 'taken' });
    shares.free(ALICE, 'b');
    shares.free(ALICE, 'b');
    expect(shares.take(ALICE, 'g')).toEqual({ kind: 'taken' });
    expect(shares.all()).toEqual(['a', 'c', 'd', 'g', 'f']);
  });

  it('UserShares takes the quietest place from who holds the most, where all are taken', () => {
    const shares = new UserShares<string>(BOUNDS);
    for (const place of ['a', 'b', 'c', 'd']) shares.take(ALICE, place);
    for (const place of ['e', 'f', 'g']) shares.take(BOB, place);
    shares.take(1002, 'h');
    shares.touch(ALICE, 'a');
    expect(shares.take(1003, 'i')).toEqual({ kind: 'taken over', from: ALICE, given: 'b' });
    expect(shares.all()).toHaveLength(BOUNDS.places);
    // It is not Alice's any more.
    shares.free(ALICE, 'b');
    expect(shares.all()).toHaveLength(BOUNDS.places);
  });

  it('UserShares never holds more than its bounds, and never refuses who holds less than his part', () => {
    const step = fc.record({ uid: fc.nat(5), frees: fc.boolean(), which: fc.nat(30) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const shares = new UserShares<{ uid: number }>(BOUNDS);
        const held = new Map<number, { uid: number }[]>();
        const of = (uid: number) => held.get(uid) ?? [];
        for (const { uid, frees, which } of steps) {
          if (frees) {
            const place = of(uid)[which % Math.max(1, of(uid).length)];
            if (place === undefined) continue;
            shares.free(uid, place);
            held.set(
              uid,
              of(uid).filter((one) => one !== place),
            );
            continue;
          }
          const place = { uid };
          const before = of(uid).length;
          const most = Math.max(0, ...[...held.values()].map(({ length }) => length));
          const taken = shares.take(uid, place);
          if (taken.kind === 'full') {
            expect(before === BOUNDS.placesOfUser || before + 1 >= most).toBe(true);
            continue;
          }
          if (taken.kind === 'taken over') {
            expect(taken.given.uid).toBe(taken.from);
            expect(of(taken.from)).toHaveLength(most);
            held.set(
              taken.from,
              of(taken.from).filter((one) => one !== taken.given),
            );
          }
          held.set(uid, [...of(uid), place]);
        }
        const all = [...held.values()].flat();
        expect(new Set(shares.all())).toEqual(new Set(all));
        expect(all.length).toBeLessThanOrEqual(BOUNDS.places);
        for (const places of held.values()) expect(places.length).toBeLessThanOrEqual(BOUNDS.placesOfUser);
      }),
    );
  });
});
