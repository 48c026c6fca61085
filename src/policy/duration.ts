/** Durations as people write them. */
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const DURATION = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/;

/** Longer than anybody waits, and within what a timer can count. */
export const LONGEST_DURATION_MS = 86_400_000;

/** `30s`, `500ms`, `1.5m`, `1h` in milliseconds, more than 0 and at most a day; undefined for any other text. */
export function parseDurationMs(text: string): number | undefined {
  const [, number, unit] = DURATION.exec(text) ?? [];
  if (number === undefined || unit === undefined) return undefined;
  const ms = Math.round(Number(number) * (UNIT_MS[unit] ?? 0));
  return ms > 0 && ms <= LONGEST_DURATION_MS ? ms : undefined;
}
