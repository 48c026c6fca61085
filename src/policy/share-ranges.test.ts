import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Sharer, type SlotRange, shareRanges, sharerOf } from './share-ranges.ts';
import { SHARE_SLOTS } from './share-slot.ts';

const everyone: fc.Arbitrary<readonly Sharer[]> = fc
  .array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 8 })
  .map((weights) => weights.map((weight, i) => ({ name: `u${i}`, weight })));
/** All, and those of them that take part: at least one. */
const parties = everyone.chain((all) =>
  fc.subarray([...all], { minLength: 1 }).map((some): readonly [readonly Sharer[], readonly Sharer[]] => [all, some]),
);

const slotsOf = (ranges: readonly SlotRange[], name: string): number =>
  ranges.filter((range) => range.name === name).reduce((sum, { first, last }) => sum + last - first + 1, 0);

describe('shareRanges()', () => {
  it('shareRanges() gives each slot to one of those that take part, and each its part by weight', () => {
    fc.assert(
      fc.property(parties, ([all, some]) => {
        const ranges = shareRanges(all, some);
        let next = 0;
        for (const { first, last } of ranges) {
          expect(first).toBe(next);
          expect(last).toBeGreaterThanOrEqual(first);
          next = last + 1;
        }
        expect(next).toBe(SHARE_SLOTS);
        const total = some.reduce((sum, { weight }) => sum + weight, 0);
        // Less than one slot is lost to rounding at each edge.
        for (const { name, weight } of some)
          expect(Math.abs(slotsOf(ranges, name) - (SHARE_SLOTS * weight) / total)).toBeLessThan(2 * all.length + 1);
      }),
    );
  });

  it('shareRanges() leaves the home ranges of others alone when one goes', () => {
    fc.assert(
      fc.property(
        parties.filter(([, some]) => some.length > 1),
        fc.nat(SHARE_SLOTS - 1),
        ([all, some], slot) => {
          const [gone, ...others] = some;
          const before = sharerOf(shareRanges(all, some), slot);
          const home = sharerOf(shareRanges(all, all), slot);
          const after = sharerOf(shareRanges(all, others), slot);
          if (before !== gone?.name && before === home) expect(after).toBe(before);
        },
      ),
    );
  });
});
