/** Durations as people write them. */
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** For schemas: what `parseDurationMs` reads, but for how long it is. */
export const DURATION_PATTERN = '^([0-9]{1,9}(?:\\.[0-9]{1,3})?)(ms|s|m|h)$';
const DURATION = new RegExp(DURATION_PATTERN);

/** Longer than anybody waits, and within what a timer can count. */
export const LONGEST_DURATION_MS = 86_400_000;

/** `30s`, `500ms`, `1.5m`, `1h` in milliseconds, more than 0 and at most a day; undefined for any other text. */
export function parseDurationMs(text: string): number | undefined {
  const [, number, unit] = DURATION.exec(text) ?? [];
  if (number === undefined || unit === undefined) return undefined;
  const ms = Math.round(Number(number) * (UNIT_MS[unit] ?? 0));
  return ms > 0 && ms <= LONGEST_DURATION_MS ? ms : undefined;
}

/** The same as people write it, in the largest unit that has a whole number of it: `90s`, `10m`. */
export function durationText(ms: number): string {
  const [unit, length] = Object.entries(UNIT_MS).findLast(([, one]) => ms % one === 0) ?? ['ms', 1];
  return `${ms / length}${unit}`;
}
