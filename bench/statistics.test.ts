import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { median, medianRatio, quartiles } from './statistics.ts';

const positive = fc.double({ min: 1e-3, max: 1e6, noNaN: true });

describe('median', () => {
  it('median() of an odd number of values is the middle one, in whatever order they come', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([7])).toBe(7);
  });

  it('median() of an even number of values is the mean of the two in the middle', () => {
    expect(median([10, 1, 4, 2])).toBe(3);
  });

  it('median() sorts by value, not by text', () => {
    expect(median([100, 9, 20])).toBe(20);
  });

  it('median() is not moved by one wild value', () => {
    fc.assert(
      fc.property(
        fc.array(positive, { minLength: 3, maxLength: 3 }),
        fc.double({ min: 1e6, max: 1e300 }),
        (few, wild) => {
          expect(median([...few, ...few, wild])).toBeLessThanOrEqual(Math.max(...few));
        },
      ),
    );
  });

  it('median() leaves its input as it was', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });

  it('median() refuses an empty list', () => {
    expect(() => median([])).toThrow(RangeError);
  });
});

describe('quartiles', () => {
  it('quartiles() are the medians of the halves, without the middle value', () => {
    expect(quartiles([5, 1, 2, 4, 3])).toEqual([1.5, 4.5]);
    expect(quartiles([10, 40, 20, 30])).toEqual([15, 35]);
    expect(() => quartiles([1])).toThrow(RangeError);
  });
});

describe('medianRatio', () => {
  it('medianRatio() compares within each round, so that a round in which everything is slow does not matter', () => {
    expect(medianRatio([12, 120, 12], [10, 100, 10])).toBeCloseTo(1.2);
  });

  it('medianRatio() of values that are the baseline times a factor is that factor', () => {
    fc.assert(
      fc.property(
        fc.array(positive, { minLength: 1, maxLength: 20 }),
        fc.double({ min: 0.1, max: 10, noNaN: true }),
        (baselines, factor) => {
          const values = baselines.map((baseline) => baseline * factor);
          expect(medianRatio(values, baselines)).toBeCloseTo(factor, 6);
        },
      ),
    );
  });

  it('medianRatio() refuses rounds that do not belong together, and baselines of nothing', () => {
    expect(() => medianRatio([1, 2], [1])).toThrow(RangeError);
    expect(() => medianRatio([1], [0])).toThrow(RangeError);
    expect(() => medianRatio([], [])).toThrow(RangeError);
  });
});
