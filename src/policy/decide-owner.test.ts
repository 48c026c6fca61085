import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_TCP } from '../net/protocol.ts';
import { type DecideContext, decide } from './decide.ts';
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import type { Owner, SingleOwner } from './identity.ts';
import { indexApps } from './match-app.ts';
import { MAX_POLICIES_WEIGHED } from './may-be.ts';
import type { Match, Verb } from './model.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };
const app = (name: string, match: Match, verb: Verb): EffectivePolicy => ({
  app: name,
  match: [match],
  rules: [],
  otherwise: { value: { do: verb, at }, layer: 'administrator' },
  files: [],
});
const POLICY_SET: PolicySet = {
  apps: [
    app('mail', { kind: 'exec', value: '/usr/bin/mail', at }, 'allow'),
    app('guest', { kind: 'user', value: '1001', at }, 'drop'),
    app('backup', { kind: 'unit', value: 'backup.service', at }, 'allow'),
  ],
  systemDefault: { otherwise: { do: 'allow', at }, unknown: { do: 'deny', at }, whenAway: 'closed' },
  uplinks: [],
};
const CONTEXT: DecideContext = {
  policySet: POLICY_SET,
  index: indexApps(POLICY_SET),
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

function flow(): Flow {
  const [source, destination] = [parseAddress('192.0.2.1'), parseAddress('198.51.100.1')];
  if (source === undefined || destination === undefined) throw new Error();
  return { protocol: IPPROTO_TCP, source, destination, sourcePort: 1, destinationPort: 2, loopback: false };
}

const decided = (owner: Owner) => {
  const { verdict, app: name, reason } = decide(CONTEXT, owner, flow());
  return { verdict, app: name, reason: reason.kind };
};
const UNKNOWN = { kind: 'unknown', because: 'it is gone' } as const;
const MAIL: SingleOwner = { kind: 'process', pid: 1, uid: 1000, executable: '/usr/bin/mail' };
const OTHER: SingleOwner = { kind: 'process', pid: 2, uid: 1000, executable: '/usr/bin/other' };

describe('decide on owners that are not known for sure', () => {
  it('decide holds an unknown program to the policies of its user and its cgroup', () => {
    expect(decided({ ...UNKNOWN, uid: 1001 })).toEqual({ verdict: 'drop', app: 'guest', reason: 'otherwise' });
    expect(decided({ ...UNKNOWN, uid: 1001, cgroup: '/system.slice/backup.service' })).toMatchObject({ app: 'backup' });
    expect(decided({ ...UNKNOWN, uid: 1000, cgroup: '/x' })).toMatchObject({
      verdict: 'reject',
      reason: 'unknown-owner',
    });
    expect(decided({ ...UNKNOWN, uid: 1000 })).toMatchObject({ verdict: 'reject', reason: 'unknown-owner' });
    // Nobody knows of whom it is not.
    expect(decided(UNKNOWN)).toMatchObject({ verdict: 'drop', app: 'guest' });
  });

  it('decide does not believe an executable that was not proven', () => {
    expect(decided(MAIL)).toMatchObject({ verdict: 'accept', app: 'mail' });
    const forged = { ...MAIL, executableUnproven: true } as const;
    expect(decided(forged)).toMatchObject({ verdict: 'reject', app: undefined, reason: 'unknown-owner' });
    expect(decided({ ...forged, uid: 1001 })).toMatchObject({ verdict: 'drop', app: 'guest' });
  });

  it('decide takes a program that no policy names as it is, proven or not', () => {
    expect(decided({ ...OTHER, executableUnproven: true })).toMatchObject({
      verdict: 'accept',
      reason: 'system-default',
    });
  });

  it('decide takes the strictest of what the candidates would get', () => {
    const oneOf = (...candidates: readonly SingleOwner[]): Owner => ({ kind: 'one of', candidates });
    expect(decided(oneOf(MAIL, OTHER))).toMatchObject({ verdict: 'accept' });
    const unknown = { ...UNKNOWN, uid: 1000 };
    expect(decided(oneOf(MAIL, unknown))).toMatchObject({ verdict: 'reject', reason: 'unknown-owner' });
    expect(decided(oneOf(MAIL, { ...OTHER, uid: 1001 }, UNKNOWN))).toMatchObject({ verdict: 'drop', app: 'guest' });
  });

  it('decide lets nothing more out of a connection that nobody has any more, whatever the default is', () => {
    const open = {
      ...POLICY_SET,
      systemDefault: { ...POLICY_SET.systemDefault, unknown: { do: 'allow' as const, at } },
    };
    const context = { ...CONTEXT, policySet: open, index: indexApps(open) };
    const ended: Owner = { ...UNKNOWN, uid: 1000, ended: true };
    expect(decide(context, ended, { ...flow(), midstream: true })).toMatchObject({ verdict: 'drop' });
    // An opening segment is of a connection that begins.
    expect(decide(context, ended, flow())).toMatchObject({ verdict: 'accept' });
    const unknown = { ...UNKNOWN, uid: 1000 };
    expect(decide(context, unknown, { ...flow(), midstream: true })).toMatchObject({ verdict: 'accept' });
  });

  describe('of whom only so much is known', () => {
    const denied = (name: string, match: Match): EffectivePolicy => app(name, match, 'deny');
    const contextOf = (...apps: readonly EffectivePolicy[]): DecideContext => {
      const policySet: PolicySet = {
        ...POLICY_SET,
        apps,
        systemDefault: { ...POLICY_SET.systemDefault, unknown: { do: 'allow', at } },
      };
      return { ...CONTEXT, policySet, index: indexApps(policySet) };
    };
    const who = (context: DecideContext, owner: Owner, packet = flow()) =>
      decide(context, owner, packet).app ?? 'nobody';
    const known = { ...UNKNOWN, uid: 1000, gid: 1000, cgroup: '/system.slice/x.service' } as const;

    it.each([
      ['executable', { kind: 'exec', value: '/usr/bin/mail', at }],
      ['script', { kind: 'script', value: '/usr/bin/mail.py', at }],
    ] as const)('decide holds a program that is not known to what names it by %s', (_, match) => {
      const context = contextOf(denied('mail', match));
      expect(who(context, known)).toBe('mail');
      expect(who(context, OTHER)).toBe('nobody');
      expect(who(context, { kind: 'kernel' })).toBe('nobody');
      expect(who(context, known, { ...flow(), inbound: true })).toBe('nobody');
    });

    it('decide holds it to no policy of a user, group or cgroup that it has not', () => {
      const context = contextOf(
        denied('user', { kind: 'user', value: '1001', at }),
        denied('group', { kind: 'group', value: '1001', at }),
        denied('unit', { kind: 'unit', value: 'other.service', at }),
        denied('cgroup', { kind: 'cgroup', value: '/system.slice/other', at }),
      );
      expect(who(context, known)).toBe('nobody');
      expect(who(context, { ...known, uid: 1001 })).toBe('user');
      expect(who(context, { ...UNKNOWN, uid: 1000, gid: 1000 })).toBe('cgroup');
      expect(who(context, { ...known, cgroup: '/system.slice', cgroupGone: true })).toBe('cgroup');
      expect(who(context, { ...known, cgroup: '/user.slice', cgroupGone: true })).toBe('unit');
      expect(who(context, { ...UNKNOWN, uid: 1000, cgroup: '/x' })).toBe('group');
    });

    it('decide holds a process whose cgroup is gone to what may have been said of it, below what is left', () => {
      const context = contextOf(
        denied('inner', { kind: 'cgroup', value: '/a/b', at }),
        app('mail', { kind: 'exec', value: '/usr/bin/mail', at }, 'allow'),
      );
      const gone = { ...OTHER, cgroupGone: true } as const;
      expect(who(context, { ...gone, cgroup: '/a' })).toBe('inner');
      expect(who(context, { ...gone, cgroup: '/' })).toBe('inner');
      expect(who(context, { ...gone, cgroup: '/other' })).toBe('nobody');
      expect(who(context, { ...OTHER, cgroup: '/a' })).toBe('nobody');
      // What it runs comes before its cgroup.
      expect(who(context, { ...gone, ...MAIL, cgroup: '/a' })).toBe('mail');
    });

    it('decide refuses what may belong to more policies than are weighed', () => {
      const allowed = Array.from({ length: MAX_POLICIES_WEIGHED + 1 }, (_, i) =>
        app(`app${i}`, { kind: 'exec', value: `/usr/bin/${i}`, at }, 'allow'),
      );
      expect(decide(contextOf(...allowed.slice(1)), known, flow())).toMatchObject({ verdict: 'accept' });
      expect(decide(contextOf(...allowed), known, flow())).toMatchObject({ verdict: 'reject' });
    });
  });
});
