import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LONGEST_DURATION_MS, parseDurationMs } from './duration.ts';

describe('parseDurationMs', () => {
  it.each([
    ['30s', 30_000],
    ['500ms', 500],
    ['1.5m', 90_000],
    ['1h', 3_600_000],
    ['24h', LONGEST_DURATION_MS],
  ])('parseDurationMs reads %s', (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });

  it.each(['', '30', 's', '0s', '-1s', '1e3s', '25h', '30 s', '30S', '1d', '0.0001ms', '9999999999s'])(
    'parseDurationMs refuses %j',
    (text) => {
      expect(parseDurationMs(text)).toBeUndefined();
    },
  );

  it('parseDurationMs gives nothing or a number within its bounds, whatever the text', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[\d.]{0,12}(ms|s|m|h)?$/), (text) => {
        const ms = parseDurationMs(text);
        expect(ms === undefined || (Number.isInteger(ms) && ms > 0 && ms <= LONGEST_DURATION_MS)).toBe(true);
      }),
    );
  });
});
