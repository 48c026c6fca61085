import { describe, expect, it } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import { ConfirmWindow } from './confirm-window.ts';
import { takeInstanceLock } from './instance-lock.ts';
import { describePending, join, NOTHING_PENDING, type Trigger } from './pending.ts';
import { LOOK_INTERVAL_MS, PROMPT_LOOKS, QUIET_MS, RepairPace } from './repair-pace.ts';

const joined = (...triggers: readonly Trigger[]) => triggers.reduce(join, NOTHING_PENDING);

describe('join', () => {
  it('join gathers changed files, and everything swallows single ones whatever the order', () => {
    const a: Trigger = { kind: 'files', changed: new Set(['/a']) };
    const b: Trigger = { kind: 'files', changed: new Set(['/b']) };
    const everything: Trigger = { kind: 'files', changed: 'everything' };
    expect(joined(a, b).files).toEqual(new Set(['/a', '/b']));
    expect(joined(a, everything, b).files).toBe('everything');
    expect(joined({ kind: 'network' }).files).toBeUndefined();
    // What packages may say is judged again, and no file has to be read for that.
    expect(joined({ kind: 'packages' }).files).toEqual(new Set());
    expect(joined(a, { kind: 'packages' }).files).toEqual(new Set(['/a']));
  });

  it('join keeps every kind and who it was', () => {
    const pending = joined({ kind: 'network' }, { kind: 'foreign', by: 'nft (process 7)' }, { kind: 'names' });
    expect(describePending(pending)).toBe(
      'the network changed, nft (process 7) changed nftables, addresses of names changed',
    );
  });
});

describe('RepairPace', () => {
  it('RepairPace looks at once where ours is touched, a few times in a row and then once a second', () => {
    const pace = new RepairPace();
    const delays = Array.from({ length: PROMPT_LOOKS + 2 }, (_, i) => {
      const nowMs = 100_000 + i;
      const delayMs = pace.delayMs(nowMs, true);
      pace.looked(nowMs, true);
      return delayMs > 0;
    });
    expect(delays).toEqual([...Array.from({ length: PROMPT_LOOKS }, () => false), true, true]);
    expect(pace.delayMs(100_010, true)).toBeLessThanOrEqual(LOOK_INTERVAL_MS);
    expect(pace.delayMs(100_010 + LOOK_INTERVAL_MS, true)).toBe(0);
  });

  it('RepairPace never waits longer than a second, however long a fight lasts, and always repairs at once who comes once a second', () => {
    const pace = new RepairPace();
    for (let nowMs = 0; nowMs < 100_000; nowMs += LOOK_INTERVAL_MS) {
      expect(pace.delayMs(nowMs, true)).toBe(0);
      pace.looked(nowMs, true);
      pace.repaired(nowMs);
    }
    for (let nowMs = 100_000; nowMs < 110_000; nowMs += 10) pace.looked(nowMs, true);
    expect(pace.delayMs(110_000, true)).toBeLessThanOrEqual(LOOK_INTERVAL_MS);
  });

  it('RepairPace counts repairs anew after a quiet time', () => {
    const pace = new RepairPace();
    for (let i = 0; i < 5; i += 1) pace.repaired(0);
    expect(pace.isQuiet(QUIET_MS - 1)).toBe(false);
    pace.repaired(QUIET_MS);
    expect(pace.repairs).toBe(1);
  });

  it('RepairPace leaves a second before a look at what is not ours, and none before one at what is', () => {
    const pace = new RepairPace();
    pace.looked(5000, false);
    expect([5000, 5600, 6000].map((nowMs) => pace.delayMs(nowMs, false))).toEqual([1000, 400, 0]);
    expect(pace.delayMs(5000, true)).toBe(0);
  });
});

describe('ConfirmWindow', () => {
  it('ConfirmWindow takes back what nobody confirms, once', async () => {
    const confirmWindow = new ConfirmWindow(testBackground);
    await new Promise<void>((resolve) => confirmWindow.open(0, 5, resolve));
    expect(confirmWindow.endsMs).toBeUndefined();
    expect(confirmWindow.confirm()).toBe(false);
  });

  it('ConfirmWindow is closed by a confirmation', () => {
    using confirmWindow = new ConfirmWindow(testBackground);
    confirmWindow.open(100, 60_000, () => undefined);
    expect(confirmWindow.endsMs).toBe(60_100);
    expect([confirmWindow.confirm(), confirmWindow.confirm()]).toEqual([true, false]);
  });
});

describe('takeInstanceLock', () => {
  it('takeInstanceLock is held by one at a time, names the holder, and is free again afterwards', async () => {
    const name = `\0pointsman-test-${process.pid}`;
    const first = await takeInstanceLock(testBackground, name);
    expect(first.kind).toBe('held');
    const second = await takeInstanceLock(testBackground, name);
    expect(second).toMatchObject({ kind: process.getuid?.() === 0 ? 'taken' : 'squatted', pid: process.pid });
    await first[Symbol.asyncDispose]();
    const third = await takeInstanceLock(testBackground, name);
    expect(third.kind).toBe('held');
    await third[Symbol.asyncDispose]();
  });
});
