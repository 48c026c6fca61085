import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../net/address.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import type { ConntrackEntry } from '../netlink/conntrack.ts';
import {
  APP_INBOUND,
  APP_NONE,
  APP_SERVED,
  APP_UNKNOWN,
  UPLINK_INBOUND,
  UPLINK_LOCAL,
  UPLINK_NONE,
  UPLINK_SYSTEM,
  wayMark,
} from '../plan/reserved.ts';
import type { DecideContext } from '../policy/decide.ts';
import type { EffectivePolicy } from '../policy/effective-policy.ts';
import type { UplinkState } from '../policy/facts.ts';
import { indexApps } from '../policy/match-app.ts';
import type { Destination, Duration, Existing, Uplink, Verb, Via } from '../policy/model.ts';
import type { ChangedPolicies } from './changed-policies.ts';
import { type LiveFlowsInput, sweepFlows } from './live-flows.ts';

const at = { file: '/etc/pointsman/policies/a.yaml', line: 1, column: 1 };
const WIFI = 1;
const CELLULAR = 2;
const MAIL = 7;
const CHAT = 8;

const address = (text: string) => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};

function entry(appId: number, way: number, to = '203.0.113.9'): ConntrackEntry {
  const [source, destination] = [address('10.9.1.2'), address(to)];
  const original = { protocol: IPPROTO_TCP, source, destination, sourcePort: 40_000, destinationPort: 993 };
  const reply = { ...original, source: destination, destination: source, sourcePort: 993, destinationPort: 40_000 };
  return { original, reply, id: 1, mark: (wayMark(way) | appId) >>> 0, zone: 0, status: 0 };
}

const requiring = (type: Uplink['properties']['type']): Via => ({
  require: { type: [type] },
  prefer: {},
  avoid: {},
  prohibit: {},
  else: 'block',
  at,
});

const everything: Destination = { text: '*', target: { kind: 'any' }, at };

function policy(app: string, verb: Verb, via?: Via, to = everything): EffectivePolicy {
  const rule = { to: [to], do: verb, at, layer: 'administrator' as const, ...(via !== undefined && { via }) };
  const otherwise = { value: { do: 'deny' as const, at }, layer: 'administrator' as const };
  return { app, match: [], rules: [rule], otherwise, files: [] };
}

function uplink(name: string, type: Uplink['properties']['type']): Uplink {
  const properties = { type, metered: false, roaming: false, trusted: false, encrypted: false };
  return { name, device: name, priority: 100, properties, gateways: {}, at };
}

const state = (name: string, id: number, up: boolean): UplinkState => ({
  name,
  id,
  device: name,
  up,
  v4: up,
  v6: up,
  addresses: [],
  onLink: [],
  gateways: {},
  ...(up && { deviceIndex: id }),
});

interface World {
  readonly apps: readonly EffectivePolicy[];
  readonly default?: Verb;
  /** Nobody may connect. */
  readonly acceptsNobody?: true;
  readonly cellularUp?: boolean;
  readonly wifiUp?: boolean;
  readonly names?: DecideContext['facts']['names'];
  readonly changed?: ChangedPolicies['apps'];
  readonly rematched?: readonly string[];
  readonly isStart?: boolean;
  readonly lost?: readonly string[];
}

function input(world: World): LiveFlowsInput {
  const policySet = {
    apps: world.apps,
    systemDefault: {
      otherwise: { do: world.default ?? 'allow', at },
      unknown: { do: 'allow' as const, at },
      whenAway: 'closed' as const,
      ...(world.acceptsNobody && { accept: { from: [], at } }),
    },
    uplinks: [uplink('wifi', 'wifi'), uplink('cellular', 'cellular')],
  };
  const uplinks = [state('wifi', WIFI, world.wifiUp ?? true), state('cellular', CELLULAR, world.cellularUp ?? true)];
  return {
    appIds: new Map([
      ['mail', MAIL],
      ['chat', CHAT],
    ]),
    changed: {
      apps: world.changed ?? 'everyone',
      rematched: new Set(world.rematched),
      isStart: world.isStart ?? false,
      facts: false,
      lostAddresses: new Set(world.lost),
    },
    context: {
      policySet,
      index: indexApps(policySet),
      facts: {
        uplinks,
        onLink: [],
        resolvers: [],
        names: world.names ?? new Map(),
        users: new Map(),
        groups: new Map(),
        packages: new Map(),
        containers: new Map(),
      },
      nowMs: 0,
      unknownNames: 'queue',
    },
  };
}

const isEnded = (flow: ConntrackEntry, world: World): boolean => sweepFlows([flow], input(world)).ended.length === 1;
const isAsked = (flow: ConntrackEntry, world: World): boolean => sweepFlows([flow], input(world)).asked.length === 1;

describe('sweepFlows', () => {
  it('sweepFlows ends what the policy now denies or drops, and keeps what it allows', () => {
    const flow = entry(MAIL, UPLINK_SYSTEM);
    expect(isEnded(flow, { apps: [policy('mail', 'deny')] })).toBe(true);
    expect(isEnded(flow, { apps: [policy('mail', 'drop')] })).toBe(true);
    expect(isEnded(flow, { apps: [policy('mail', 'allow')] })).toBe(false);
  });

  it('sweepFlows leaves flows of applications alone whose policy did not change', () => {
    const world = { apps: [policy('mail', 'deny'), policy('chat', 'deny')], changed: new Set(['chat']) };
    expect(isEnded(entry(MAIL, UPLINK_SYSTEM), world)).toBe(false);
    expect(isEnded(entry(CHAT, UPLINK_SYSTEM), world)).toBe(true);
  });

  it('sweepFlows decides anew what user-mode networking sent, whatever policy changed', () => {
    const denying: EffectivePolicy = {
      ...policy('chat', 'deny'),
      match: [{ kind: 'exec', value: '/usr/bin/chat', at }],
    };
    const world = { apps: [denying], changed: new Set(['chat']) };
    expect(isAsked(entry(APP_SERVED, UPLINK_SYSTEM), world)).toBe(true);
    expect(isEnded(entry(APP_SERVED, WIFI), world)).toBe(true);
    expect(isAsked(entry(APP_SERVED, UPLINK_SYSTEM), { ...world, changed: new Set() })).toBe(false);
    expect(isEnded(entry(APP_SERVED, WIFI), { apps: [{ ...denying, ...policy('chat', 'allow') }] })).toBe(false);
  });

  it('sweepFlows ends flows by an uplink that the policy no longer permits', () => {
    const apps = [policy('mail', 'allow', requiring('cellular'))];
    expect(isEnded(entry(MAIL, WIFI), { apps })).toBe(true);
    expect(isEnded(entry(MAIL, UPLINK_SYSTEM), { apps })).toBe(true);
    expect(isEnded(entry(MAIL, CELLULAR), { apps })).toBe(false);
  });

  it('sweepFlows keeps flows whose uplink is down: that is the network, not the policy', () => {
    const apps = [policy('mail', 'allow', requiring('cellular'))];
    expect(isEnded(entry(MAIL, CELLULAR), { apps, cellularUp: false })).toBe(false);
  });

  it('sweepFlows keeps a flow by a permitted uplink although another one would be chosen now', () => {
    const wish: Via = { ...requiring('wifi'), require: {}, prefer: { type: ['wifi'] } };
    expect(isEnded(entry(MAIL, CELLULAR), { apps: [policy('mail', 'allow', wish)] })).toBe(false);
  });

  it('sweepFlows tells a remembered address of a name from others, and waits for names it does not know', () => {
    const name: Destination = { text: 'imap.example.org', target: { kind: 'name', name: 'imap.example.org' }, at };
    const apps = [policy('mail', 'allow', undefined, name)];
    const expiresAtMs = Number.POSITIVE_INFINITY;
    const names = new Map([
      ['imap.example.org', { known: true as const, addresses: [{ address: address('203.0.113.9'), expiresAtMs }] }],
    ]);
    expect(isEnded(entry(MAIL, UPLINK_SYSTEM), { apps, names })).toBe(false);
    expect(isEnded(entry(MAIL, UPLINK_SYSTEM, '203.0.113.66'), { apps, names })).toBe(true);
    expect(isEnded(entry(MAIL, UPLINK_SYSTEM), { apps })).toBe(false);
  });

  it('sweepFlows holds flows without a policy, or of one that has gone, to the default', () => {
    const flow = entry(APP_NONE, UPLINK_SYSTEM);
    expect(isEnded(flow, { apps: [], default: 'deny' })).toBe(true);
    expect(isEnded(entry(99, UPLINK_SYSTEM), { apps: [], default: 'deny', changed: new Set(['gone']) })).toBe(true);
  });

  it('sweepFlows asks again about flows without an owner, and those of others, once a policy gets other programs', () => {
    const world = { apps: [policy('mail', 'deny')], changed: new Set(['mail']), rematched: ['mail'] };
    for (const way of [UPLINK_SYSTEM, UPLINK_LOCAL]) {
      for (const appId of [APP_NONE, APP_UNKNOWN, MAIL, 99]) expect(isAsked(entry(appId, way), world)).toBe(true);
      expect(isAsked(entry(CHAT, way), { ...world, apps: [...world.apps, policy('chat', 'allow')] })).toBe(false);
    }
    expect(isAsked(entry(APP_NONE, UPLINK_SYSTEM), { apps: world.apps, isStart: true })).toBe(true);
    expect(isAsked(entry(MAIL, UPLINK_SYSTEM), { apps: world.apps, isStart: true })).toBe(false);
    expect(isAsked(entry(APP_NONE, UPLINK_SYSTEM), { apps: world.apps, changed: new Set(['mail']) })).toBe(false);
  });

  it('sweepFlows judges a flow by an uplink by the application that it has, whoever else may own it now', () => {
    const world = { apps: [policy('mail', 'deny')], rematched: ['mail'] };
    expect(sweepFlows([entry(MAIL, WIFI)], input(world))).toMatchObject({ ended: [{}], asked: [] });
  });

  it('sweepFlows leaves what came in alone, whatever changes', () => {
    const world = { apps: [], default: 'deny' as const, rematched: ['gone'], isStart: true };
    expect(sweepFlows([entry(APP_INBOUND, UPLINK_SYSTEM)], input(world))).toEqual({
      ended: [],
      asked: [],
      moved: [],
      permitted: [],
    });
  });

  it.each([
    ['tcp', IPPROTO_TCP, false],
    ['udp', IPPROTO_UDP, true],
  ] as const)('sweepFlows ends what came in and is not accepted any more: of %s', (_name, protocol, isOver) => {
    const cameIn = entry(MAIL, UPLINK_INBOUND);
    const world: World = { apps: [policy('mail', 'allow')], acceptsNobody: true };
    expect(isEnded({ ...cameIn, original: { ...cameIn.original, protocol } }, world)).toBe(isOver);
    expect(isEnded({ ...cameIn, original: { ...cameIn.original, protocol } }, { apps: world.apps })).toBe(false);
  });

  it.each([
    ['out', WIFI, 'allow', false, true],
    ['out', WIFI, 'deny', false, false],
    ['in', UPLINK_INBOUND, 'deny', false, true],
    ['in', UPLINK_INBOUND, 'allow', true, false],
  ] as const)(
    'sweepFlows has datagrams begin anew that were refused, went %s (%i), where policies permit them again: %s',
    (_direction, way, verb, acceptsNobody, isPermitted) => {
      const refused = entry(MAIL, UPLINK_NONE);
      const world: World = { apps: [policy('mail', verb)], ...(acceptsNobody && { acceptsNobody }) };
      const sweep = (changed: World['changed'], refusedMark: LiveFlowsInput['refusedMark']) =>
        sweepFlows([refused], {
          ...input({ ...world, ...(changed !== undefined && { changed }) }),
          ...(refusedMark !== undefined && { refusedMark }),
        }).permitted.length;
      expect(sweep('everyone', () => ({ appId: MAIL, way }))).toBe(isPermitted ? 1 : 0);
      expect(sweep(new Set(['chat']), () => ({ appId: MAIL, way }))).toBe(0);
      expect(sweep('everyone', () => undefined)).toBe(0);
    },
  );

  it('sweepFlows passes over flows that have ended already, and loopback', () => {
    expect(isEnded(entry(MAIL, UPLINK_NONE), { apps: [policy('mail', 'deny')] })).toBe(false);
    expect(isEnded(entry(MAIL, UPLINK_LOCAL, '127.0.0.1'), { apps: [policy('mail', 'deny')] })).toBe(false);
  });
});

describe('sweepFlows of policies that move connections', () => {
  const preferWifi: Via = { ...requiring('wifi'), require: {}, prefer: { type: ['wifi'] } };
  const moving = (existing: Existing, duration: Duration = 'short', via = preferWifi): EffectivePolicy => ({
    ...policy('mail', 'allow', via),
    existing: { value: existing, layer: 'administrator', at },
    duration: { value: duration, layer: 'administrator', at },
  });
  /** Nothing but the network has changed. */
  const isMoved = (one: EffectivePolicy, way: number, up: { readonly wifi: boolean; readonly cellular: boolean }) => {
    const { changed, ...rest } = input({
      apps: [one],
      wifiUp: up.wifi,
      cellularUp: up.cellular,
      changed: new Set(),
    });
    const swept = sweepFlows([entry(MAIL, way)], { ...rest, changed: { ...changed, facts: true } });
    expect([swept.ended, swept.asked]).toEqual([[], []]);
    return swept.moved.length === 1;
  };
  const both = { wifi: true, cellular: true };
  const noWifi = { wifi: false, cellular: true };
  const none = { wifi: false, cellular: false };

  it.each([
    // A better one is there; its own is down; there is no other; and of one that is where it belongs.
    ['keep', 'short', false, false, false],
    ['drain', 'short', false, true, true],
    ['abort', 'short', true, true, true],
    ['abort', 'long', false, true, true],
    ['drain', 'long', false, true, true],
  ] as const)('sweepFlows moves flows by existing: %s, duration: %s', (existing, duration, better, down, alone) => {
    const one = moving(existing, duration);
    expect(isMoved(one, CELLULAR, both)).toBe(better);
    expect(isMoved(one, WIFI, noWifi)).toBe(down);
    expect(isMoved(one, WIFI, none)).toBe(alone);
    expect(isMoved(one, WIFI, both)).toBe(false);
    expect(isMoved(one, CELLULAR, noWifi)).toBe(false);
  });

  it('sweepFlows moves flows that are to be blocked where their uplink is down', () => {
    expect(isMoved(moving('drain', 'short', requiring('wifi')), WIFI, noWifi)).toBe(true);
    expect(isMoved(moving('keep', 'short', requiring('wifi')), WIFI, noWifi)).toBe(false);
  });

  it('sweepFlows leaves flows alone for which no uplink was chosen', () => {
    for (const way of [UPLINK_SYSTEM, UPLINK_LOCAL, UPLINK_INBOUND, UPLINK_NONE])
      expect(isMoved(moving('abort'), way, noWifi)).toBe(false);
  });

  it('sweepFlows ends what the policy no longer permits, whatever its existing says', () => {
    const apps = [moving('abort', 'short', requiring('cellular'))];
    expect(sweepFlows([entry(MAIL, WIFI)], input({ apps }))).toMatchObject({ ended: [{}], moved: [] });
  });

  it.each([
    ['keep', 0],
    ['drain', 1],
    ['abort', 1],
  ] as const)(
    'sweepFlows has flows begin anew whose address is lost while their uplink works: %s',
    (existing, moved) => {
      const on = entry(MAIL, WIFI);
      const own = on.reply.destination;
      const given = input({ apps: [moving(existing)], changed: new Set(), lost: [formatAddress(own)] });
      const sweep = (part: Partial<UplinkState>) => {
        const uplinks = given.context.facts.uplinks.map((one) => (one.id === WIFI ? { ...one, ...part } : one));
        const context = { ...given.context, facts: { ...given.context.facts, uplinks } };
        return sweepFlows([on], { ...given, context }).moved.length;
      };
      expect(sweep({})).toBe(moved);
      // It is back since, or goes on for what began with it.
      expect([sweep({ addresses: [own] }), sweep({ deprecated: [own] })]).toEqual([0, 0]);
    },
  );

  it('sweepFlows moves flows off an uplink whose health has failed while another will do', () => {
    const { context, ...rest } = input({ apps: [moving('drain')], changed: new Set() });
    const uplinks = context.facts.uplinks.map((one) =>
      one.id === CELLULAR ? { ...one, health: { v4: { state: 'failed' as const } } } : one,
    );
    const failed = { ...rest, context: { ...context, facts: { ...context.facts, uplinks } } };
    expect(sweepFlows([entry(MAIL, CELLULAR)], failed).moved).toHaveLength(1);
  });
});
