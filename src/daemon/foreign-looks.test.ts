import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import { ForeignLooks, foreignTrigger, REMOVALS_TOGETHER_MS } from './foreign-looks.ts';
import type { Trigger } from './pending.ts';
import { PROMPT_LOOKS, RepairPace } from './repair-pace.ts';

let asked: Trigger[];
let foreign: number;
let pace: RepairPace;
let looks: ForeignLooks;

beforeEach(() => {
  vi.useFakeTimers();
  [asked, foreign, pace] = [[], 0, new RepairPace()];
  looks = new ForeignLooks({
    background: testBackground,
    pace,
    nowMs: Date.now,
    request: (trigger) => asked.push(trigger),
    onForeign: () => {
      foreign += 1;
    },
  });
});

afterEach(() => {
  looks[Symbol.dispose]();
  vi.useRealTimers();
});

describe('ForeignLooks', () => {
  it('ForeignLooks looks at once where things are quiet, and then not again before the pace allows', () => {
    looks.look({ kind: 'foreign', by: 'nft' }, false);
    vi.advanceTimersByTime(0);
    expect([asked, foreign]).toEqual([[{ kind: 'foreign', by: 'nft' }], 1]);
    looks.look({ kind: 'foreign' }, false);
    vi.advanceTimersByTime(999);
    expect(asked).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect([asked.length, foreign]).toEqual([2, 2]);
  });

  it('ForeignLooks looks at once where ours is touched, also where somebody has just changed his own', () => {
    looks.look({ kind: 'foreign', by: 'docker' }, false);
    vi.advanceTimersByTime(10);
    looks.look({ kind: 'foreign', by: 'docker' }, false);
    vi.advanceTimersByTime(10);
    expect(asked).toHaveLength(1);
    looks.look({ kind: 'foreign', by: 'nft' }, true);
    vi.advanceTimersByTime(0);
    expect(asked).toEqual([
      { kind: 'foreign', by: 'docker' },
      { kind: 'foreign', by: 'nft' },
    ]);
    vi.advanceTimersByTime(5000);
    expect(asked).toHaveLength(2);
  });

  it('ForeignLooks takes removals together, and the latest of each kind', () => {
    for (let removed = 0; removed < 5; removed++) looks.look({ kind: 'network' }, true);
    vi.advanceTimersByTime(REMOVALS_TOGETHER_MS - 1);
    expect(asked).toEqual([]);
    looks.look({ kind: 'foreign', by: 'ip' }, true);
    vi.advanceTimersByTime(1);
    expect([asked, foreign]).toEqual([[{ kind: 'network' }, { kind: 'foreign', by: 'ip' }], 1]);
  });

  it('ForeignLooks comes once a second where somebody undoes every repair', () => {
    for (let nowMs = 0; nowMs < 20_000; nowMs += 10) {
      looks.look({ kind: 'retry' }, true);
      vi.advanceTimersByTime(10);
    }
    expect(asked.length).toBeGreaterThanOrEqual(20);
    expect(asked.length).toBeLessThanOrEqual(20 + PROMPT_LOOKS + 1);
  });

  it('ForeignLooks asks for nothing any more once it is disposed of', () => {
    looks.look({ kind: 'foreign' }, true);
    looks[Symbol.dispose]();
    vi.advanceTimersByTime(60_000);
    expect(asked).toEqual([]);
  });
});

describe('foreignTrigger()', () => {
  it('foreignTrigger() names who it was as far as the kernel says', () => {
    expect(foreignTrigger({ generation: 1, pid: 7, processName: 'nft' })).toEqual({
      kind: 'foreign',
      by: 'nft (process 7)',
    });
    expect(foreignTrigger({ generation: 1, processName: 'nft' })).toEqual({ kind: 'foreign', by: 'nft' });
    expect(foreignTrigger({ generation: 1 })).toEqual({ kind: 'foreign' });
  });
});
