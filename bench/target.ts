/** What had to be reached, beside what was found; and numbers as people read them. */

export interface Target {
  readonly what: string;
  readonly target: string;
  readonly found: string;
  /** Absent where it could not be measured: `found` says why. */
  readonly met?: boolean;
}

export type Format = (value: number) => string;

export const count: Format = (value) => value.toFixed(0);
export const times: Format = (value) => `${value.toFixed(2)}x`;
export const tenths: Format = (value) => `${value.toFixed(2)} ms`;
export const milliseconds: Format = (value) => `${value.toFixed(0)} ms`;
export const microseconds: Format = (value) => value.toFixed(1);
export const megabytes: Format = (value) => `${(value / 1e6).toFixed(0)} MB`;
export const gigabits: Format = (value) => (value / 1e9).toFixed(1);

export const atMost = (what: string, value: number, limit: number, format: Format): Target => ({
  what,
  target: `at most ${format(limit)}`,
  found: format(value),
  met: value <= limit,
});

export const atLeast = (what: string, value: number, limit: number, format: Format): Target => ({
  what,
  target: `at least ${format(limit)}`,
  found: format(value),
  met: value >= limit,
});

export const notMeasured = (what: string, target: string, because: string): Target => ({
  what,
  target,
  found: `not measured: ${because}`,
});
