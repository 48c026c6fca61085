import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { Supervisor, supervisionOf } from './supervisor.ts';

const PID = 77;

describe('supervisionOf()', () => {
  it.each([
    [{ NOTIFY_SOCKET: '/run/systemd/notify' }, { address: '/run/systemd/notify' }],
    [
      { NOTIFY_SOCKET: '@notify', WATCHDOG_USEC: '20000000' },
      { address: '@notify', watchdogMs: 20_000 },
    ],
    [
      { NOTIFY_SOCKET: '@n', WATCHDOG_USEC: '2000000', WATCHDOG_PID: '77' },
      { address: '@n', watchdogMs: 2000 },
    ],
    [{ NOTIFY_SOCKET: '@n', WATCHDOG_USEC: '2000000', WATCHDOG_PID: '78' }, { address: '@n' }],
    [{ NOTIFY_SOCKET: '@n', WATCHDOG_USEC: 'soon' }, { address: '@n' }],
    [{ NOTIFY_SOCKET: '@n', WATCHDOG_USEC: '0' }, { address: '@n' }],
    [{ NOTIFY_SOCKET: 'vsock:2:1' }, undefined],
    [{ NOTIFY_SOCKET: `/${'x'.repeat(108)}` }, undefined],
    [{ NOTIFY_SOCKET: '' }, undefined],
    [{ WATCHDOG_USEC: '20000000' }, undefined],
  ])('supervisionOf() of %o is %o', (environment, expected) => {
    expect(supervisionOf(environment, PID)).toEqual(expected);
  });
});

describe('Supervisor', () => {
  let said: string[];
  let beats: number;
  let refuses: boolean;
  let logged: string[];
  let supervisor: Supervisor;
  beforeEach(() => {
    vi.useFakeTimers();
    [said, beats, refuses, logged] = [[], 0, false, []];
    supervisor = new Supervisor({
      background: testBackground,
      supervision: { address: '@n', watchdogMs: 6000 },
      beats: () => beats,
      log: (line) => logged.push(line),
      send: (_, text) => {
        if (refuses) throw new KernelError('connect', 111, 'ECONNREFUSED', '@n', 'refused');
        said.push(text.split('\n')[0] ?? '');
      },
    });
  });
  afterEach(() => {
    supervisor[Symbol.dispose]();
    vi.useRealTimers();
  });

  it('Supervisor says that both threads are alive as long as they are, and nothing while one is not', () => {
    supervisor.ready();
    expect(said).toEqual(['READY=1', 'WATCHDOG=1']);
    for (let i = 0; i < 3; i++) {
      beats += 1;
      vi.advanceTimersByTime(2000);
    }
    expect(said).toHaveLength(5);
    vi.advanceTimersByTime(60_000);
    expect(said).toHaveLength(5);
    beats += 1;
    vi.advanceTimersByTime(2000);
    supervisor.stopping();
    expect(said.slice(5)).toEqual(['WATCHDOG=1', 'STOPPING=1']);
  });

  it.each([1000, 600, 300])(
    'Supervisor says so three times also in a watchdog of %i ms, which it says is short',
    (watchdogMs) => {
      using hasty = new Supervisor({
        background: testBackground,
        supervision: { address: '@n', watchdogMs },
        beats: () => beats,
        log: (line) => logged.push(line),
        send: (_, text) => said.push(text),
      });
      hasty.ready();
      expect(logged).toEqual([expect.stringMatching(/is short/)]);
      for (let ms = 0; ms < 6000; ms += watchdogMs / 2) {
        beats = Math.floor(ms / 500);
        said.length = 0;
        vi.advanceTimersByTime(watchdogMs / 2);
        expect(said).toContain('WATCHDOG=1');
      }
      vi.advanceTimersByTime(2000);
      said.length = 0;
      vi.advanceTimersByTime(60_000);
      expect(said).toEqual([]);
    },
  );

  it('Supervisor says once that nobody hears it, and goes on', () => {
    refuses = true;
    supervisor.ready();
    beats += 1;
    vi.advanceTimersByTime(2000);
    expect([said, logged.length]).toEqual([[], 1]);
    refuses = false;
    beats += 1;
    vi.advanceTimersByTime(2000);
    expect(said).toEqual(['WATCHDOG=1']);
  });
});
