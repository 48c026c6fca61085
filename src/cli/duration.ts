/** Durations as people write and read them. */
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

/** The two largest units: `2 h 3 min`, `45 s`, `0 s`. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ');
}
