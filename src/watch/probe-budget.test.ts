import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { METERED_PROBE_LIMITS, PROBE_BYTES, PROBE_LIMITS, ProbeBudget } from './probe-budget.ts';

const MINUTE_MS = 60_000;

describe('ProbeBudget', () => {
  it.each([PROBE_LIMITS, METERED_PROBE_LIMITS])('ProbeBudget keeps %o in any minute, however it is asked', (limits) => {
    const asks = fc.array(
      fc.record({ afterMs: fc.nat(20_000), bytes: fc.constantFrom(...Object.values(PROBE_BYTES)) }),
      { minLength: 100, maxLength: 400 },
    );
    fc.assert(
      fc.property(asks, (list) => {
        const budget = new ProbeBudget(limits, 0);
        const sent: { atMs: number; bytes: number }[] = [];
        let atMs = 0;
        for (const { afterMs, bytes } of list) {
          atMs += afterMs % 700;
          if (budget.take(bytes, atMs)) sent.push({ atMs, bytes });
        }
        for (const { atMs: fromMs } of sent) {
          const minute = sent.filter((one) => one.atMs >= fromMs && one.atMs < fromMs + MINUTE_MS);
          expect(minute.length).toBeLessThanOrEqual(limits.probesPerMinute);
          expect(minute.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(limits.bytesPerMinute);
        }
      }),
    );
  });

  it.each([PROBE_LIMITS, METERED_PROBE_LIMITS])(
    'ProbeBudget of %o has room for a probe of each kind, at any time',
    (limits) => {
      for (const bytes of Object.values(PROBE_BYTES)) {
        const budget = new ProbeBudget(limits, 0);
        while (budget.take(bytes, 0));
        expect(budget.take(bytes, MINUTE_MS)).toBe(true);
      }
    },
  );

  it('ProbeBudget gives nothing for a clock that is set back', () => {
    const budget = new ProbeBudget(PROBE_LIMITS, MINUTE_MS);
    while (budget.take(1, MINUTE_MS));
    expect(budget.take(1, 0)).toBe(false);
    expect(budget.take(1, 100)).toBe(false);
  });
});
