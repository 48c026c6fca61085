import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_TCP } from '../net/protocol.ts';
import { type DecideContext, decide } from './decide.ts';
import type { EffectivePolicy } from './effective-policy.ts';
import type { Facts } from './facts.ts';
import type { ProcessOwner } from './identity.ts';
import { indexApps } from './match-app.ts';
import type { MatchKind, UserModeNetworking, Verb } from './model.ts';
import { MAX_POLICIES_BEHIND, policiesBehind } from './policies-behind.ts';
import { builtinSystemDefault } from './validate-system-default.ts';

const at = { file: '/etc/pointsman/policies/a.yaml', line: 1, column: 1 };
const ALICE = 1000;

const policy = (app: string, kind: MatchKind, value: string, verb: Verb = 'deny'): EffectivePolicy => ({
  app,
  match: [{ kind, value, at }],
  rules: [],
  otherwise: { value: { do: verb, at }, layer: 'administrator' },
  files: [],
});

const facts: Facts = {
  uplinks: [],
  onLink: [],
  resolvers: [],
  names: new Map(),
  users: new Map([['alice', ALICE]]),
  groups: new Map(),
  packages: new Map(),
  containers: new Map(),
};

function contextOf(apps: readonly EffectivePolicy[], word?: UserModeNetworking): DecideContext {
  const systemDefault = { ...builtinSystemDefault, ...(word !== undefined && { userModeNetworking: { word, at } }) };
  const policySet = { apps, uplinks: [], systemDefault };
  return { policySet, index: indexApps(policySet), facts, nowMs: 0, unknownNames: 'queue' };
}

const owner = (executable: string, more: Partial<ProcessOwner> = {}): ProcessOwner => ({
  kind: 'process',
  pid: 4711,
  uid: ALICE,
  executable,
  executableUnproven: true,
  ...more,
});

const address = (text: string) => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const flow: Flow = {
  protocol: IPPROTO_TCP,
  source: address('10.9.1.2'),
  destination: address('203.0.113.9'),
  sourcePort: 40_000,
  destinationPort: 443,
  loopback: false,
};
const verdict = (context: DecideContext, who: ProcessOwner) => decide(context, who, flow).verdict;

describe('decide() for user-mode networking', () => {
  const curl = policy('curl', 'exec', '/usr/bin/curl');

  it.each([
    '/usr/bin/passt.avx2',
    '/usr/bin/slirp4netns',
    '/home/alice/rootlesskit',
    '/usr/libexec/podman/gvproxy',
    'rootlessport',
  ])('decide() takes the strictest of what may be behind %s', (executable) => {
    const decision = decide(contextOf([curl]), owner(executable), flow);
    const strictest = { kind: 'otherwise', layer: 'administrator', at };
    expect(decision).toEqual({
      verdict: 'reject',
      cause: 'denied',
      reason: { kind: 'user-mode-networking', app: 'curl', strictest },
    });
  });

  it('decide() takes a program of another name for none', () => {
    expect(verdict(contextOf([curl]), owner('/usr/bin/pastafarian'))).toBe('accept');
    expect(verdict(contextOf([curl]), owner('/usr/bin/slirp4netns/tool'))).toBe('accept');
  });

  it.each([
    ['script', '/opt/x.py'],
    ['cgroup', '/system.slice/x.service'],
    ['unit', 'x.service'],
    ['flatpak', 'org.example.X'],
    ['user', 'alice'],
    ['group', 'staff'],
  ] as const)('decide() takes a policy by %s for one that may be about it', (kind, value) => {
    expect(verdict(contextOf([policy('x', kind, value)]), owner('pasta'))).toBe('reject');
  });

  it.each([
    ['user', '1001'],
    ['cgroup', '/user.slice/user-1001.slice/session-2.scope'],
    ['unit', 'user@1001.service'],
  ] as const)('decide() takes no policy of another user by %s, but of root’s any', (kind, value) => {
    const context = contextOf([policy('x', kind, value)]);
    expect(verdict(context, owner('pasta'))).toBe('accept');
    expect(verdict(context, owner('pasta', { uid: 0 }))).toBe('reject');
  });

  it('decide() holds to the policy that names the program itself, and what it executes in its place', () => {
    const own = policy('net', 'exec', '/usr/bin/passt', 'allow');
    const proven = (executable: string): ProcessOwner => ({ kind: 'process', pid: 4711, uid: ALICE, executable });
    expect(decide(contextOf([curl, own]), proven('/usr/bin/passt.avx2'), flow)).toMatchObject({
      verdict: 'accept',
      app: 'net',
    });
    // What only calls itself so is no more than any other.
    expect(verdict(contextOf([curl, own]), owner('/usr/bin/passt.avx2'))).toBe('reject');
  });

  it('decide() leaves what a default says of it to that, but for the policy that names it', () => {
    expect(verdict(contextOf([curl], 'default'), owner('pasta'))).toBe('accept');
    expect(verdict(contextOf([], 'deny'), owner('pasta'))).toBe('reject');
    expect(verdict(contextOf([policy('alice', 'user', 'alice', 'allow')], 'deny'), owner('pasta'))).toBe('reject');
  });

  it('decide() refuses where more may be behind it than is weighed', () => {
    const many = Array.from({ length: MAX_POLICIES_BEHIND + 1 }, (_, i) => policy(`a${i}`, 'exec', `/a/${i}`, 'allow'));
    expect(verdict(contextOf(many.slice(1)), owner('pasta'))).toBe('accept');
    expect(verdict(contextOf(many), owner('pasta'))).toBe('reject');
  });
});

describe('policiesBehind()', () => {
  it('policiesBehind() has each policy once', () => {
    const both: EffectivePolicy = {
      ...policy('a', 'exec', '/a'),
      match: [
        { kind: 'exec', value: '/a', at },
        { kind: 'script', value: '/b', at },
      ],
    };
    expect(policiesBehind(contextOf([both]).index, { uid: ALICE }, facts)).toEqual([both]);
  });
});
