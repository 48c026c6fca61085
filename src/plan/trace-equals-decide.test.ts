/**
 * The most valuable test here: for generated policies and packets, what the ruleset does is what `decide` says. `queue`
 * counts as equal only for a listed reason, and every verdict must turn up often enough, so that nothing passes by queueing.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Address, parseAddress, parsePrefix } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { type DecideContext, decide } from '../policy/decide.ts';
import type { Decision } from '../policy/decision.ts';
import type { EffectivePolicy, EffectiveRule, PolicySet } from '../policy/effective-policy.ts';
import { type Facts, type NameState, NEVER, type UplinkState } from '../policy/facts.ts';
import type { ProcessOwner } from '../policy/identity.ts';
import { cgroupAncestry, indexApps } from '../policy/match-app.ts';
import type { Destination, Match, PropertyConstraint, SourceLocation, Uplink, Verb, Via } from '../policy/model.ts';
import { compile } from './compile.ts';
import type { Host, ResolvedCgroup } from './host.ts';
import { type TracePacket, type TraceResult, trace } from './nft/trace.ts';
import { APP_NONE, MARK_APP, MARK_WAY, UPLINK_LOCAL, UPLINK_SYSTEM, wayMark } from './reserved.ts';

const PAIRS = 12_000;
const PACKETS_PER_POLICY = 24;
const NOW = 1_800_000_000_000;
const at: SourceLocation = { file: 'generated.yaml', line: 1, column: 1 };

const address = (text: string): Address => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const prefix = (text: string) => {
  const parsed = parsePrefix(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};

/** Few values, so that rules and packets meet often and prefixes overlap. */
const ADDRESSES = [
  '192.168.7.77',
  '198.51.100.7',
  '10.0.0.1',
  '10.1.2.3',
  '192.168.7.9',
  '203.0.113.9',
  '203.0.113.200',
  '8.8.8.8',
  '224.0.0.9',
].map(address);
const ADDRESSES6 = ['fd00::1', '2001:db8::9', '2001:db8:1::9', 'ff02::fb', '2a00::1'].map(address);
const LOOPBACK = [address('127.0.0.1'), address('127.0.0.53'), address('::1')];
const PREFIXES = [
  '10.0.0.0/8',
  '10.1.0.0/16',
  '203.0.113.0/24',
  '203.0.113.9',
  '0.0.0.0/1',
  'fd00::/8',
  '2001:db8::/32',
  '2001:db8::9',
  '127.0.0.53',
  '::1',
].map(prefix);
/** Among the addresses that packets go to. */
const RESOLVERS = ['8.8.8.8', '2a00::1'].map(address);
const PORTS = [22, 53, 80, 443, 993, 5060, 40_000];
const NAMES = ['a.example.org', 'b.example.org', 'c.example.org'];
const CGROUPS = ['/apps', '/apps/mail', '/apps/mail/child', '/system.slice', '/system.slice/ssh.service'];
const UIDS = [0, 1000, 1001];

const portRange = fc
  .tuple(fc.constantFrom(...PORTS), fc.nat(400))
  .map(([first, more]) => ({ first, last: Math.min(65535, first + (more > 200 ? 0 : more)) }));

const target: fc.Arbitrary<Destination['target']> = fc.oneof(
  fc.constant({ kind: 'any' } as const),
  fc.constantFrom(...PREFIXES).map((p) => ({ kind: 'prefix', prefix: p }) as const),
  fc.constantFrom('lan', 'loopback', 'multicast', 'internet').map((group) => ({ kind: 'group', group }) as const),
  fc.constantFrom(...NAMES).map((name) => ({ kind: 'name', name }) as const),
);
const destination: fc.Arbitrary<Destination> = fc
  .tuple(
    target,
    fc.option(fc.array(portRange, { minLength: 1, maxLength: 3 }), { nil: undefined, freq: 2 }),
    fc.option(fc.constantFrom('tcp', 'udp', 'icmp'), { nil: undefined, freq: 2 }),
  )
  .map(([t, ports, protocol]) => ({
    text: JSON.stringify([t, ports, protocol], (_, value) => (typeof value === 'bigint' ? String(value) : value)),
    target: t,
    at,
    ...(ports !== undefined && protocol !== 'icmp' ? { ports } : {}),
    ...(protocol === undefined ? {} : { protocol }),
  }));

const constraint: fc.Arbitrary<PropertyConstraint> = fc.oneof(
  fc.constant({}),
  fc.constantFrom<PropertyConstraint>(
    { metered: true },
    { metered: false },
    { encrypted: true },
    { type: ['wifi'] },
    { type: ['cellular', 'wifi'] },
    { name: ['vpn'] },
  ),
);
const via: fc.Arbitrary<Via> = fc
  .tuple(constraint, constraint, constraint, constraint, fc.constantFrom('block', 'any'))
  .map(
    ([require, prefer, avoid, prohibit, otherwise]) =>
      ({ require, prefer, avoid, prohibit, else: otherwise, at }) as Via,
  );
const verb = fc.constantFrom<Verb>('allow', 'allow', 'deny', 'drop');

const rule: fc.Arbitrary<EffectiveRule> = fc
  .tuple(fc.array(destination, { minLength: 1, maxLength: 4 }), verb, fc.option(via, { nil: undefined }))
  .map(([to, what, way]) => ({
    to,
    do: what,
    at,
    layer: 'administrator',
    ...(what === 'allow' && way !== undefined ? { via: way } : {}),
  }));

const match: fc.Arbitrary<Match> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...CGROUPS).map((path) => ({ kind: 'cgroup', path, at }) as const) },
  { weight: 1, arbitrary: fc.constant({ kind: 'unit', unit: 'ssh.service', at } as const) },
  { weight: 3, arbitrary: fc.constantFrom('0', '1000', 'alice').map((user) => ({ kind: 'user', user, at }) as const) },
);
const exec: fc.Arbitrary<Match> = fc.constant({ kind: 'exec', path: '/usr/bin/curl', at } as const);

const policy = (anyExec: boolean, app: string): fc.Arbitrary<EffectivePolicy> =>
  fc
    .record({
      match: fc.array(anyExec ? fc.oneof(match, exec) : match, { minLength: 1, maxLength: 2 }),
      rules: fc.array(rule, { maxLength: 4 }),
      otherwise: fc.option(verb, { nil: undefined }),
      via: fc.option(via, { nil: undefined, freq: 1 }),
      blocked: fc.integer({ min: 0, max: 19 }),
    })
    .map(({ match: m, rules, otherwise, via: way, blocked }) => ({
      app,
      match: m,
      rules,
      files: [],
      ...(otherwise === undefined
        ? {}
        : { otherwise: { layer: 'administrator', value: { do: otherwise, at } } as const }),
      ...(way === undefined ? {} : { via: { layer: 'administrator', value: way } as const }),
      ...(blocked === 0 ? { blocked: { because: 'broken' } } : {}),
    }));

const uplink = (name: string, type: Uplink['properties']['type'], metered: boolean, encrypted: boolean): Uplink => ({
  name,
  device: `${name}0`,
  priority: 100,
  properties: { type, metered, roaming: false, trusted: false, encrypted },
  gateways: {},
  at,
});
const UPLINKS = [
  uplink('wifi', 'wifi', false, false),
  uplink('cell', 'cellular', true, false),
  uplink('vpn', 'vpn', false, true),
];

const uplinkStates: fc.Arbitrary<UplinkState[]> = fc
  .tuple(...UPLINKS.map(() => fc.tuple(fc.integer({ min: 0, max: 3 }), fc.boolean(), fc.boolean())))
  .map((bits) =>
    bits.map(([upBits, v4, v6], i) => {
      const name = UPLINKS[i]?.name ?? '';
      const up = upBits > 0 && (v4 || v6);
      return {
        name,
        id: i + 1,
        device: `${name}0`,
        deviceIndex: i + 2,
        up,
        v4,
        v6,
        addresses: [address(`10.9.${i}.2`)],
        onLink: [prefix(`10.9.${i}.0/24`)],
        gateways: {},
      };
    }),
  );

const nameState: fc.Arbitrary<NameState> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({ known: false } as const) },
  {
    weight: 3,
    arbitrary: fc
      .array(
        fc.tuple(fc.constantFrom(...ADDRESSES, ...ADDRESSES6), fc.constantFrom(-1000, 60_000, 90_000, NEVER - NOW)),
        {
          maxLength: 3,
        },
      )
      .map(
        (addresses) =>
          ({ known: true, addresses: addresses.map(([a, ms]) => ({ address: a, expiresAtMs: NOW + ms })) }) as const,
      ),
  },
);

interface World {
  readonly policySet: PolicySet;
  readonly facts: Facts;
  readonly host: Host;
}

const world: fc.Arbitrary<World> = fc
  .integer({ min: 0, max: 9 })
  .chain((dice) =>
    fc.record({
      apps: fc.tuple(...['app.a', 'app.b', 'app.c'].map((app) => policy(dice === 0, app))),
      systemDo: fc.constantFrom<Verb>('allow', 'allow', 'allow', 'allow', 'allow', 'allow', 'deny'),
      systemVia: fc.option(via, { nil: undefined, freq: 1 }),
      states: uplinkStates,
      names: fc.tuple(nameState, nameState, nameState),
      gone: fc.constantFrom(undefined, undefined, undefined, undefined, ...CGROUPS),
    }),
  )
  .map(({ apps, systemDo, systemVia, states, names, gone }) => ({
    policySet: {
      apps,
      uplinks: UPLINKS,
      systemDefault: {
        otherwise: { do: systemDo, at },
        unknown: { do: 'deny', at },
        whenAway: 'closed',
        ...(systemVia === undefined ? {} : { via: systemVia }),
      },
    },
    facts: {
      uplinks: states,
      onLink: [prefix('192.168.7.0/24'), prefix('fd00::/64'), prefix('198.51.100.0/24')],
      resolvers: RESOLVERS,
      names: new Map(NAMES.map((name, i) => [name, names[i] ?? { known: false }])),
      users: new Map([['alice', 1001]]),
    },
    host: { queue: 'nft', cgroups: CGROUPS.filter((path) => path !== gone).map(resolved) },
  }));

const resolved = (path: string): ResolvedCgroup => ({
  path,
  id: BigInt(100 + CGROUPS.indexOf(path)),
  level: path.split('/').length - 1,
});

interface Sender {
  readonly owner: ProcessOwner;
  readonly flow: Flow;
  readonly foreignCtMark: number;
}

const flow: fc.Arbitrary<Flow> = fc
  .tuple(
    fc.integer({ min: 0, max: 9 }),
    fc.constantFrom(...ADDRESSES),
    fc.constantFrom(...ADDRESSES6),
    fc.constantFrom(...LOOPBACK),
    fc.constantFrom(6, 6, 17, 17, 1),
    fc.constantFrom(...PORTS),
    fc.integer({ min: 0, max: 24 }),
  )
  .map(([dice, v4, v6, lo, protocol, port, age]) => {
    const to = dice === 0 ? lo : dice < 7 ? v4 : v6;
    const base = {
      source: to.family === 4 ? address('10.9.0.2') : address('fd09::2'),
      destination: to,
      loopback: dice === 0,
    };
    const opened = protocol === 6 && age === 0 ? ({ midstream: true } as const) : {};
    if (protocol !== 1) return { ...base, ...opened, protocol, sourcePort: 50_000, destinationPort: port };
    return {
      ...base,
      protocol: to.family === 4 ? 1 : 58,
      icmp: { type: to.family === 4 ? 8 : 128, code: 0, identifier: 7 },
    };
  });

const sender: fc.Arbitrary<Sender> = fc
  .tuple(
    flow,
    fc.constantFrom('/', '/user.slice', ...CGROUPS, '/apps/mail/child/grandchild'),
    fc.constantFrom(...UIDS),
    fc.integer({ min: 0, max: 99 }),
    fc.boolean(),
  )
  .map(([f, cgroup, uid, dice, isCurl]) => ({
    flow: f,
    owner: { kind: 'process', pid: 4711, uid, cgroup, executable: isCurl ? '/usr/bin/curl' : '/usr/bin/other' },
    foreignCtMark: dice < 2 ? 0x00080000 : 0,
  }));

function packetOf({ flow: f, owner, foreignCtMark }: Sender): TracePacket {
  const ids = cgroupAncestry(owner.cgroup ?? '/').map((path): [number, bigint] => [
    path.split('/').length - 1,
    CGROUPS.includes(path) ? resolved(path).id : 999n,
  ]);
  return {
    flow: f,
    outDevice: f.loopback ? 'lo' : 'wifi0',
    metaMark: 0x00010000,
    ctMark: foreignCtMark,
    ctState: 'new',
    ctDirection: 'original',
    socket: { uid: owner.uid, cgroups: new Map(ids) },
  };
}

/** What the kernel must have done for a decision, in the tracer's words. */
function expected(decision: Decision): {
  verdict: TraceResult['verdict'];
  way?: number;
  rejectWith?: 'refused' | 'no-route';
} {
  switch (decision.verdict) {
    case 'accept': {
      const { way } = decision;
      const value = way.kind === 'system' ? UPLINK_SYSTEM : way.kind === 'local' ? UPLINK_LOCAL : way.id;
      return { verdict: 'accept', way: wayMark(value) };
    }
    case 'reject':
      return { verdict: 'reject', rejectWith: decision.cause === 'denied' ? 'refused' : 'no-route' };
    case 'drop':
    case 'queue':
      return { verdict: decision.verdict };
  }
}

/** Only TCP can tell a denial from a missing uplink, and of IPv6 not the first packet. */
function refusalOf(cause: 'refused' | 'no-route', { protocol, source, midstream }: Flow): TraceResult['rejectWith'] {
  if (protocol !== 6) return 'icmpx admin-prohibited';
  if (source.family === 6 && midstream !== true) return 'tcp reset';
  return cause === 'refused' ? 'tcp reset' : 'icmpx no-route';
}

/** The reasons for which the kernel may ask although `decide` knows. */
function mayAsk({ policySet, host }: World, { foreignCtMark, flow }: Sender): boolean {
  const matches = policySet.apps.flatMap((app) => app.match);
  const existing = host.cgroups.map(({ path }) => path);
  const ownerNotTold = matches.some(
    (m) =>
      m.kind === 'exec' ||
      (m.kind === 'cgroup' && !existing.includes(m.path)) ||
      (m.kind === 'unit' && !existing.some((path) => path.endsWith(`/${m.unit}`))),
  );
  const anyName = policySet.apps.some(({ rules }) =>
    rules.some(({ to }) => to.some((entry) => entry.target.kind === 'name')),
  );
  const daemonNotTold = policySet.systemDefault.otherwise.do !== 'allow' && anyName;
  return ownerNotTold || daemonNotTold || foreignCtMark !== 0 || flow.midstream === true;
}

describe('trace(compile(policy), packet)', () => {
  it('equals decide(policy, packet), and queues only for a listed reason', () => {
    const share: Record<string, number> = { accept: 0, reject: 0, drop: 0, queue: 0 };
    let pairs = 0;
    fc.assert(
      fc.property(
        world,
        fc.array(sender, { minLength: PACKETS_PER_POLICY, maxLength: PACKETS_PER_POLICY }),
        (w, senders) => {
          const appIds = new Map(w.policySet.apps.map(({ app }, i) => [app, i + 1]));
          const { plan } = compile({ ...w, appIds, nowMs: NOW });
          const context: DecideContext = {
            policySet: w.policySet,
            index: indexApps(w.policySet),
            facts: w.facts,
            nowMs: NOW,
            unknownNames: 'queue',
          };
          for (const s of senders) {
            const decision = decide(context, s.owner, s.flow);
            const want = expected(decision);
            const got = trace(plan.nft, packetOf(s));
            pairs++;
            share[got.verdict] = (share[got.verdict] ?? 0) + 1;
            if (got.verdict === 'queue' && want.verdict !== 'queue') {
              expect(mayAsk(w, s), `queued for no listed reason: ${got.chains.join(' > ')}`).toBe(true);
              continue;
            }
            expect(got.verdict, got.chains.join(' > ')).toBe(want.verdict);
            // The bits of others survive whatever we decide.
            if (got.verdict === 'accept') expect(got.metaMark & 0x00ff0000).toBe(0x00010000);
            if (want.rejectWith !== undefined) expect(got.rejectWith).toBe(refusalOf(want.rejectWith, s.flow));
            // What passes unasked (housekeeping, loopback that no rule names) leaves nothing behind.
            if (want.way === undefined || decision.reason.kind === 'housekeeping' || s.flow.loopback) continue;
            const ctMark = got.ctMark ?? 0;
            expect((ctMark & MARK_WAY) >>> 0, got.chains.join(' > ')).toBe(want.way);
            expect(ctMark & MARK_APP).toBe(decision.app === undefined ? APP_NONE : appIds.get(decision.app));
          }
        },
      ),
      { numRuns: Math.ceil(PAIRS / PACKETS_PER_POLICY) },
    );
    console.log(
      `${pairs} pairs: ${Object.entries(share)
        .map(([verdict, n]) => `${verdict} ${((100 * n) / pairs).toFixed(1)} %`)
        .join(', ')}`,
    );
    expect(pairs).toBeGreaterThanOrEqual(10_000);
    const minimum = { accept: 0.25, reject: 0.1, drop: 0.05, queue: 0.05 };
    for (const [verdict, least] of Object.entries(minimum))
      expect((share[verdict] ?? 0) / pairs, verdict).toBeGreaterThan(least);
    expect((share.queue ?? 0) / pairs).toBeLessThan(0.5);
  });
});
