/** Policies whose rules differ in their way, and the packets that meet them. */
import fc from 'fast-check';
import type { Address, Family } from '../../src/net/address.ts';
import type { Sending } from '../../src/plan/machine/packet-way.ts';
import type { EffectivePolicy, EffectiveRule, PolicySet } from '../../src/policy/effective-policy.ts';
import type { Destination, PropertyConstraint, SourceLocation, Uplink, Verb, Via } from '../../src/policy/model.ts';
import { address, LINKS, prefix, UPLINK_LINKS } from './generated-machine.ts';

export const at: SourceLocation = { file: 'generated.yaml', line: 1, column: 1 };
export const APP = 'app.a';
export const EXECUTABLE = '/usr/bin/app';
export const APP_UID = 1000;

/** Public, private behind a router, connected, and by global addresses connected. */
export const DESTINATIONS: readonly Address[] = [
  '203.0.113.10',
  '203.0.113.20',
  '198.51.100.7',
  '10.44.0.9',
  '192.168.7.9',
  '192.168.50.9',
  '2001:db8:a::10',
  '2001:db8:a::20',
  '2001:db8:b::7',
  'fd44::9',
  'fd07::9',
  '2001:db8:7::9',
  'fd50::9',
].map(address);
/** The last ones are on links. */
export const RESOLVERS: readonly Address[] = ['9.9.9.9', '2620:fe::9', '192.168.7.1', 'fd50::fe'].map(address);

const PREFIXES = [
  '203.0.113.10',
  '203.0.113.0/24',
  '198.51.100.0/24',
  '10.0.0.0/8',
  '192.168.0.0/16',
  '0.0.0.0/1',
  '2001:db8:a::10',
  '2001:db8::/32',
  'fd00::/8',
  '9.9.9.9',
].map(prefix);

const target: fc.Arbitrary<Destination['target']> = fc.oneof(
  { weight: 2, arbitrary: fc.constant({ kind: 'any' } as const) },
  { weight: 4, arbitrary: fc.constantFrom(...PREFIXES).map((p) => ({ kind: 'prefix', prefix: p }) as const) },
  { weight: 1, arbitrary: fc.constant({ kind: 'on-link' } as const) },
  { weight: 1, arbitrary: fc.constantFrom('lan', 'internet').map((group) => ({ kind: 'group', group }) as const) },
);
const destination: fc.Arbitrary<Destination> = fc
  .tuple(target, fc.constantFrom(undefined, undefined, undefined, 'tcp', 'udp', 'icmp'))
  .map(([t, protocol]) => ({
    text: JSON.stringify([t, protocol], (_, value) => (typeof value === 'bigint' ? String(value) : value)),
    target: t,
    at,
    ...(protocol !== undefined && { protocol }),
  }));

const constraint: fc.Arbitrary<PropertyConstraint> = fc.constantFrom<PropertyConstraint>(
  {},
  {},
  { metered: true },
  { encrypted: true },
  { type: ['wifi'] },
  { type: ['cellular', 'vpn'] },
  { name: ['wifi'] },
  { name: ['vpn'] },
);
export const via: fc.Arbitrary<Via> = fc
  .record({
    require: constraint,
    prefer: constraint,
    avoid: constraint,
    prohibit: constraint,
    else: fc.constantFrom<Via['else']>('block', 'block', 'any'),
    share: fc.constantFrom(undefined, undefined, undefined, undefined, undefined, 'connection', 'destination', 'app'),
    dice: fc.nat(5),
    local: fc.constantFrom<Pick<Via, 'local'>>({}, {}, {}, { local: 'via' }, { local: 'via' }, { local: 'block' }),
  })
  .map(({ prohibit, share, dice, local, ...rest }): Via => {
    if (share !== undefined)
      return { require: {}, prefer: {}, avoid: {}, prohibit: {}, else: rest.else, share, ...local, at } as Via;
    return { ...rest, ...local, prohibit: dice === 0 ? prohibit : {}, at };
  });

const rule: fc.Arbitrary<EffectiveRule> = fc
  .tuple(
    fc.array(destination, { minLength: 1, maxLength: 3 }),
    fc.constantFrom<Verb>('allow', 'allow', 'allow', 'allow', 'deny', 'drop'),
    fc.option(via, { nil: undefined, freq: 4 }),
  )
  .map(([to, what, way]) => ({
    to,
    do: what,
    at,
    layer: 'administrator',
    ...(what === 'allow' && way !== undefined && { via: way }),
  }));

const uplink = (
  name: string,
  type: Uplink['properties']['type'],
  { priority, metered, encrypted }: { priority: number; metered: boolean; encrypted: boolean },
): Uplink => ({
  name,
  device: UPLINK_LINKS.find(([one]) => one === name)?.[1].device ?? '',
  priority,
  properties: { type, metered, roaming: false, trusted: false, encrypted },
  gateways: {},
  at,
});
const UPLINKS: readonly Uplink[] = [
  uplink('wifi', 'wifi', { priority: 100, metered: false, encrypted: false }),
  uplink('cell', 'cellular', { priority: 100, metered: true, encrypted: false }),
  uplink('vpn', 'vpn', { priority: 90, metered: false, encrypted: true }),
];

/** `isMarked`: sockets carry their program's number; else the kernel tells by user. */
export const policySet = (isMarked: boolean): fc.Arbitrary<PolicySet> =>
  fc
    .record({
      rules: fc.array(rule, { maxLength: 4 }),
      otherwise: fc.constantFrom<Verb | undefined>('allow', 'allow', 'allow', 'deny', undefined),
      via: fc.option(via, { nil: undefined, freq: 1 }),
      systemVia: fc.option(via, { nil: undefined, freq: 1 }),
      systemDo: fc.constantFrom<Verb>('allow', 'allow', 'allow', 'deny'),
    })
    .map(({ rules, otherwise, via: own, systemVia, systemDo }) => {
      const policy: EffectivePolicy = {
        app: APP,
        match: [isMarked ? { kind: 'exec', value: EXECUTABLE, at } : { kind: 'user', value: `${APP_UID}`, at }],
        rules,
        files: [],
        ...(otherwise !== undefined && {
          otherwise: { layer: 'administrator', value: { do: otherwise, at } } as const,
        }),
        ...(own !== undefined && { via: { layer: 'administrator', value: own } as const }),
      };
      return {
        apps: [policy],
        uplinks: UPLINKS,
        systemDefault: {
          otherwise: { do: systemDo, at },
          unknown: { do: 'deny', at },
          whenAway: 'closed',
          ...(systemVia !== undefined && { via: systemVia }),
        },
      };
    });

/** Loopback, an own address, connected, private behind a router, public. */
const TRANSLATIONS: readonly Address[] = [
  '127.0.0.1',
  '192.168.50.2',
  '192.168.50.9',
  '10.44.0.9',
  '198.51.100.9',
  '::1',
  'fd50::2',
  'fd50::9',
  'fd44::9',
  '2001:db8:b::9',
].map(address);

export type Protocol = 'TCP' | 'connected UDP' | 'unconnected UDP' | 'ICMP' | 'query';
export const PROTOCOLS: readonly Protocol[] = ['TCP', 'connected UDP', 'unconnected UDP', 'ICMP', 'query'];

export interface Packet {
  readonly protocol: Protocol;
  readonly sending: Sending;
  readonly destination: Address;
  readonly destinationPort: number;
  /** Of the application, or of a program that nobody names. */
  readonly isApps: boolean;
  /** Of the socket: one of IPv6 may send by IPv4. */
  readonly socketFamily: Family;
  readonly bound?: Address;
  /** Its program chose it. */
  readonly device?: string;
  /** Somebody's rule at dstnat gives it this destination. */
  readonly translatedTo?: Address;
  /** It was made under another policy: marked for this uplink. */
  readonly markedFor?: number;
}

const SENDING: Record<Exclude<Protocol, 'query'>, Sending> = {
  TCP: 'tcp',
  'connected UDP': 'udp connected',
  'unconnected UDP': 'udp unconnected',
  ICMP: 'icmp',
};

export const packet: fc.Arbitrary<Packet> = fc
  .record({
    protocol: fc.constantFrom(...PROTOCOLS),
    family: fc.constantFrom<Family>(4, 6),
    to: fc.nat(100),
    querySending: fc.constantFrom<Sending>('tcp', 'udp connected', 'udp unconnected'),
    dice: fc.integer({ min: 0, max: 99 }),
    boundTo: fc.nat(100),
    translation: fc.nat(50),
    isApps: fc.integer({ min: 0, max: 4 }).map((n) => n > 0),
  })
  .map(({ protocol, family, to, querySending, dice, boundTo, isApps, translation }) => {
    const translations = TRANSLATIONS.filter((one) => one.family === family);
    const isQuery = protocol === 'query';
    const here = (isQuery ? RESOLVERS : DESTINATIONS).filter((one) => one.family === family);
    const isTranslated = translation < translations.length;
    // What is translated to this machine finds no way by a device.
    const hasDevice = dice >= 25 && dice < 40 && !isQuery && !isTranslated;
    const own = LINKS.flatMap(({ v4, v6 }) => (family === 4 ? v4 : v6).addresses).map(address);
    return {
      protocol,
      sending: isQuery ? querySending : SENDING[protocol],
      destination: here[to % here.length] as Address,
      destinationPort: isQuery ? 53 : 443,
      isApps,
      socketFamily: family === 4 && dice >= 90 ? 6 : family,
      ...(dice < 20 && { bound: own[boundTo % own.length] as Address }),
      ...(hasDevice && { device: LINKS[boundTo % LINKS.length]?.device ?? '' }),
      ...(isTranslated && { translatedTo: translations[translation] as Address }),
      ...(dice >= 20 && dice < 25 && { markedFor: (boundTo % 3) + 1 }),
    };
  });
