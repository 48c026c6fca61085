import { describe, expect, it } from 'vitest';
import type { DecisionEvent } from '../api/event.ts';
import { painter } from './paint.ts';
import { localTimeOfDay, renderEvent } from './render-event.ts';

const options = { paint: painter(false), timeOfDay: (ms: number) => `t${ms}` };

const decision: DecisionEvent = {
  kind: 'decision',
  timeMs: 5,
  by: 'daemon',
  protocol: 'tcp',
  source: '10.0.0.1:4000',
  destination: '203.0.113.9:80',
  app: 'org.example.Browser',
  verdict: 'accept',
  way: 'wifi',
  reason: 'rule 3 "*", /etc/b.yaml:11',
  latencyMicroseconds: 84,
};

describe('renderEvent', () => {
  it('renderEvent puts a decision into columns', () => {
    expect(renderEvent(decision, options)).toBe(
      't5  accept   org.example.Browser      tcp  203.0.113.9:80             wifi      rule 3 "*", /etc/b.yaml:11 (84 µs)',
    );
  });

  it('renderEvent says where no uplink was permitted, and that the kernel decided', () => {
    const { app: _, way: __, latencyMicroseconds: ___, ...rest } = decision;
    const event = {
      ...rest,
      by: 'kernel',
      verdict: 'reject',
      cause: 'no-uplink',
      executable: '/usr/bin/curl',
    } as const;
    expect(renderEvent(event, options)).toMatch(
      /^t5 {2}reject +curl +tcp +203\.0\.113\.9:80 +none +rule 3.* \(by the kernel\)$/,
    );
  });

  it('renderEvent shows changes, failed ones too', () => {
    const change = {
      kind: 'change',
      timeMs: 1,
      revision: 8,
      because: 'files changed',
      changes: 1,
      durationMs: 12.4,
    } as const;
    expect(renderEvent(change, options)).toBe('t1  change   revision 8: 1 change in 12 ms (files changed)');
    expect(renderEvent({ ...change, error: 'nft: no' }, options)).toBe(
      't1  change   revision 8: failed, the last good state stays: nft: no (files changed)',
    );
  });

  it('renderEvent shows what becomes of uplinks', () => {
    const event = {
      kind: 'uplink',
      timeMs: 1,
      uplink: 'wg',
      device: 'wg0',
      what: 'found',
      details: 'vpn; IPv4',
    } as const;
    expect(renderEvent(event, options)).toBe('t1  uplink   wg (wg0) found: vpn; IPv4');
    expect(renderEvent({ ...event, what: 'gone', details: '' }, options)).toBe('t1  uplink   wg (wg0) gone');
  });

  it('renderEvent shows warnings and their end', () => {
    const warning = {
      kind: 'warning',
      timeMs: 1,
      code: 'foreign-flush',
      message: 'somebody flushed',
      over: false,
    } as const;
    expect(renderEvent(warning, options)).toBe('t1  warning  somebody flushed [foreign-flush]');
    expect(renderEvent({ ...warning, over: true }, options)).toBe('t1  over     somebody flushed [foreign-flush]');
  });

  it('renderEvent lets no control sequence of a program reach the terminal', () => {
    expect(renderEvent({ ...decision, reason: 'a\u001b]0;x\u0007\nb' }, options)).not.toMatch(/\p{Cc}/u);
  });
});

describe('localTimeOfDay', () => {
  it('localTimeOfDay pads every part', () => {
    expect(localTimeOfDay(new Date(2026, 0, 2, 3, 4, 5, 6).getTime())).toBe('03:04:05.006');
  });
});
