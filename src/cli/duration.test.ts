import { describe, expect, it } from 'vitest';
import { formatDuration } from './duration.ts';

describe('formatDuration', () => {
  it.each([
    [-5, '0 s'],
    [999, '0 s'],
    [45_000, '45 s'],
    [3_600_000, '1 h'],
    [7_380_000, '2 h 3 min'],
    [90_061_000, '1 d 1 h'],
  ])('formatDuration shows %i ms', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});
