import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import type { Profile, TimeWindow } from '../policy/model.ts';
import { MAX_WAIT_MS, nextBoundaryMs, ProfileClock } from './profile-clock.ts';

const window = (fromMinute: number, toMinute: number): TimeWindow => ({
  days: [0, 1, 2, 3, 4, 5, 6],
  fromMinute,
  toMinute,
});
const local = (hour: number, minute: number, day = 10): number => new Date(2026, 5, day, hour, minute).getTime();
const profile = (...times: TimeWindow[]): Profile => ({
  name: 'night',
  when: [{ times }],
  at: { file: 'night.yaml', line: 1, column: 1 },
});

describe('nextBoundaryMs()', () => {
  it('nextBoundaryMs() is the next time of day, today or tomorrow, at which a window begins or ends', () => {
    const windows = [window(480, 1080), window(1320, 360)];
    expect(nextBoundaryMs(windows, local(5, 0))).toBe(local(6, 0));
    expect(nextBoundaryMs(windows, local(8, 0))).toBe(local(18, 0));
    expect(nextBoundaryMs(windows, local(22, 0))).toBe(local(6, 0, 11));
    expect(nextBoundaryMs([window(0, 1440)], local(12, 0))).toBe(local(0, 0, 11));
    expect(nextBoundaryMs([], local(12, 0))).toBeUndefined();
  });
});

describe('ProfileClock', () => {
  let changes: number;
  let clock: ProfileClock;

  beforeEach(() => {
    changes = 0;
    vi.useFakeTimers({ now: local(21, 58) });
    clock = new ProfileClock({ background: testBackground, nowMs: () => Date.now(), onChange: () => changes++ });
  });

  afterEach(() => {
    clock[Symbol.dispose]();
    vi.useRealTimers();
  });

  it('ProfileClock tells when a window begins and when it ends, once each', () => {
    clock.watch([profile(window(1320, 360))]);
    vi.advanceTimersByTime(2 * 60_000 - 1);
    expect(changes).toBe(0);
    vi.advanceTimersByTime(1);
    expect(changes).toBe(1);
    vi.advanceTimersByTime(8 * 3_600_000 - 1);
    expect(changes).toBe(1);
    vi.advanceTimersByTime(1);
    expect(changes).toBe(2);
  });

  it('ProfileClock notices that the clock was set', () => {
    clock.watch([profile(window(1320, 360))]);
    vi.setSystemTime(local(23, 0));
    vi.advanceTimersByTime(MAX_WAIT_MS);
    expect(changes).toBe(1);
  });

  it('ProfileClock wakes nobody where no profile speaks of a time', () => {
    clock.watch([{ ...profile(), when: [{ uplinks: ['dsl'] }] }]);
    expect(vi.getTimerCount()).toBe(0);
    clock.watch();
    expect(vi.getTimerCount()).toBe(0);
  });
});
