import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import { ForeignLooks, foreignTrigger, REMOVALS_TOGETHER_MS } from './foreign-looks.ts';
import type { Trigger } from './pending.ts';
import { RepairPace } from './repair-pace.ts';

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
    looks.look({ kind: 'foreign', by: 'nft' });
    vi.advanceTimersByTime(0);
    expect([asked, foreign]).toEqual([[{ kind: 'foreign', by: 'nft' }], 1]);
    looks.look({ kind: 'foreign' });
    vi.advanceTimersByTime(999);
    expect(asked).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect([asked.length, foreign]).toEqual([2, 2]);
  });

  it('ForeignLooks takes removals together, and the latest of each kind', () => {
    for (let removed = 0; removed < 5; removed++) looks.look({ kind: 'network' });
    looks.look({ kind: 'foreign', by: 'ip' });
    vi.advanceTimersByTime(REMOVALS_TOGETHER_MS);
    expect([asked, foreign]).toEqual([[{ kind: 'network' }, { kind: 'foreign', by: 'ip' }], 1]);
  });

  it('ForeignLooks waits longer where a repair was undone while the next look was due', () => {
    looks.look({ kind: 'network' });
    pace.repaired(Date.now());
    looks.look({ kind: 'retry' });
    vi.advanceTimersByTime(REMOVALS_TOGETHER_MS);
    expect(asked).toEqual([]);
    vi.advanceTimersByTime(1000);
    expect(asked).toEqual([{ kind: 'network' }, { kind: 'retry' }]);
  });

  it('ForeignLooks asks for nothing any more once it is disposed of', () => {
    looks.look({ kind: 'foreign' });
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
