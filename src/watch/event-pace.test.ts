import { describe, expect, it } from 'vitest';
import { EventPace } from './event-pace.ts';

describe('EventPace', () => {
  it('EventPace tells the first news at once', () => {
    const pace = new EventPace(20);
    expect(pace.waitMs(1000)).toBeUndefined();
    expect(pace.take(1000)).toBe(false);
    pace.note(1000);
    expect(pace.waitMs(1000)).toBe(0);
    expect(pace.take(1000)).toBe(true);
    expect(pace.take(1000)).toBe(false);
  });

  it('EventPace tells what follows closely as one, and at once again after a pause', () => {
    const pace = new EventPace(20);
    const told: number[] = [];
    for (let nowMs = 1000; nowMs < 1100; nowMs += 1) {
      if (nowMs < 1050) pace.note(nowMs);
      if (pace.take(nowMs)) told.push(nowMs);
    }
    expect(told).toEqual([1000, 1020, 1040, 1060]);
    pace.note(1090);
    expect(pace.take(1090)).toBe(true);
  });

  it('EventPace says how long to wait, never too short', () => {
    const pace = new EventPace(20);
    pace.note(0);
    pace.take(0.5);
    pace.note(1);
    expect(pace.waitMs(1)).toBe(20);
    expect(pace.take(20.4)).toBe(false);
    expect(pace.waitMs(20.4)).toBe(1);
    expect(pace.take(20.5)).toBe(true);
  });
});
