/**
 * Numbers with a unit, and bounds on them: `30ms`, `"<80ms"`, `">5%"`, `">=10mbit"`. Units of bandwidth are those of tc(8), by
 * which a mbit is 1,000,000 bits per second.
 */
import type { DiagnosticCode } from './diagnostic.ts';
import type { Bound, Comparator, Quantity } from './model.ts';
import { quoted } from './report.ts';
import { didYouMean } from './suggestion.ts';

export const QUANTITIES: readonly Quantity[] = ['rtt', 'loss', 'bandwidth'];

/** What one of it is in the unit of the model: milliseconds, a ratio, bits per second. The largest last. */
const UNITS: Record<Quantity, Readonly<Record<string, number>>> = {
  rtt: { ms: 1, s: 1000 },
  loss: { '%': 0.01 },
  bandwidth: { kbit: 1000, mbit: 1_000_000, gbit: 1_000_000_000 },
};
const EXAMPLES: Record<Quantity, string> = { rtt: '80ms', loss: '5%', bandwidth: '10mbit' };
/** What people mean who leave it out. */
const USUAL: Record<Quantity, Comparator> = { rtt: '<', loss: '<', bandwidth: '>=' };
/** As others write them. */
const UNIT_SYNONYMS: ReadonlyMap<string, string> = new Map([
  ['msec', 'ms'],
  ['sec', 's'],
  ['kbps', 'kbit'],
  ['kbits', 'kbit'],
  ['mbps', 'mbit'],
  ['mbits', 'mbit'],
  ['gbps', 'gbit'],
  ['gbits', 'gbit'],
]);
/** More than any network has, and far from where numbers lose their last digit. */
const MAX_DIGITS = 9;

const QUANTITY = new RegExp(`^(\\d{1,${MAX_DIGITS}}(?:\\.\\d{1,3})?) ?([A-Za-z%]*)$`);
const BOUND = /^(<=|>=|<|>)? ?(.*)$/s;

/** ECMA 262 patterns for JSON Schema. */
export const quantityPattern = (quantity: Quantity): string =>
  `^\\d{1,${MAX_DIGITS}}(\\.\\d{1,3})? ?(${Object.keys(UNITS[quantity]).join('|')})$`;
export const boundPattern = (quantity: Quantity): string => quantityPattern(quantity).replace('^', '^(<=|>=|<|>) ?');

export type QuantityResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: DiagnosticCode; readonly message: string; readonly hint?: string | undefined };

const invalid = (message: string, hint?: string): QuantityResult<never> => ({
  ok: false,
  code: 'invalid-value',
  message,
  hint,
});

/** In the unit of the model. */
export function parseQuantity(quantity: Quantity, text: string): QuantityResult<number> {
  const units = UNITS[quantity];
  const known = Object.keys(units);
  const [, digits, unit = ''] = QUANTITY.exec(text) ?? [];
  if (digits === undefined) return invalid(`${quoted(text)} is no ${quantity} such as "${EXAMPLES[quantity]}"`);
  const scale = Object.hasOwn(units, unit) ? units[unit] : undefined;
  if (scale === undefined) {
    const message = unit === '' ? `${quoted(text)} has no unit` : `${quoted(unit)} is no unit of ${quantity}`;
    const meant = UNIT_SYNONYMS.get(unit.toLowerCase()) ?? unit;
    const hint = known.includes(meant) ? `did you mean "${meant}"?` : didYouMean(unit, known);
    return invalid(message, hint ?? `units of ${quantity}: ${known.join(', ')}`);
  }
  // 7 * 0.01 is not 0.07.
  const value = scale < 1 ? Number(digits) / Math.round(1 / scale) : Number(digits) * scale;
  if (quantity === 'loss' && value > 1) return invalid(`${quoted(text)}: no more than 100% can be lost`);
  return { ok: true, value };
}

export function parseBound(quantity: Quantity, text: string): QuantityResult<Bound> {
  const [, comparator, rest = ''] = BOUND.exec(text) ?? [];
  const parsed = parseQuantity(quantity, rest);
  if (!parsed.ok) return parsed;
  if (comparator === undefined) {
    const message = `${quoted(text)} does not say in which direction: it starts with <, <=, > or >=`;
    return invalid(message, `did you mean "${USUAL[quantity]}${text}"?`);
  }
  const bound: Bound = {
    comparator: comparator as Comparator,
    value: parsed.value,
    text: `${comparator}${rest.replace(' ', '')}`,
  };
  const isNever =
    (bound.comparator === '<' && bound.value === 0) ||
    (quantity === 'loss' && bound.comparator === '>' && bound.value === 1);
  if (isNever) return { ok: false, code: 'contradiction', message: `no ${quantity} is ${quoted(bound.text)}` };
  return { ok: true, value: bound };
}

/** As a file would say it, in the largest unit of which there is at least one. */
export function formatQuantity(quantity: Quantity, value: number): string {
  const units = Object.entries(UNITS[quantity]);
  const [unit, scale] = units.findLast(([, one]) => value >= one) ?? units[0] ?? ['', 1];
  return `${Math.round((value / scale) * 1000) / 1000}${unit}`;
}

export function isWithin({ comparator, value: limit }: Bound, value: number): boolean {
  switch (comparator) {
    case '<':
      return value < limit;
    case '<=':
      return value <= limit;
    case '>':
      return value > limit;
    case '>=':
      return value >= limit;
  }
}

/** Whether whatever is within `inner` is also within `outer`. */
export function implies(inner: Bound, outer: Bound): boolean {
  if (inner.comparator.charAt(0) !== outer.comparator.charAt(0)) return false;
  if (inner.value === outer.value) return outer.comparator.length >= inner.comparator.length;
  return inner.comparator.startsWith('<') ? inner.value < outer.value : inner.value > outer.value;
}
