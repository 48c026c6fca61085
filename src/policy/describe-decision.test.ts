import { describe, expect, it } from 'vitest';
import type { Reason } from './decision.ts';
import { describeMatch, describeReason, describeVia, reasonLocation } from './describe-decision.ts';

const at = { file: '/etc/pointsman/policies/share.yaml', line: 7, column: 3 };
const words = (reason: Reason) => describeReason({ verdict: 'accept', reason });

describe('describeReason', () => {
  it('describeReason says which entry of whose `accept` let somebody in, or that none did', () => {
    const entry = 'lan:8000/tcp';
    expect(words({ kind: 'accept', entry, layer: 'locks', at })).toBe(`accept (lock): ${entry}, ${at.file}:7`);
    expect(words({ kind: 'accept', entry, at })).toBe(`accept (system default): ${entry}, ${at.file}:7`);
    expect(words({ kind: 'not-accepted', layer: 'package', at })).toBe(
      `accept (package) has no entry for this peer and port, ${at.file}:7`,
    );
    expect(words({ kind: 'accept-all' })).toBe('it comes in, and no accept speaks of it');
    expect(reasonLocation({ kind: 'not-accepted', at })).toBe(at);
    expect(reasonLocation({ kind: 'accept-all' })).toBeUndefined();
  });
});

describe('describeVia', () => {
  it('describeVia gives lists, flags and bounds as they are written', () => {
    const rtt = { comparator: '<', value: 80, text: '<80ms' } as const;
    const via = {
      require: { validated: true, rtt },
      prefer: { type: ['wifi', 'vpn'] },
      avoid: {},
      prohibit: {},
    } as const;
    expect(describeVia({ ...via, else: 'wait', share: 'app', at })).toContain('; else wait; share app');
    expect(describeVia({ ...via, else: 'block', local: 'via', at })).toContain('; else block; local via');
    expect(describeVia({ ...via, else: 'block', at })).toBe(
      'via require validated: true, rtt: <80ms; prefer type: wifi or vpn; else block',
    );
  });
});

describe('describeMatch', () => {
  it('describeMatch says by which entry, by which package, or by whom', () => {
    expect(describeMatch({ kind: 'script', value: '/opt/x.py', at })).toBe('script /opt/x.py');
    expect(describeMatch({ kind: 'exec', value: '/usr/bin/curl', at, fromPackage: 'curl' })).toBe(
      'exec /usr/bin/curl by package curl',
    );
    expect(describeMatch({ kind: 'children', value: 'steam', at })).toBe('parent steam (children: same)');
  });
});
