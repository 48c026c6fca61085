import { describe, expect, it } from 'vitest';
import { type Address, parseAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import type { Match, SourceLocation, SystemDefault, Via } from '../policy/model.ts';
import { type TracePacket, trace } from './nft/trace.ts';
import { CHAIN_STATIC } from './reserved.ts';
import { staticPlan } from './static-plan.ts';

const at: SourceLocation = { file: 'test.yaml', line: 1, column: 1 };
const ALICE = 1000;
const BOB = 1001;

function app(name: string, match: Match, verb: 'allow' | 'deny', more: Partial<EffectivePolicy> = {}): EffectivePolicy {
  const otherwise = { layer: 'administrator', value: { do: verb, at } } as const;
  return { app: name, match: [match], rules: [], files: [], otherwise, ...more };
}

const CURL = app('curl', { kind: 'exec', value: '/usr/bin/curl', at }, 'deny');
const OF_ALICE = app('of-alice', { kind: 'user', value: 'alice', at }, 'deny');
const OF_BOB = app('of-bob', { kind: 'user', value: `${BOB}`, at }, 'allow');

function planOf(apps: readonly EffectivePolicy[], change: Partial<SystemDefault> = {}) {
  const systemDefault: SystemDefault = {
    otherwise: { do: 'allow', at },
    unknown: { do: 'allow', at },
    whenAway: 'closed',
    ...change,
  };
  const policySet: PolicySet = { apps, uplinks: [], systemDefault };
  const facts = { users: new Map([['alice', ALICE]]), groups: new Map() };
  return staticPlan({ policySet, facts, from: '/etc/pointsman/policies' });
}

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

interface Sent {
  readonly protocol?: number;
  readonly to?: string;
  readonly ports?: readonly [number, number];
  readonly outDevice?: string;
  readonly uid?: number;
  readonly change?: Partial<TracePacket>;
}

function verdictOf(
  plan: ReturnType<typeof planOf>,
  { protocol = IPPROTO_TCP, to = '203.0.113.9', ports = [40_000, 443], ...sent }: Sent = {},
) {
  const destination = address(to);
  const flow: Flow = {
    protocol,
    source: address(destination.family === 4 ? '192.0.2.1' : '2001:db8::1'),
    destination,
    ...(protocol === IPPROTO_ICMP
      ? { icmp: { type: 8, code: 0 } }
      : { sourcePort: ports[0], destinationPort: ports[1] }),
    loopback: false,
  };
  const packet: TracePacket = {
    flow,
    outDevice: sent.outDevice ?? 'wlan0',
    metaMark: 0,
    ctMark: 0,
    ctState: 'new',
    ctDirection: 'original',
    socket: { cgroups: new Map(), uid: sent.uid ?? 0, gid: 0 },
    ...sent.change,
  };
  const { verdict, ctMark } = trace(plan.ruleset, packet, ['output']);
  return { verdict, ctMark };
}

const PASSES = { verdict: 'accept', ctMark: 0 };
const REFUSED = { verdict: 'reject', ctMark: 0 };

describe('staticPlan()', () => {
  it.each([
    ['TCP', { protocol: IPPROTO_TCP }],
    ['UDP', { protocol: IPPROTO_UDP }],
    ['ICMP', { protocol: IPPROTO_ICMP }],
    ['IPv6', { to: '2001:db8:113::9' }],
    ['what is allowed to a user', { uid: BOB }],
    ['a segment of a connection that is older', { change: { ctState: 'established' } }],
  ] as const)('staticPlan() refuses what may be a program that only the daemon tells: %s', (_what, sent) => {
    expect(verdictOf(planOf([CURL, OF_ALICE, OF_BOB]), sent)).toEqual(REFUSED);
  });

  it('staticPlan() refuses what conntrack does not follow, too', () => {
    const sent = { change: { ctState: 'untracked', ctMark: undefined } } as const;
    expect(verdictOf(planOf([CURL]), sent as unknown as Sent).verdict).toBe('reject');
  });

  it.each([
    ['loopback', { outDevice: 'lo', to: '127.0.0.1' }],
    ['DHCP', { protocol: IPPROTO_UDP, to: '255.255.255.255', ports: [68, 67] }],
    ['DHCPv6', { protocol: IPPROTO_UDP, to: 'ff02::1:2', ports: [546, 547] }],
    ['an answer', { change: { ctDirection: 'reply', ctState: 'established' } }],
  ] as const)('staticPlan() lets what nobody decides pass: %s', (_what, sent) => {
    const denied = app('curl', { kind: 'exec', value: '/usr/bin/curl', at }, 'deny');
    expect(verdictOf(planOf([denied]), sent)).toEqual(PASSES);
  });

  it('staticPlan() lets neighbours find each other, whose addresses nobody knows yet, and no other ICMPv6', () => {
    const icmp = (type: number) => ({ protocol: IPPROTO_ICMPV6, to: '2001:db8::7', change: { flow: flowOf(type) } });
    const flowOf = (type: number): Flow => ({
      protocol: IPPROTO_ICMPV6,
      source: address('2001:db8::1'),
      destination: address('2001:db8::7'),
      icmp: { type, code: 0 },
      loopback: false,
    });
    expect([133, 134, 135, 136].map((type) => verdictOf(planOf([CURL]), icmp(type)))).toEqual(Array(4).fill(PASSES));
    expect(verdictOf(planOf([CURL]), icmp(128))).toEqual(REFUSED);
  });

  it('staticPlan() decides users where nothing else is named, and remembers nothing', () => {
    const plan = planOf([OF_ALICE, OF_BOB]);
    expect(plan.untold).toEqual([]);
    expect(verdictOf(plan, { uid: ALICE })).toEqual(REFUSED);
    expect(verdictOf(plan, { uid: BOB })).toEqual(PASSES);
    expect(verdictOf(plan)).toEqual(PASSES);
    expect(verdictOf(planOf([OF_BOB], { otherwise: { do: 'deny', at } }))).toEqual(REFUSED);
  });

  it('staticPlan() lets what only the daemon tells pass where the files say open, but for what users may not', () => {
    const plan = planOf([CURL, OF_ALICE, OF_BOB], { whenAway: 'open' });
    expect(verdictOf(plan)).toEqual(PASSES);
    expect(verdictOf(plan, { uid: BOB })).toEqual(PASSES);
    expect(verdictOf(plan, { uid: ALICE })).toEqual(REFUSED);
  });

  it('staticPlan() takes a rule that waits for a profile for one that only the daemon decides', () => {
    const waiting = app('of-bob', { kind: 'user', value: `${BOB}`, at }, 'allow', { dormant: [] });
    expect(planOf([waiting]).untold).toEqual([{ app: 'of-bob', match: [`user ${BOB}`] }]);
    expect(verdictOf(planOf([waiting]), { uid: BOB })).toEqual(REFUSED);
  });

  it('staticPlan() knows of what is on link what cannot leave a link, and of all else that it may be', () => {
    const to = [{ text: 'on-link:443', target: { kind: 'on-link' }, ports: [{ first: 443, last: 443 }], at }] as const;
    const rules = [{ to, do: 'deny', at, layer: 'administrator' }] as const;
    const plan = (whenAway: SystemDefault['whenAway']) => planOf([{ ...OF_BOB, rules }], { whenAway });
    const sent = { uid: BOB, protocol: IPPROTO_UDP } as const;
    for (const whenAway of ['closed', 'open'] as const) {
      for (const there of ['fe80::9', '169.254.7.7'])
        expect(verdictOf(plan(whenAway), { ...sent, to: there })).toEqual(REFUSED);
      for (const there of ['2001:db8::9', '192.168.1.9', '203.0.113.9']) {
        expect(verdictOf(plan(whenAway), { ...sent, to: there })).toEqual(whenAway === 'open' ? PASSES : REFUSED);
        expect(verdictOf(plan(whenAway), { ...sent, to: there, ports: [40_000, 80] })).toEqual(PASSES);
      }
    }
  });

  it('staticPlan() lets a user by no uplink, as none is there', () => {
    const value: Via = { require: { type: ['vpn'] }, prefer: {}, avoid: {}, prohibit: {}, else: 'block', at };
    const plan = planOf([{ ...OF_BOB, via: { layer: 'administrator', value } }]);
    expect(verdictOf(plan, { uid: BOB }).verdict).toBe('reject');
  });

  it('staticPlan() names whom it cannot tell, a package by its name, and says its format in the file and in the kernel', () => {
    const packaged = app('mail', { kind: 'exec', value: '/usr/bin/mutt', at, fromPackage: 'mutt' } as Match, 'deny');
    const plan = planOf([CURL, packaged]);
    expect(plan.untold).toEqual([
      { app: 'curl', match: ['exec /usr/bin/curl'] },
      { app: 'mail', match: ['package mutt'] },
    ]);
    expect(plan.nft).toMatch(/^# Pointsman.*format 1/);
    expect(plan.nft).toContain('#   mail: package mutt\n');
    expect(plan.ruleset.chains.get(CHAIN_STATIC)?.comment).toContain('format 1');
  });

  it('staticPlan() leaves no name of a policy outside of its comments', () => {
    const evil = app('a"\n  accept', { kind: 'exec', value: '/opt/x\ntable inet y {}', at }, 'deny');
    const lines = planOf([evil]).nft.split('\n');
    expect(lines.filter((line) => /table inet y|opt/.test(line)).every((line) => line.startsWith('#'))).toBe(true);
    expect(lines.filter((line) => line.startsWith('#'))).toHaveLength(4);
  });

  it('staticPlan() has no id of a cgroup, no queue, and nothing that no packet comes to', () => {
    const cgroup = app('unit', { kind: 'cgroup', value: '/system.slice/x.service', at } as Match, 'allow');
    const plan = planOf([cgroup, CURL]);
    expect(plan.nft).not.toMatch(/cgroupv2|queue (to|num|flags)/);
    expect([...plan.ruleset.chains.keys()]).not.toContain('identify_loopback');
    expect(verdictOf(plan)).toEqual(REFUSED);
  });
});
