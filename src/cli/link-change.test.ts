import { describe, expect, it } from 'vitest';
import { parseLinkChange } from './link-change.ts';

describe('parseLinkChange', () => {
  it.each([
    ['down', undefined, { kind: 'down' }],
    ['up', undefined, { kind: 'up' }],
    ['clear', undefined, { kind: 'clear' }],
    ['loss', '30%', { kind: 'loss', lossPercent: 30 }],
    ['loss', '0.05', { kind: 'loss', lossPercent: 0.05 }],
    ['loss', '100', { kind: 'loss', lossPercent: 100 }],
    ['delay', '200', { kind: 'delay', delayMs: 200 }],
    ['delay', '1.5s', { kind: 'delay', delayMs: 1500 }],
    ['delay', '0', { kind: 'delay', delayMs: 0 }],
    ['rate', '2mbit', { kind: 'rate', rateBitsPerSecond: 2_000_000 }],
    ['rate', '0.5gbit', { kind: 'rate', rateBitsPerSecond: 500_000_000 }],
  ] as const)('parseLinkChange() understands %s %s', (word, value, change) => {
    expect(parseLinkChange(word, value)).toEqual({ ok: true, change });
  });

  it.each([
    ['down', 'now', /takes no value/],
    ['loss', undefined, /loss 30%/],
    ['loss', '101', /0 to 100/],
    ['loss', '-1', /0 to 100/],
    ['loss', '0.001', /two decimals/],
    ['delay', undefined, /delay 200/],
    ['delay', '11s', /10000/],
    ['delay', 'long', /delay 200/],
    ['rate', '2', /rate 2mbit/],
    ['rate', '1bit', /8kbit/],
    ['rate', '20gbit', /10gbit/],
  ] as const)('parseLinkChange() refuses %s %s and says what is meant', (word, value, message) => {
    expect(parseLinkChange(word, value)).toEqual({ ok: false, message: expect.stringMatching(message) });
  });
});
