import { describe, expect, it } from 'vitest';
import { SILENCE_MS, TunnelHealth } from './tunnel-health.ts';

function heardAt(nowMs: number): TunnelHealth {
  const health = new TunnelHealth();
  health.heard(nowMs, true);
  expect(health.change(nowMs, true)).toBe(true);
  return health;
}

describe('TunnelHealth', () => {
  it('TunnelHealth has no carrier before the other end was heard, and tells a change once', () => {
    const health = new TunnelHealth();
    expect(health.change(0, true)).toBeUndefined();
    health.heard(10, true);
    expect(health.change(10, true)).toBe(true);
    expect(health.change(11, true)).toBeUndefined();
  });

  it('TunnelHealth loses the carrier by silence, and has it back by a sign of life', () => {
    const health = heardAt(100);
    expect(health.change(100 + SILENCE_MS - 1, true)).toBeUndefined();
    expect(health.change(100 + SILENCE_MS, true)).toBe(false);
    health.heard(9000, true);
    expect(health.change(9000, true)).toBe(true);
  });

  it('TunnelHealth loses it at once with the underlay, and does not have it back by what was heard before', () => {
    const health = heardAt(100);
    expect(health.change(101, false)).toBe(false);
    expect(health.change(102, true)).toBeUndefined();
    health.heard(103, true);
    expect(health.change(103, true)).toBe(true);
  });

  it('TunnelHealth loses it when the other end says that its device is down', () => {
    const health = heardAt(100);
    health.heard(200, false);
    expect(health.change(200, true)).toBe(false);
  });
});
