import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LatencyHistogram } from './verdict-latency.ts';

describe('LatencyHistogram', () => {
  it('LatencyHistogram is right about every percentile within a quarter of a doubling', () => {
    const times = fc.array(fc.double({ min: 1, max: 1e9, noNaN: true }), { minLength: 1 });
    fc.assert(
      fc.property(times, fc.double({ min: 0.01, max: 1, noNaN: true }), (latenciesUs, share) => {
        const histogram = new LatencyHistogram();
        for (const latencyUs of latenciesUs) histogram.record(latencyUs);
        const exact = latenciesUs.toSorted((a, b) => a - b)[Math.ceil(share * latenciesUs.length) - 1] ?? 0;
        const told = histogram.percentileUs(share);
        expect(told / exact).toBeGreaterThan(0.999);
        expect(told / exact).toBeLessThan(2 ** 0.25 + 0.001);
      }),
    );
  });

  it('LatencyHistogram tells 0 before anything is recorded, and takes times beyond its range', () => {
    const histogram = new LatencyHistogram();
    expect(histogram.percentileUs(0.5)).toBe(0);
    histogram.record(1e15);
    histogram.record(-5);
    expect(histogram.count).toBe(2);
    expect(histogram.percentileUs(0)).toBe(1);
  });
});
