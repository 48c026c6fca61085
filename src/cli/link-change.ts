/** `up`, `down`, `clear`, `loss PERCENT`, `delay MS`, `rate RATE`: what a person asks of a link of the lab. */
import type { LinkChange } from '../lab/link-condition.ts';
import { parseDurationMs } from '../policy/duration.ts';

export const LINK_WORDS = ['up', 'down', 'loss', 'delay', 'rate', 'clear'] as const;
export type LinkWord = (typeof LINK_WORDS)[number];

export type LinkChangeResult =
  | { readonly ok: true; readonly change: LinkChange }
  | { readonly ok: false; readonly message: string };

const MAX_DELAY_MS = 10_000;
const MIN_RATE_BITS_PER_SECOND = 8_000;
const MAX_RATE_BITS_PER_SECOND = 10_000_000_000;
const RATE_UNITS: Readonly<Record<string, number>> = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 };

/** Values: `30%` or `30`; `200`, `200ms`, `1.5s`; `2mbit` as tc(8) writes it. */
export function parseLinkChange(word: LinkWord, value: string | undefined): LinkChangeResult {
  switch (word) {
    case 'up':
    case 'down':
    case 'clear':
      return value === undefined
        ? { ok: true, change: { kind: word } }
        : wrong(`"${word}" takes no value, not "${value}"`);
    case 'loss':
      return parseLoss(value);
    case 'delay':
      return parseDelay(value);
    case 'rate':
      return parseRate(value);
  }
}

function parseLoss(value = ''): LinkChangeResult {
  const lossPercent = /^\d{1,3}(?:\.\d{1,2})?%?$/.test(value) ? Number.parseFloat(value) : Number.NaN;
  if (lossPercent <= 100) return { ok: true, change: { kind: 'loss', lossPercent } };
  return wrong('loss takes a share of the packets, 0 to 100 percent with at most two decimals: loss 30%');
}

function parseDelay(value = ''): LinkChangeResult {
  const delayMs = /^\d+$/.test(value) ? Number(value) : (parseDurationMs(value) ?? Number.NaN);
  if (delayMs <= MAX_DELAY_MS) return { ok: true, change: { kind: 'delay', delayMs } };
  return wrong('delay takes milliseconds for a round trip, 0 to 10000: delay 200');
}

function parseRate(value = ''): LinkChangeResult {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)(bit|kbit|mbit|gbit)$/.exec(value) ?? [];
  const rateBitsPerSecond = Math.round(Number(digits) * (RATE_UNITS[unit] ?? Number.NaN));
  const fits = rateBitsPerSecond >= MIN_RATE_BITS_PER_SECOND && rateBitsPerSecond <= MAX_RATE_BITS_PER_SECOND;
  if (fits) return { ok: true, change: { kind: 'rate', rateBitsPerSecond } };
  return wrong('rate takes a number with bit, kbit, mbit or gbit, from 8kbit to 10gbit: rate 2mbit');
}

function wrong(message: string): LinkChangeResult {
  return { ok: false, message };
}
