import { describe, expect, it } from 'vitest';
import { parseAddress, parsePrefix } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE } from '../net/protocol.ts';
import { type DecideContext, decide } from './decide.ts';
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import type { Owner } from './identity.ts';
import { indexApps } from './match-app.ts';
import type { Accept, Destination } from './model.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };
const SSHD: Owner = { kind: 'process', pid: 1, uid: 0, executable: '/usr/sbin/sshd' };
const OTHER: Owner = { kind: 'process', pid: 2, uid: 0, executable: '/usr/bin/other' };
const UNKNOWN: Owner = { kind: 'unknown', because: 'it is gone' };

const address = (text: string) => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
function from(text: string, port?: number, protocol?: 'tcp' | 'udp'): Destination {
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw new Error(text);
  return {
    text,
    target: { kind: 'prefix', prefix },
    at,
    ...(port !== undefined && { ports: [{ first: port, last: port }] }),
    ...(protocol !== undefined && { protocol }),
  };
}
const accept = (...entries: readonly Destination[]): Accept => ({ from: entries, at });

interface Stated {
  readonly own?: Accept;
  readonly system?: Accept;
  readonly blocked?: true;
}

/** `own`: of the application sshd. Both directions may be refused for other reasons: that is not asked. */
function context({ own, system, blocked }: Stated): DecideContext {
  const sshd: EffectivePolicy = {
    app: 'sshd',
    match: [{ kind: 'exec', value: '/usr/sbin/sshd', at }],
    rules: [],
    otherwise: { value: { do: 'drop', at }, layer: 'administrator' },
    files: [],
    ...(own !== undefined && { accept: { value: own, layer: 'administrator' } as const }),
    ...(blocked && { blocked: { because: 'its file is broken' } }),
  };
  const policySet: PolicySet = {
    apps: [sshd],
    systemDefault: {
      otherwise: { do: 'deny', at },
      unknown: { do: 'drop', at },
      whenAway: 'closed',
      ...(system !== undefined && { accept: system }),
    },
    uplinks: [],
  };
  return {
    policySet,
    index: indexApps(policySet),
    facts: {
      uplinks: [],
      onLink: [],
      resolvers: [],
      names: new Map(),
      users: new Map(),
      groups: new Map(),
      packages: new Map(),
      containers: new Map(),
    },
    nowMs: 0,
    unknownNames: 'queue',
  };
}

const inbound = (change: Partial<Flow> = {}): Flow => ({
  protocol: IPPROTO_TCP,
  source: address('10.0.0.9'),
  destination: address('192.0.2.1'),
  sourcePort: 40_000,
  destinationPort: 22,
  loopback: false,
  inbound: true,
  ...change,
});

function decided(stated: Stated, owner: Owner, flow: Flow = inbound()): readonly [verdict: string, reason: string] {
  const { verdict, reason } = decide(context(stated), owner, flow);
  return [verdict, reason.kind];
}

describe('decide on what comes in', () => {
  it('decide lets everybody connect where nothing is said about it, whatever the rules for going out are', () => {
    for (const owner of [SSHD, OTHER, UNKNOWN]) expect(decided({}, owner)).toEqual(['accept', 'accept-all']);
    expect(decide(context({}), SSHD, inbound())).toMatchObject({ way: { kind: 'inbound' }, app: 'sshd' });
  });

  it('decide lets in whom the application accepts, and refuses all others', () => {
    const own = accept(from('10.0.0.0/8', 22));
    expect(decide(context({ own }), SSHD, inbound())).toMatchObject({
      verdict: 'accept',
      app: 'sshd',
      way: { kind: 'inbound' },
      reason: { kind: 'accept', entry: '10.0.0.0/8', layer: 'administrator', at },
    });
    expect(decide(context({ own }), SSHD, inbound({ source: address('192.0.2.9') }))).toMatchObject({
      verdict: 'reject',
      cause: 'denied',
      reason: { kind: 'not-accepted', layer: 'administrator', at },
    });
    expect(decided({ own }, SSHD, inbound({ destinationPort: 2222 }))[0]).toBe('reject');
    expect(decided({ own: accept() }, SSHD)[0]).toBe('reject');
  });

  it('decide compares the peer’s address and our port, and not the other way round', () => {
    const turned = inbound({ source: address('192.0.2.1'), destination: address('10.0.0.9') });
    expect(decided({ own: accept(from('10.0.0.0/8')) }, SSHD, turned)[0]).toBe('reject');
    const ports = inbound({ sourcePort: 22, destinationPort: 40_000 });
    expect(decided({ own: accept(from('10.0.0.0/8', 22)) }, SSHD, ports)[0]).toBe('reject');
    expect(decided({ own: accept(from('10.0.0.0/8', 22, 'udp')) }, SSHD)[0]).toBe('reject');
  });

  it('decide asks the system default for whom no policy says anything', () => {
    const system = accept(from('10.0.0.0/8'));
    const elsewhere = inbound({ source: address('192.0.2.9') });
    for (const owner of [SSHD, OTHER, UNKNOWN]) {
      expect(decided({ system }, owner)).toEqual(['accept', 'accept']);
      expect(decided({ system }, owner, elsewhere)).toEqual(['reject', 'not-accepted']);
    }
    const own = accept(from('192.0.2.9'));
    expect(decided({ own, system }, SSHD, elsewhere)).toEqual(['accept', 'accept']);
    expect(decided({ own, system }, SSHD)).toEqual(['reject', 'not-accepted']);
  });

  it('decide does not believe the name of an unproven executable, whom it accepts or not', () => {
    const unproven: Owner = { ...SSHD, executableUnproven: true };
    const stated = { own: accept(from('10.0.0.0/8')), system: accept() };
    expect(decided(stated, SSHD)[0]).toBe('accept');
    expect(decided(stated, unproven)[0]).toBe('reject');
  });

  it('decide refuses who connects to an application whose file is broken', () => {
    expect(decided({ blocked: true, own: accept(from('0.0.0.0/0')) }, SSHD)).toEqual(['reject', 'blocked-app']);
  });

  it('decide takes the strictest of what the candidates would get', () => {
    const both: Owner = { kind: 'one of', candidates: [SSHD, OTHER] };
    expect(decided({ own: accept(from('10.0.0.0/8')) }, both)[0]).toBe('accept');
    expect(decided({ own: accept() }, both)[0]).toBe('reject');
  });

  it.each([
    [IPPROTO_TCP, 'reject'],
    [IPPROTO_UDP, 'reject'],
    [IPPROTO_UDPLITE, 'reject'],
    [IPPROTO_SCTP, 'reject'],
    [IPPROTO_ICMP, 'accept'],
    [47, 'accept'],
  ])('decide on protocol %i, which nobody accepts: %s', (protocol, verdict) => {
    expect(decided({ own: accept(), system: accept() }, SSHD, inbound({ protocol }))[0]).toBe(verdict);
  });

  it('decide lets in what comes from this machine, and what was there before anybody looked', () => {
    const nobody = { own: accept(), system: accept() };
    expect(decided(nobody, SSHD, inbound({ loopback: true }))).toEqual(['accept', 'loopback']);
    expect(decided(nobody, SSHD, inbound({ midstream: true }))).toEqual(['accept', 'accept-all']);
  });
});
