import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Bound, Comparator, Quantity } from './model.ts';
import { boundPattern, formatQuantity, implies, isWithin, parseBound, parseQuantity, QUANTITIES } from './quantity.ts';

const hintOf = (quantity: Quantity, text: string) => {
  const result = parseBound(quantity, text);
  return result.ok ? undefined : result.hint;
};
const bounds: fc.Arbitrary<Bound> = fc
  .tuple(fc.constantFrom<Comparator>('<', '<=', '>', '>='), fc.integer({ min: 0, max: 6 }))
  .map(([comparator, value]) => ({ comparator, value, text: '' }));

describe('parseQuantity()', () => {
  it.each([
    ['rtt', '80ms', 80],
    ['rtt', '1.5 s', 1500],
    ['loss', '7%', 0.07],
    ['loss', '0.5%', 0.005],
    ['loss', '100%', 1],
    ['bandwidth', '64kbit', 64_000],
    ['bandwidth', '10mbit', 10_000_000],
    ['bandwidth', '2.5gbit', 2_500_000_000],
  ] as const)('parseQuantity() reads the %s %s', (quantity, text, value) => {
    expect(parseQuantity(quantity, text)).toEqual({ ok: true, value });
  });

  it.each([
    ['rtt', ''],
    ['rtt', 'ms'],
    ['rtt', '80'],
    ['rtt', '-1ms'],
    ['rtt', '80min'],
    ['rtt', '1e3ms'],
    ['rtt', '1.2345ms'],
    ['rtt', '9999999999ms'],
    ['loss', '101%'],
    ['loss', '5ms'],
    ['bandwidth', '10MB/s'],
    ['bandwidth', '10constructor'],
  ] as const)('parseQuantity() refuses the %s "%s"', (quantity, text) => {
    expect(parseQuantity(quantity, text)).toMatchObject({ ok: false, code: 'invalid-value' });
  });
});

describe('parseBound()', () => {
  it('parseBound() takes a blank before the number and the unit, and leaves both out of the text', () => {
    const value = { comparator: '<=', value: 80, text: '<=80ms' };
    for (const text of ['<=80ms', '<= 80ms', '<= 80 ms']) expect(parseBound('rtt', text)).toEqual({ ok: true, value });
  });

  it.each([
    ['rtt', '80ms', 'did you mean "<80ms"?'],
    ['bandwidth', '10mbit', 'did you mean ">=10mbit"?'],
    ['rtt', '<80msec', 'did you mean "ms"?'],
    ['bandwidth', '>=10Mbps', 'did you mean "mbit"?'],
    ['bandwidth', '>=10mbti', 'did you mean "mbit"?'],
    ['loss', '<5', 'units of loss: %'],
  ] as const)('parseBound() says what the %s "%s" may have meant', (quantity, text, hint) => {
    expect(hintOf(quantity, text)).toBe(hint);
  });

  it.each([
    ['rtt', '<0ms'],
    ['loss', '>100%'],
    ['bandwidth', '<0kbit'],
  ] as const)('parseBound() refuses the %s "%s", which nothing can be', (quantity, text) => {
    expect(parseBound(quantity, text)).toMatchObject({ ok: false, code: 'contradiction' });
  });

  it('parseBound() reads what the pattern of the JSON Schema fits, and what formatQuantity() writes', () => {
    const numbers = fc.constantFrom('0', '1', '80', '2.5', '100', '9999999');
    const texts = fc.tuple(
      fc.constantFrom('<', '<=', '>', '>=', '=', ''),
      numbers,
      fc.constantFrom('ms', 's', '%', 'mbit', ''),
    );
    const property = fc.property(fc.constantFrom(...QUANTITIES), texts, (quantity, parts) => {
      const text = parts.join('');
      const result = parseBound(quantity, text);
      const isPossible = result.ok || (result.code !== 'contradiction' && !result.message.includes('100%'));
      if (isPossible) expect(new RegExp(boundPattern(quantity)).test(text)).toBe(result.ok);
      if (!result.ok) return;
      const written = formatQuantity(quantity, result.value.value);
      expect(parseQuantity(quantity, written)).toEqual({ ok: true, value: result.value.value });
    });
    fc.assert(property);
  });
});

describe('implies()', () => {
  it('implies() says that every value within the one bound is within the other', () => {
    const samples = Array.from({ length: 17 }, (_, i) => i / 2 - 1);
    const property = fc.property(bounds, bounds, (inner, outer) => {
      // Two bounds in different directions have values that only one of them allows.
      const all = samples.filter((value) => isWithin(inner, value)).every((value) => isWithin(outer, value));
      expect(implies(inner, outer)).toBe(all);
    });
    fc.assert(property);
  });
});
