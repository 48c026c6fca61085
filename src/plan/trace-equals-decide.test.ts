/**
 * The most valuable test here: for generated policies and packets, what the ruleset does is what `decide` says. `queue`
 * counts as equal only for a listed reason, and every verdict must turn up often enough, so that nothing passes by queueing.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Address, parseAddress, parsePrefix } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import { type DecideContext, decide } from '../policy/decide.ts';
import type { Decision } from '../policy/decision.ts';
import { isQuery, namesHosts } from '../policy/dns-query.ts';
import type { EffectivePolicy, EffectiveRule, PolicySet } from '../policy/effective-policy.ts';
import {
  type DhcpServer,
  type Facts,
  type FamilyHealth,
  type ForwardedDevice,
  type KeptChoices,
  type NameState,
  NEVER,
  type UplinkState,
} from '../policy/facts.ts';
import type { ContainerOwner, ProcessOwner } from '../policy/identity.ts';
import { KERNEL_SENDERS } from '../policy/kernel-senders.ts';
import { cgroupAncestry, indexApps, matchExactCgroup } from '../policy/match-app.ts';
import type {
  Destination,
  Layer,
  Match,
  PropertyConstraint,
  SourceLocation,
  Uplink,
  Verb,
  Via,
} from '../policy/model.ts';
import { weighsUserModeNetworks } from '../policy/policies-behind.ts';
import { keptKey } from '../policy/via-text.ts';
import { compile } from './compile.ts';
import { RELAY_ALIVE } from './compile-dns.ts';
import type { Host, ResolvedCgroup } from './host.ts';
import type { Ruleset } from './nft/ruleset.ts';
import { type TracePacket, type TraceResult, trace } from './nft/trace.ts';
import { namedPrograms, programName } from './program.ts';
import {
  APP_NONE,
  DNS_RELAY_PORT,
  MARK_APP,
  MARK_SOCKET,
  MARK_UPLINK,
  MARK_WAY,
  PROGRAM_NONE_FIRST,
  programMark,
  UPLINK_INBOUND,
  UPLINK_LOCAL,
  UPLINK_SYSTEM,
  wayMark,
} from './reserved.ts';

const PAIRS = 12_000;
const PACKETS_PER_POLICY = 24;
const WAITING = { unknownNames: 'queue', missingUplink: 'queue' } as const;
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
/** Among the addresses that packets go to; one is on-link. */
const RESOLVERS = ['8.8.8.8', '2a00::1', '192.168.7.9'].map(address);
/** Among these addresses, too: what a refused name may not take with it. */
const INSIDE: NonNullable<Facts['inside']> = [
  { address: address('10.0.0.1'), is: 'gateway' },
  { address: address('203.0.113.200'), is: 'own' },
];
const LOOPBACK_RESOLVERS = ['127.0.0.53', '::1'].map(address);
/** One on a link, one that an uplink leads to, one of a device that is no uplink, and one that two say they have. */
const DHCP_SERVERS: readonly DhcpServer[] = (
  [
    ['wifi0', '192.168.7.1'],
    ['cell0', '203.0.113.67'],
    ['eth9', '8.8.8.8'],
    ['wifi0', '10.0.0.1'],
    ['cell0', '10.0.0.1'],
  ] as const
).map(([device, text]) => ({ device, address: address(text) }));
const PORTS = [22, 53, 80, 443, 993, 5060, 40_000];
const NAMES = ['a.example.org', 'b.example.org', 'c.example.org'];
const CGROUPS = ['/apps', '/apps/mail', '/apps/mail/child', '/system.slice', '/system.slice/ssh.service'];
const UIDS = [0, 1000, 1001];
const GIDS = [0, 1000];
const CONTAINER = 'c'.repeat(64);
const CONTAINER_CGROUP = `/system.slice/docker-${CONTAINER}.scope`;
CGROUPS.push(CONTAINER_CGROUP);
const OTHER_CONTAINER = 'd'.repeat(64);
const OTHER_CONTAINER_CGROUP = `/system.slice/docker-${OTHER_CONTAINER}.scope`;
/** By the first, by the second, and by two in one namespace. */
const FORWARDED: readonly ForwardedDevice[] = [
  { device: 'veth1', deviceIndex: 11, cgroups: [CONTAINER_CGROUP] },
  { device: 'veth2', deviceIndex: 12, cgroups: [OTHER_CONTAINER_CGROUP] },
  { device: 'veth3', deviceIndex: 13, cgroups: [CONTAINER_CGROUP, OTHER_CONTAINER_CGROUP] },
];
/** A number that was current before the named programs changed. */
const NONE_BEFORE = PROGRAM_NONE_FIRST + 2;
const NONE = PROGRAM_NONE_FIRST + 3;
/** It serves a network namespace. */
const SERVER = '/usr/bin/slirp4netns';

const portRange = fc
  .tuple(fc.constantFrom(...PORTS), fc.nat(400))
  .map(([first, more]) => ({ first, last: Math.min(65535, first + (more > 200 ? 0 : more)) }));

const target: fc.Arbitrary<Destination['target']> = fc.oneof(
  fc.constant({ kind: 'any' } as const),
  fc.constantFrom(...PREFIXES).map((p) => ({ kind: 'prefix', prefix: p }) as const),
  fc.constantFrom('lan', 'loopback', 'multicast', 'internet').map((group) => ({ kind: 'group', group }) as const),
  fc.constantFrom(...NAMES).map((name) => ({ kind: 'name', name }) as const),
  fc.constant({ kind: 'on-link' } as const),
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

/** Who connects to us: no names, nothing without ports. */
const peer: fc.Arbitrary<Destination> = destination
  .filter(({ target: { kind }, protocol }) => kind !== 'name' && protocol !== 'icmp')
  .map((entry) => ({ ...entry }));

const constraint: fc.Arbitrary<PropertyConstraint> = fc.oneof(
  fc.constant({}),
  fc.constantFrom<PropertyConstraint>(
    { metered: true },
    { metered: false },
    { encrypted: true },
    { type: ['wifi'] },
    { type: ['cellular', 'wifi'] },
    { name: ['vpn'] },
    { validated: true },
    { validated: false },
    { rtt: { comparator: '<', value: 80, text: '<80ms' } },
    { loss: { comparator: '>', value: 0.05, text: '>5%' } },
    { bandwidth: { comparator: '>=', value: 10_000_000, text: '>=10mbit' } },
  ),
);
const local = fc.constantFrom<Pick<Via, 'local'>>({}, {}, { local: 'via' }, { local: 'block' });
const share = fc.constantFrom(undefined, undefined, 'connection', 'destination', 'app');
const via: fc.Arbitrary<Via> = fc
  .tuple(
    constraint,
    constraint,
    constraint,
    constraint,
    fc.constantFrom('block', 'any', 'wait'),
    share,
    fc.nat(3),
    local,
  )
  .map(([require, prefer, avoid, prohibit, otherwise, by, dice, where]): Via => {
    const head = { else: otherwise as Via['else'], ...(dice === 2 && { stickyMs: 60_000 }), ...where, at };
    if (by === undefined) return { ...head, require, prefer, avoid, prohibit };
    // Most often nothing tells the uplinks apart.
    const wishes = dice === 0 ? { prefer, avoid } : { prefer: {}, avoid: {} };
    return {
      ...head,
      ...wishes,
      require: {},
      prohibit: dice === 1 ? prohibit : {},
      share: by as NonNullable<Via['share']>,
    };
  });
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
  { weight: 4, arbitrary: fc.constantFrom(...CGROUPS).map((value) => ({ kind: 'cgroup', value, at }) as const) },
  { weight: 1, arbitrary: fc.constant({ kind: 'unit', value: 'ssh.service', at } as const) },
  {
    weight: 3,
    arbitrary: fc.constantFrom('0', '1000', 'alice').map((value) => ({ kind: 'user', value, at }) as const),
  },
  { weight: 1, arbitrary: fc.constantFrom('1000', 'staff').map((value) => ({ kind: 'group', value, at }) as const) },
);
/** Only sockets' marks tell these. */
const program: fc.Arbitrary<Match> = fc.constantFrom<Match>(
  { kind: 'exec', value: '/usr/bin/curl', at },
  { kind: 'exec', value: '/usr/bin/mail', at },
  { kind: 'exec', value: '/usr/bin/mail', at, shipped: true },
  { kind: 'script', value: '/opt/x.py', at },
  { kind: 'script', value: '/opt/x.py', at, shipped: true },
  { kind: 'container', value: 'web', at },
  { kind: 'container', value: 'db', at },
);

const policy = (anyExec: boolean, app: string): fc.Arbitrary<EffectivePolicy> =>
  fc
    .record({
      match: fc.array(anyExec ? fc.oneof(match, program) : match, { minLength: 1, maxLength: 2 }),
      children: anyExec
        ? fc.constantFrom<Layer | undefined>('administrator', 'package', undefined, undefined)
        : fc.constant(undefined),
      accept: fc.option(fc.array(peer, { maxLength: 3 }), { nil: undefined, freq: 2 }),
      rules: fc.array(rule, { maxLength: 4 }),
      otherwise: fc.option(verb, { nil: undefined }),
      via: fc.option(via, { nil: undefined, freq: 2 }),
      blocked: fc.integer({ min: 0, max: 19 }),
    })
    .map(({ match: m, rules, otherwise, via: way, blocked, children, accept }) => ({
      app,
      match: m,
      rules,
      files: [],
      ...(otherwise === undefined
        ? {}
        : { otherwise: { layer: 'administrator', value: { do: otherwise, at } } as const }),
      ...(way === undefined ? {} : { via: { layer: 'administrator', value: way } as const }),
      ...(children === undefined ? {} : { children: { layer: children, value: { are: 'same', at } } as const }),
      ...(accept === undefined ? {} : { accept: { layer: 'administrator', value: { from: accept, at } } as const }),
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
const wifi = uplink('wifi', 'wifi', false, false);
const UPLINKS = [
  { ...wifi, weight: 2, properties: { ...wifi.properties, bandwidthBitsPerSecond: 50_000_000, rttMs: 80 } },
  uplink('cell', 'cellular', true, false),
  uplink('vpn', 'vpn', false, true),
];

const familyHealth: fc.Arbitrary<FamilyHealth | undefined> = fc.option(
  fc.record(
    {
      state: fc.constantFrom('unknown', 'good', 'good', 'failed'),
      rttMs: fc.constantFrom(79, 80, 81),
      lossRatio: fc.constantFrom(0, 0.05, 0.06),
      validated: fc.constant(true as const),
      captivePortal: fc.constant(true as const),
    },
    { requiredKeys: ['state'] },
  ),
  { nil: undefined },
);

const uplinkStates: fc.Arbitrary<UplinkState[]> = fc
  .tuple(
    ...UPLINKS.map(() =>
      fc.tuple(fc.integer({ min: 0, max: 3 }), fc.boolean(), fc.boolean(), familyHealth, familyHealth),
    ),
  )
  .map((bits) =>
    bits.map(([upBits, v4, v6, health4, health6], i) => {
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
        health: { ...(health4 && { v4: health4 }), ...(health6 && { v6: health6 }) },
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
      apps: fc.tuple(...['app.a', 'app.b', 'app.c'].map((app) => policy(dice < 5, app))),
      isMarked: fc.constant(dice > 0),
      systemAccept: fc.option(fc.array(peer, { maxLength: 2 }), { nil: undefined, freq: 2 }),
      systemDo: fc.constantFrom<Verb>('allow', 'allow', 'allow', 'allow', 'allow', 'allow', 'deny'),
      systemVia: fc.option(via, { nil: undefined, freq: 2 }),
      whenAway: fc.constantFrom('closed', 'closed', 'closed', 'open'),
      states: uplinkStates,
      names: fc.tuple(nameState, nameState, nameState),
      forwarded: fc.constantFrom(undefined, FORWARDED, FORWARDED, FORWARDED),
      userModeNetworking: fc.constantFrom(undefined, 'strictest', 'default', 'deny'),
      isServerHere: fc.boolean(),
      gone: fc.constantFrom(undefined, undefined, undefined, undefined, ...CGROUPS),
      doubted: fc.constantFrom(undefined, ['fd00::/64'], ['192.168.7.0/24'], ['192.168.7.0/25', 'fd00::/64']),
      overstated: fc.constantFrom(undefined, ['198.51.100.0/24'], ['192.168.7.0/24', 'fd00::/64']),
      stubs: fc.constantFrom(undefined, LOOPBACK_RESOLVERS, LOOPBACK_RESOLVERS),
      dhcpServers: fc.subarray([...DHCP_SERVERS]),
      kept: fc.uniqueArray(fc.constantFrom(...UPLINKS.map(({ name }) => name)), { maxLength: 2 }),
    }),
  )
  .map(
    ({
      apps,
      systemDo,
      systemVia,
      whenAway,
      systemAccept,
      isMarked,
      states,
      names,
      forwarded,
      userModeNetworking: word,
      isServerHere,
      gone,
      stubs,
      kept,
      doubted,
      overstated,
      dhcpServers,
    }) => ({
      policySet: {
        apps,
        uplinks: UPLINKS,
        systemDefault: {
          otherwise: { do: systemDo, at },
          unknown: { do: 'deny', at },
          whenAway,
          ...(word !== undefined && { userModeNetworking: { word, at } }),
          ...(systemVia === undefined ? {} : { via: systemVia }),
          ...(systemAccept === undefined ? {} : { accept: { from: systemAccept, at } }),
        },
      },
      facts: {
        uplinks: states,
        onLink: ['192.168.7.0/24', '192.168.7.0/25', 'fd00::/64', '198.51.100.0/24'].map(prefix),
        ...(doubted !== undefined && { doubted: doubted.map(prefix) }),
        ...(overstated !== undefined && { overstated: overstated.map(prefix) }),
        resolvers: RESOLVERS,
        inside: INSIDE,
        names: new Map(NAMES.map((name, i) => [name, names[i] ?? { known: false }])),
        users: new Map([['alice', 1001]]),
        groups: new Map([['staff', 0]]),
        packages: new Map(),
        containers: new Map([
          [CONTAINER, ['web']],
          [OTHER_CONTAINER, ['db']],
        ]),
        ...(forwarded !== undefined && { forwarded }),
        ...(isServerHere && { userModeNetworks: true }),
        kept: keptIn(apps, systemVia, kept),
        ...(stubs !== undefined && { loopbackResolvers: stubs }),
        dhcpServers,
      },
      host: {
        queue: 'nft',
        cgroups: CGROUPS.filter((path) => path !== gone).map(resolved),
        ...(isMarked && { programs: { none: NONE, numbers: numbersOf(apps) } }),
      },
    }),
  );

/** Every sticky choice came to these. */
function keptIn(apps: readonly EffectivePolicy[], systemVia: Via | undefined, names: readonly string[]): KeptChoices {
  const vias = [systemVia, ...apps.flatMap(({ via: own, rules }) => [own?.value, ...rules.map((one) => one.via)])];
  const sticky = vias.flatMap((one) => (one?.stickyMs === undefined ? [] : [one]));
  return new Map(sticky.flatMap((one) => ([4, 6] as const).map((family) => [keptKey(one, family), names])));
}

/** All but one, as when there are too many. */
function numbersOf(apps: readonly EffectivePolicy[]): ReadonlyMap<string, number> {
  const index = indexApps({
    apps,
    uplinks: [],
    systemDefault: { otherwise: { do: 'allow', at }, unknown: { do: 'allow', at }, whenAway: 'closed' },
  });
  const names = [...namedPrograms(index)].map(({ program: named }) => programName(named));
  return new Map(names.filter((name) => name !== 'exec:/usr/bin/mail').map((name, i) => [name, i + 1]));
}

const resolved = (path: string): ResolvedCgroup => ({
  path,
  id: BigInt(100 + CGROUPS.indexOf(path)),
  level: path.split('/').length - 1,
});

interface Sender {
  /** Whether the kernel has seen its executable and its cgroup before. */
  readonly isKnown: boolean;
  /** Its socket is older than the last change of what is named. */
  readonly isOld: boolean;
  readonly owner: ProcessOwner;
  readonly flow: Flow;
  readonly foreignCtMark: number;
}

const anyFlow: fc.Arbitrary<Flow> = fc
  .tuple(
    fc.integer({ min: 0, max: 9 }),
    fc.constantFrom(...ADDRESSES),
    fc.constantFrom(...ADDRESSES6),
    fc.constantFrom(...LOOPBACK),
    fc.constantFrom(6, 6, 17, 17, 1),
    fc.constantFrom(...PORTS),
    fc.integer({ min: 0, max: 24 }),
    fc.integer({ min: 49_152, max: 65_535 }),
  )
  .map(([dice, v4, v6, lo, protocol, port, age, sourcePort]) => {
    const to = dice === 0 ? lo : dice < 7 ? v4 : v6;
    const base = {
      source: to.family === 4 ? address('10.9.0.2') : address('fd09::2'),
      destination: to,
      loopback: dice === 0,
    };
    const opened = protocol === 6 && age === 0 ? ({ midstream: true } as const) : {};
    if (protocol !== 1) return { ...base, ...opened, protocol, sourcePort, destinationPort: port };
    return {
      ...base,
      protocol: to.family === 4 ? 1 : 58,
      icmp: { type: to.family === 4 ? 8 : 128, code: 0, identifier: 7 },
    };
  });

/** To a configured resolver. */
const query: fc.Arbitrary<Flow> = fc
  .tuple(fc.constantFrom(...RESOLVERS, ...LOOPBACK_RESOLVERS), fc.constantFrom(6, 17))
  .map(([to, protocol]) => ({
    source: to.family === 4 ? address('10.9.0.2') : address('fd09::2'),
    destination: to,
    loopback: LOOPBACK_RESOLVERS.includes(to),
    protocol,
    sourcePort: 50_000,
    destinationPort: 53,
  }));
/** What may keep a link and its addresses alive, and what only looks like it. */
const LINK_ADDRESSES = ['255.255.255.255', '169.254.1.1', '224.0.0.22', '239.1.2.3', '192.168.7.1', '203.0.113.67'];
const LINK_ADDRESSES6 = ['fe80::1', 'ff02::1:2', 'ff02::1:ff00:1', 'ff05::1:3', 'fd00::9', '2001:db8::9'];
const DHCP_PORTS = [
  [68, 67],
  [67, 68],
  [546, 547],
  [547, 546],
  [68, 68],
  [67, 547],
] as const;
const linkFlow: fc.Arbitrary<Flow> = fc
  .tuple(
    fc.constantFrom(...[...LINK_ADDRESSES, ...LINK_ADDRESSES6].map(address), ...ADDRESSES),
    fc.constantFrom(17, 17, 2, 58, 58),
    fc.constantFrom(...DHCP_PORTS),
    fc.constantFrom(128, 130, 131, 132, 133, 134, 135, 136, 137, 143),
  )
  .map(([to, protocol, [sourcePort, destinationPort], type]): Flow => {
    const base = {
      source: to.family === 4 ? address('192.168.7.2') : address('fe80::2'),
      destination: to,
      loopback: false,
    };
    if (protocol === 17) return { ...base, protocol, sourcePort, destinationPort };
    if (to.family === 4) return { ...base, protocol: protocol === 2 ? 2 : 47 };
    return protocol === 58 ? { ...base, protocol, icmp: { type, code: 0 } } : { ...base, protocol: 47 };
  });
const flow: fc.Arbitrary<Flow> = fc.oneof(
  { weight: 8, arbitrary: anyFlow },
  { weight: 1, arbitrary: query },
  { weight: 1, arbitrary: linkFlow },
);

const sender: fc.Arbitrary<Sender> = fc
  .tuple(
    flow,
    fc.constantFrom('/', '/user.slice', ...CGROUPS, '/apps/mail/child/grandchild'),
    fc.constantFrom(...UIDS),
    fc.constantFrom(...GIDS),
    fc.integer({ min: 0, max: 99 }),
    fc.constantFrom('/usr/bin/curl', '/usr/bin/curl', '/usr/bin/mail', '/usr/bin/other', '/usr/bin/other', SERVER),
    fc.constantFrom(undefined, undefined, undefined, '/opt/x.py'),
    fc.constantFrom(undefined, undefined, undefined, 'app.a'),
  )
  .map(([f, cgroup, uid, gid, dice, executable, script, childOf]) => ({
    flow: f,
    isKnown: dice < 90,
    isOld: dice > 80,
    owner: {
      kind: 'process',
      pid: 4711,
      uid,
      gid,
      cgroup,
      executable,
      ...(script !== undefined && { script }),
      ...(childOf !== undefined && { childOf }),
    },
    foreignCtMark: dice < 2 ? 0x00080000 : 0,
  }));

/** A cgroup counts as known when the map for it is there, or policies say nothing about it. */
function isCgroupTold({ policySet, facts, host }: World, cgroup: string): boolean {
  const index = indexApps(policySet);
  const told = cgroupAncestry(cgroup).find((path) => matchExactCgroup(index, path, facts.containers) !== undefined);
  return told === undefined || host.cgroups.some(({ path }) => path === told);
}

/** What the kernel wrote into the socket when it was made. */
function socketMark(w: World, { owner, isKnown, isOld }: Sender): number {
  const { policySet, host } = w;
  if (host.programs === undefined) return 0;
  const { numbers } = host.programs;
  const { byScript, byExecutable, byParent } = indexApps(policySet);
  const { script = '', executable = '', childOf = '' } = owner;
  const named = byScript.get(script) ?? byExecutable.get(executable);
  const family = byParent.get(childOf);
  const keeps = family?.policy.children?.layer === 'administrator';
  const isOwn = named !== undefined && !(keeps && named.match.kind !== 'children' && named.match.shipped);
  const nobody = isOld ? NONE_BEFORE : NONE;
  const byOrigin = (): number | undefined => {
    if (family !== undefined) return numbers.get(`children:${childOf}`);
    return isKnown && isCgroupTold(w, owner.cgroup ?? '/') ? nobody : undefined;
  };
  const byFile = (): number | undefined => {
    if (isOwn) return numbers.get(`exec:${executable}`);
    return executable === SERVER && weighsUserModeNetworks(policySet) ? undefined : byOrigin();
  };
  const number = isOwn && byScript.has(script) ? numbers.get(`script:${script}`) : byFile();
  return number === undefined ? 0 : (programMark(number) | 0x01000000) >>> 0;
}

/** Where none is installed. */
const withoutServer = (s: Sender): Sender =>
  s.owner.executable === SERVER ? { ...s, owner: { ...s.owner, executable: '/usr/bin/other' } } : s;

/** The same program receives it: who sends is the other end. */
const incoming: fc.Arbitrary<Sender> = sender.map((s) => {
  const { source, destination } = s.flow;
  return { ...s, flow: { ...s.flow, source: destination, destination: source, inbound: true } };
});

function packetOf(w: World, s: Sender): TracePacket {
  const { flow: f, owner, foreignCtMark } = s;
  const ids = cgroupAncestry(owner.cgroup ?? '/').map((path): [number, bigint] => [
    path.split('/').length - 1,
    CGROUPS.includes(path) ? resolved(path).id : 999n,
  ]);
  return {
    flow: f,
    outDevice: f.loopback ? 'lo' : 'wifi0',
    inDevice: f.loopback ? 'lo' : 'wifi0',
    metaMark: f.inbound ? 0x00010000 : (socketMark(w, s) | 0x00010000) >>> 0,
    ctMark: foreignCtMark,
    ctState: 'new',
    ctDirection: 'original',
    socket: {
      mark: socketMark(w, s),
      cgroups: new Map(ids),
      ...(!f.inbound && { uid: owner.uid, gid: owner.gid ?? 0 }),
    },
  };
}

const WAYS: Partial<Record<string, number>> = {
  system: UPLINK_SYSTEM,
  local: UPLINK_LOCAL,
  inbound: UPLINK_INBOUND,
};

/** What the kernel must have done for a decision, in the tracer's words. */
function expected(decision: Decision): {
  verdict: TraceResult['verdict'];
  way?: number;
  rejectWith?: 'refused' | 'no-route';
} {
  switch (decision.verdict) {
    case 'accept': {
      const { way } = decision;
      const value = WAYS[way.kind] ?? (way.kind === 'uplink' ? way.id : UPLINK_SYSTEM);
      return { verdict: 'accept', way: wayMark(value) };
    }
    case 'reject':
      return {
        verdict: 'reject',
        rejectWith: ['denied', 'local-blocked'].includes(decision.cause) ? 'refused' : 'no-route',
      };
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
function mayAsk(w: World, s: Sender): boolean {
  const { policySet, facts, host } = w;
  const { foreignCtMark, flow: f } = s;
  if (foreignCtMark !== 0 || f.midstream === true) return true;
  const matches = policySet.apps.flatMap((app) => app.match);
  const existing = host.cgroups.map(({ path }) => path);
  const anyChildren = policySet.apps.some(({ children }) => children !== undefined);
  // With marks it is told whether a cgroup is another one, made anew under its path.
  const mayBeNew = host.programs !== undefined;
  const ownerNotTold = matches.some(
    ({ kind, value }) =>
      ['exec', 'script', 'container'].includes(kind) ||
      (kind === 'cgroup' && (mayBeNew || !existing.includes(value))) ||
      (kind === 'unit' && (mayBeNew || !existing.some((path) => path.endsWith(`/${value}`)))),
  );
  const anyName = policySet.apps.some(({ rules }) =>
    rules.some(({ to }) => to.some((entry) => entry.target.kind === 'name')),
  );
  const daemonNotTold = policySet.systemDefault.otherwise.do !== 'allow' && anyName;
  const isUserNotTold = f.inbound === true && matches.some(({ kind }) => kind === 'user' || kind === 'group');
  if (isUserNotTold || (s.owner.executable === SERVER && weighsUserModeNetworks(policySet))) return true;
  const serverNotTold = facts.userModeNetworks === true && weighsUserModeNetworks(policySet);
  if (!ownerNotTold && !anyChildren && !daemonNotTold && !serverNotTold) return false;
  // Sockets with a current mark are told.
  const number = socketMark(w, s) & 0x7fff;
  return host.programs === undefined || number === 0 || number === NONE_BEFORE;
}

/** The daemon takes the queries of whoever has an uplink, and those of whose answers it is to learn. */
function expectedRedirect({ policySet, facts }: World, { flow: f }: Sender, decision: Decision): number | undefined {
  if (decision.verdict !== 'accept' || !isQuery(facts, f)) return undefined;
  const policy = policySet.apps.find(({ app }) => app === decision.app);
  const learns = policy !== undefined && namesHosts(policy);
  return decision.way.kind === 'uplink' || learns ? DNS_RELAY_PORT : undefined;
}

/** What a failure needs to be understood. */
function explain(
  { owner, flow: { destination, ...rest } }: Sender,
  { chains }: TraceResult,
  { app, reason }: Decision,
): string {
  const { value, family } = destination;
  return JSON.stringify({
    chains: chains.join(' > '),
    owner,
    to: `${family}.${value}`,
    ...rest,
    source: undefined,
    app,
    reason,
  });
}

type Share = Record<TraceResult['verdict'], number>;

/** Several share it: whose turn it is was told by a hash, here as there. */
const isShared = ({ verdict, choice }: Decision): boolean => verdict === 'accept' && choice?.shared !== undefined;

/** As the daemon keeps it: the plan has the set, and what it holds says that somebody relays. */
function withRelayAlive(ruleset: Ruleset): Ruleset {
  const set = ruleset.sets.get(RELAY_ALIVE);
  if (set === undefined) return ruleset;
  const elements = [IPPROTO_TCP, IPPROTO_UDP].map((protocol) => ({
    key: [{ first: BigInt(protocol), last: BigInt(protocol) }],
  }));
  return { ...ruleset, sets: new Map([...ruleset.sets, [RELAY_ALIVE, { ...set, elements }]]) };
}

/** Runs packets through rulesets, compares, and counts what came out. */
function compare(
  senders: fc.Arbitrary<Sender>,
  hook: 'output' | 'input',
  pairsWanted: number,
): {
  share: Share;
  told: number;
  shared: number;
  redirected: { readonly onLoopback: number; readonly elsewhere: number };
} {
  const share: Share = { accept: 0, reject: 0, drop: 0, queue: 0 };
  const redirected = { onLoopback: 0, elsewhere: 0 };
  let pairs = 0;
  let told = 0;
  let shared = 0;
  const property = fc.property(
    world,
    fc.array(senders, { minLength: PACKETS_PER_POLICY, maxLength: PACKETS_PER_POLICY }),
    (w, all) => {
      const index = indexApps(w.policySet);
      const appIds = new Map(w.policySet.apps.map(({ app }, i) => [app, i + 1]));
      const { plan } = compile({ ...w, appIds, nowMs: NOW });
      const ruleset = withRelayAlive(plan.nft);
      const context: DecideContext = { ...w, ...WAITING, index, nowMs: NOW };
      for (const one of all) {
        const s = w.facts.userModeNetworks === true ? one : withoutServer(one);
        const decision = decide(context, s.owner, s.flow);
        const want = expected(decision);
        const got = trace(ruleset, packetOf(w, s), [hook]);
        pairs++;
        share[got.verdict]++;
        if (got.verdict === 'queue' && want.verdict !== 'queue') {
          expect(mayAsk(w, s), `queued for no listed reason: ${got.chains.join(' > ')}`).toBe(true);
          continue;
        }
        expect(got.verdict, explain(s, got, decision)).toBe(want.verdict);
        if ((got.metaMark & MARK_SOCKET) !== 0) expect(got.verdict, 'a number is seen behind us').not.toBe('accept');
        if (socketMark(w, s) !== 0 && got.verdict !== 'queue') told++;
        // The bits of others survive whatever we decide.
        if (got.verdict === 'accept') expect(got.metaMark & 0x00ff0000).toBe(0x00010000);
        if (isShared(decision)) shared++;
        if (want.rejectWith !== undefined) expect(got.rejectWith).toBe(refusalOf(want.rejectWith, s.flow));
        if (hook === 'output') {
          expect(got.redirectedTo, explain(s, got, decision)).toBe(expectedRedirect(w, s, decision));
          if (got.redirectedTo !== undefined) redirected[s.flow.loopback ? 'onLoopback' : 'elsewhere']++;
        }
        // What passes unasked (housekeeping, loopback that no rule names) leaves nothing behind.
        const { kind } = decision.reason;
        if (kind === 'housekeeping' && hook === 'output' && want.way !== undefined)
          expect((got.metaMark & MARK_UPLINK) >>> 0, explain(s, got, decision)).toBe(want.way & MARK_UPLINK);
        if (want.way === undefined || kind === 'housekeeping' || kind === 'accept-all') continue;
        if (s.flow.loopback && got.redirectedTo === undefined) continue;
        const ctMark = got.ctMark ?? 0;
        expect((ctMark & MARK_WAY) >>> 0, got.chains.join(' > ')).toBe(want.way);
        // No route is looked up by the mark on loopback, where the relay is, too.
        if (
          hook === 'output' &&
          decision.verdict === 'accept' &&
          got.redirectedTo === undefined &&
          !(s.flow.loopback && want.way === wayMark(UPLINK_LOCAL))
        )
          expect((got.metaMark & MARK_UPLINK) >>> 0, 'goes another way than it was decided').toBe(
            want.way & MARK_UPLINK,
          );
        if (hook === 'output' || decision.app !== undefined)
          expect(ctMark & MARK_APP).toBe(decision.app === undefined ? APP_NONE : appIds.get(decision.app));
      }
    },
  );
  fc.assert(property, { numRuns: Math.ceil(pairsWanted / PACKETS_PER_POLICY) });
  const percent = ([verdict, n]: [string, number]): string => `${verdict} ${((100 * n) / pairs).toFixed(1)} %`;
  console.log(
    `${hook}: ${pairs} pairs: ${Object.entries(share).map(percent).join(', ')}; told by a mark: ${told}; shared by the kernel: ${shared}`,
    redirected,
  );
  for (const verdict of ['accept', 'reject', 'drop', 'queue'] as const) share[verdict] /= pairs;
  return { share, told: told / pairs, shared: shared / pairs, redirected };
}

/** What a container sends, and by which device. */
interface Forwarded {
  readonly from: ForwardedDevice;
  readonly flow: Flow;
  readonly foreignCtMark: number;
}

const forwardedPacket: fc.Arbitrary<Forwarded> = fc
  .tuple(fc.constantFrom(...FORWARDED), flow, fc.integer({ min: 0, max: 99 }))
  .filter(([, { loopback }]) => !loopback)
  .map(([from, f, dice]) => ({
    from,
    flow: { ...f, source: f.source.family === 4 ? address('172.17.0.2') : address('fd17::2'), forwarded: true },
    foreignCtMark: dice < 10 ? 0x00080000 : 0,
  }));

/** Whoever no policy names is left alone, to the bit. */
const UNTOUCHED = { metaMark: 0x00010000, verdict: 'accept' } as const;

/** Runs what containers send through rulesets, compares, and counts what came out. */
function compareForwarded(pairsWanted: number): { share: Share; untouched: number } {
  const share: Share = { accept: 0, reject: 0, drop: 0, queue: 0 };
  let governed = 0;
  let untouched = 0;
  const property = fc.property(
    world.filter(({ facts, policySet: { apps } }) => {
      const isNamed = apps.some(({ match: all }) => all.some(({ kind }) => kind === 'container'));
      return facts.forwarded !== undefined && isNamed;
    }),
    fc.array(forwardedPacket, { minLength: PACKETS_PER_POLICY, maxLength: PACKETS_PER_POLICY }),
    (w, all) => {
      const appIds = new Map(w.policySet.apps.map(({ app }, i) => [app, i + 1]));
      const { plan } = compile({ ...w, appIds, nowMs: NOW });
      const context: DecideContext = { ...w, ...WAITING, index: indexApps(w.policySet), nowMs: NOW };
      for (const { from, flow: f, foreignCtMark } of all) {
        const owner: ContainerOwner = { kind: 'container', cgroups: from.cgroups };
        const decision = decide(context, owner, f);
        const packet: TracePacket = {
          flow: f,
          outDevice: '',
          inDevice: from.device,
          metaMark: UNTOUCHED.metaMark,
          ctMark: foreignCtMark,
          ctState: 'new',
          ctDirection: 'original',
        };
        const got = trace(plan.nft, packet, ['ingress', 'prerouting']);
        const shown = JSON.stringify({ chains: got.chains, decision, from, to: String(f.destination.value) });
        if (decision.reason.kind === 'forwarded') {
          untouched++;
          expect(got, shown).toMatchObject({ ...UNTOUCHED, ctMark: foreignCtMark });
          continue;
        }
        governed++;
        share[got.verdict]++;
        const want = expected(decision);
        expect(got.verdict, shown).toBe(want.verdict);
        if (want.rejectWith !== undefined) expect(got.rejectWith).toBe(refusalOf(want.rejectWith, f));
        if (want.way === undefined || decision.reason.kind === 'housekeeping') continue;
        expect(((got.ctMark ?? 0) & MARK_WAY) >>> 0, shown).toBe(want.way);
        expect((got.ctMark ?? 0) & MARK_APP, shown).toBe(appIds.get(decision.app ?? ''));
        expect((got.ctMark ?? 0) & 0x00ff0000, shown).toBe(foreignCtMark);
        // The route is looked up by it next; others see no number of ours, and their own bits as they were.
        expect(got.metaMark & MARK_UPLINK, shown).toBe(want.way & MARK_UPLINK);
        expect(got.metaMark & 0x00ffffff, shown).toBe(UNTOUCHED.metaMark);
      }
    },
  );
  fc.assert(property, { numRuns: Math.ceil(pairsWanted / PACKETS_PER_POLICY) });
  console.log(`forwarded: ${governed} pairs: ${JSON.stringify(share)}; left alone: ${untouched}`);
  for (const verdict of ['accept', 'reject', 'drop', 'queue'] as const) share[verdict] /= governed;
  return { share, untouched };
}

/** What the kernel itself sends: without a socket, or by one of the cgroup of whoever made it. */
interface OfKernel {
  readonly flow: Flow;
  readonly cgroup?: string;
  /** SUNRPC gives its sockets a file, so that they have a uid: root's. */
  readonly uid?: number;
}

const TUNNEL_ENDS = ['203.0.113.9', '2001:db8::9'].map(address);
const WIREGUARD_PORT = 51_820;
const ofKernel: fc.Arbitrary<OfKernel> = fc
  .tuple(
    flow,
    fc.constantFrom(WIREGUARD_PORT, WIREGUARD_PORT, 700, 40_000),
    fc.constantFrom(443, 445, 2049, WIREGUARD_PORT),
    fc.constantFrom(undefined, ...CGROUPS),
  )
  .map(([f, sourcePort, destinationPort, cgroup]) => {
    const hasPorts = f.sourcePort !== undefined && !f.loopback;
    const isRpc = sourcePort !== WIREGUARD_PORT && (sourcePort === 700 || destinationPort === 2049);
    // By UDP the kernel's requests to a tunnel's end go the way of the default where `decide` takes them for the tunnel's.
    const byRpc = hasPorts && isRpc && f.protocol === IPPROTO_TCP;
    return {
      flow: hasPorts ? { ...f, sourcePort, destinationPort } : f,
      // They are made by threads of the kernel's, whose cgroup is the root.
      ...(byRpc ? { cgroup: '/', uid: 0 } : cgroup !== undefined && { cgroup }),
    };
  });
const kernelPolicy: fc.Arbitrary<EffectivePolicy> = fc
  .tuple(policy(false, 'app.kernel'), fc.subarray([...KERNEL_SENDERS]))
  .map(([one, senders]) => ({ ...one, match: senders.map((value) => ({ kind: 'kernel', value, at }) as const) }));

/** A packet of the kernel's is decided as `decide` says, or asked about. */
function compareKernel(pairsWanted: number): { asked: number; reasons: ReadonlyMap<string, number> } {
  let asked = 0;
  let pairs = 0;
  const reasons = new Map<string, number>();
  const property = fc.property(
    world,
    kernelPolicy,
    fc.constantFrom('both', 'programs', 'kernel', 'none'),
    fc.array(ofKernel, { minLength: PACKETS_PER_POLICY, maxLength: PACKETS_PER_POLICY }),
    ({ policySet, facts, host }, added, named, all) => {
      const programs = named === 'both' || named === 'programs' ? policySet.apps : [];
      const w = {
        host,
        policySet: { ...policySet, apps: [...programs, ...(named === 'both' || named === 'kernel' ? [added] : [])] },
        facts: { ...facts, tunnelEnds: TUNNEL_ENDS, wireGuardPorts: [WIREGUARD_PORT] },
      };
      const appIds = new Map(w.policySet.apps.map(({ app }, i) => [app, i + 1]));
      const ruleset = withRelayAlive(compile({ ...w, appIds, nowMs: NOW }).plan.nft);
      const context: DecideContext = { ...w, ...WAITING, index: indexApps(w.policySet), nowMs: NOW };
      for (const { flow: f, cgroup, uid } of all) {
        const decision = decide(context, { kind: 'kernel' }, f);
        const ids = cgroupAncestry(cgroup ?? '/').map((path): [number, bigint] => [
          path.split('/').length - 1,
          CGROUPS.includes(path) ? resolved(path).id : 999n,
        ]);
        const packet: TracePacket = {
          flow: f,
          outDevice: f.loopback ? 'lo' : 'wifi0',
          metaMark: 0x00010000,
          ctMark: 0,
          ctState: 'new',
          ctDirection: 'original',
          ...(cgroup !== undefined && {
            socket: { mark: 0, cgroups: new Map(ids), ...(uid !== undefined && { uid, gid: uid }) },
          }),
        };
        const got = trace(ruleset, packet, ['output']);
        pairs++;
        reasons.set(decision.reason.kind, (reasons.get(decision.reason.kind) ?? 0) + 1);
        if (got.verdict === 'queue') {
          asked++;
          continue;
        }
        // Loopback is the receiver's business, and rules of a cgroup hold there for whatever was made in it.
        if (f.loopback) continue;
        const want = expected(decision);
        const shown = JSON.stringify({
          chains: got.chains,
          decision,
          cgroup,
          ports: [f.sourcePort, f.destinationPort],
        });
        expect(got.verdict, shown).toBe(want.verdict);
        if (want.way === undefined || decision.reason.kind === 'housekeeping') continue;
        expect(((got.ctMark ?? 0) & MARK_WAY) >>> 0, shown).toBe(want.way);
      }
    },
  );
  fc.assert(property, { numRuns: Math.ceil(pairsWanted / PACKETS_PER_POLICY) });
  console.log(`of the kernel: ${pairs} pairs, asked about: ${asked}, ${JSON.stringify([...reasons])}`);
  return { asked: asked / pairs, reasons };
}

describe('trace(compile(policy), packet)', () => {
  it('equals decide(policy, packet) for what the kernel itself sends, or asks', () => {
    const { asked, reasons } = compareKernel(PAIRS / 4);
    expect(asked).toBeLessThan(0.9);
    for (const kind of ['rule', 'otherwise', 'tunnel', 'kernel'])
      expect(reasons.get(kind), kind).toBeGreaterThan(PAIRS / 400);
  });

  it('equals decide(policy, packet), and queues only for a listed reason', () => {
    const { share, told, shared, redirected } = compare(sender, 'output', PAIRS);
    expect(redirected.onLoopback).toBeGreaterThan(PAIRS / 200);
    expect(redirected.elsewhere).toBeGreaterThan(PAIRS / 200);
    const minimum = { accept: 0.25, reject: 0.1, drop: 0.05, queue: 0.05 };
    for (const [verdict, least] of Object.entries(minimum))
      expect(share[verdict as keyof Share], verdict).toBeGreaterThan(least);
    expect(share.queue).toBeLessThan(0.5);
    expect(told).toBeGreaterThan(0.3);
    expect(shared).toBeGreaterThan(0.005);
  });

  it('equals decide(policy, packet) for what comes in', () => {
    const { share, told } = compare(incoming, 'input', PAIRS);
    expect(share.accept).toBeGreaterThan(0.3);
    expect(share.reject).toBeGreaterThan(0.08);
    expect(share.queue).toBeGreaterThan(0.05);
    expect(share.queue).toBeLessThan(0.55);
    expect(told).toBeGreaterThan(0.1);
  });

  it('equals decide(policy, packet) for what containers send through this machine', () => {
    const { share, untouched } = compareForwarded(PAIRS);
    expect(share.accept).toBeGreaterThan(0.2);
    expect(share.reject).toBeGreaterThan(0.1);
    expect(share.drop).toBeGreaterThan(0.05);
    expect(share.queue).toBeGreaterThan(0.01);
    expect(share.queue).toBeLessThan(0.3);
    expect(untouched).toBeGreaterThan(PAIRS / 20);
  });
});
