import { describe, expect, it } from 'vitest';
import { type Address, parseAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import type { Facts, ForwardedDevice } from '../policy/facts.ts';
import type { SourceLocation, Verb } from '../policy/model.ts';
import { compile } from './compile.ts';
import type { Host } from './host.ts';
import type { Ruleset } from './nft/ruleset.ts';
import { type TracePacket, trace } from './nft/trace.ts';
import {
  APP_UNKNOWN,
  CODE_DENIED,
  forwardedMark,
  MARK_ASK_AGAIN,
  MARK_FOREIGN,
  MARK_OURS,
  UPLINK_FIRST,
  UPLINK_SYSTEM,
  wayMark,
} from './reserved.ts';

const at: SourceLocation = { file: 'test.yaml', line: 1, column: 1 };
const WEB = 'c'.repeat(64);
const DB = 'd'.repeat(64);
const scope = (id: string): string => `/system.slice/docker-${id}.scope`;
const VETH: ForwardedDevice = { device: 'veth1', deviceIndex: 11, cgroups: [scope(WEB)] };
const APP_WEB = 1;
const FOREIGN = 0x00010000;

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

const policy = (app: string, otherwise: Verb, more: Partial<EffectivePolicy> = {}): EffectivePolicy => ({
  app,
  match: [{ kind: 'container', value: app, at }],
  rules: [],
  files: [],
  otherwise: { layer: 'administrator', value: { do: otherwise, at } },
  ...more,
});

interface Options {
  readonly apps?: readonly EffectivePolicy[];
  readonly forwarded?: readonly ForwardedDevice[];
  readonly queue?: Host['queue'];
  readonly whenAway?: PolicySet['systemDefault']['whenAway'];
}

function rulesetOf({
  apps = [policy('web', 'allow')],
  forwarded = [VETH],
  queue = 'nft',
  whenAway = 'closed',
}: Options = {}): Ruleset {
  const facts: Facts = {
    uplinks: [],
    onLink: [],
    resolvers: [],
    names: new Map(),
    users: new Map(),
    groups: new Map(),
    packages: new Map(),
    containers: new Map([
      [WEB, ['web']],
      [DB, ['db']],
    ]),
    forwarded,
  };
  const systemDefault = { otherwise: { do: 'allow', at }, unknown: { do: 'allow', at }, whenAway } as const;
  const appIds = new Map(apps.map(({ app }, i) => [app, i + APP_WEB]));
  const policySet = { apps, uplinks: [], systemDefault };
  return compile({ policySet, facts, host: { cgroups: [], queue }, appIds, nowMs: 0 }).plan.nft;
}

const FLOW: Flow = {
  protocol: 6,
  source: address('172.17.0.2'),
  destination: address('203.0.113.9'),
  sourcePort: 50_000,
  destinationPort: 80,
  loopback: false,
};

const packet = (more: Partial<TracePacket> = {}): TracePacket => ({
  flow: FLOW,
  outDevice: '',
  inDevice: 'veth1',
  metaMark: FOREIGN,
  ctMark: 0,
  ctState: 'new',
  ctDirection: 'original',
  ...more,
});

const ingressChains = ({ chains }: Ruleset) => [...chains.values()].filter(({ hook }) => hook?.hook === 'ingress');
const FROM_CONTAINER = ['ingress', 'prerouting'] as const;

describe('compileForwarded()', () => {
  it('makes no chain where no container with a policy has a device', () => {
    const unnamed = { ...VETH, cgroups: [scope('e'.repeat(64))] };
    for (const forwarded of [[], [unnamed]]) {
      const { chains } = rulesetOf({ forwarded });
      expect([...chains.values()].map(({ hook }) => hook?.hook)).not.toContain('prerouting');
      expect([...chains.keys()]).not.toContain('via_system');
    }
  });

  it('names a chain anew where a device of the same name is another one', () => {
    const names = [11, 12].map((deviceIndex) => ingressChains(rulesetOf({ forwarded: [{ ...VETH, deviceIndex }] })));
    expect(names[0]?.[0]?.name).not.toBe(names[1]?.[0]?.name);
  });

  it('puts no more devices into a chain than the kernel takes', () => {
    const forwarded = Array.from({ length: 300 }, (_, i) => ({ ...VETH, device: `veth${i}`, deviceIndex: i + 2 }));
    const chains = ingressChains(rulesetOf({ forwarded }));
    expect(chains.map(({ hook }) => hook?.devices?.length)).toEqual([256, 44]);
  });

  it('refuses everything of containers that share a namespace and have different policies', () => {
    const apps = [policy('db', 'allow'), policy('web', 'allow')];
    const ruleset = rulesetOf({ apps, forwarded: [{ ...VETH, cgroups: [scope(WEB), scope(DB)] }] });
    expect(trace(ruleset, packet(), FROM_CONTAINER)).toMatchObject({ verdict: 'reject', metaMark: APP_UNKNOWN });
  });

  it('lets one policy hold for containers that share a namespace with others of none or of the same', () => {
    const shared = { ...VETH, cgroups: [scope(WEB), scope(DB)] };
    const both = policy('web', 'deny', {
      match: [
        { kind: 'container', value: 'web', at },
        { kind: 'container', value: 'db', at },
      ],
    });
    for (const apps of [[policy('web', 'deny')], [both]])
      expect(trace(rulesetOf({ apps, forwarded: [shared] }), packet(), FROM_CONTAINER).verdict).toBe('reject');
  });

  it('lets what answers somebody pass, and leaves the mark of that connection as it is', () => {
    const ruleset = rulesetOf({ apps: [policy('web', 'deny')] });
    const answer = packet({ ctState: 'established', ctDirection: 'reply', ctMark: wayMark(UPLINK_FIRST) });
    expect(trace(ruleset, answer, FROM_CONTAINER)).toMatchObject({
      verdict: 'accept',
      metaMark: FOREIGN,
      ctMark: wayMark(UPLINK_FIRST),
    });
  });

  it('decides a connection that was there before the rules', () => {
    const ruleset = rulesetOf({ apps: [policy('web', 'deny')] });
    const older = packet({ ctState: 'established', flow: { ...FLOW, midstream: true } });
    expect(trace(ruleset, older, FROM_CONTAINER).verdict).toBe('reject');
  });

  it('decides what is asked about again, without asking: the device goes on telling whose it is', () => {
    const again = packet({ ctState: 'established', ctMark: MARK_ASK_AGAIN });
    expect(trace(rulesetOf({ queue: 'xtables' }), again, FROM_CONTAINER)).toMatchObject({
      verdict: 'accept',
      ctMark: (wayMark(UPLINK_SYSTEM) | APP_WEB) >>> 0,
    });
  });

  it('does not look at packets that come by other devices', () => {
    const ruleset = rulesetOf({ apps: [policy('web', 'deny')] });
    const others = trace(ruleset, packet({ inDevice: 'veth2' }), FROM_CONTAINER);
    expect(others).toMatchObject({ verdict: 'accept', metaMark: FOREIGN, ctMark: 0 });
  });
});

describe('the verdict on what a container sends', () => {
  const answered = (mark: number, options: Options = {}) =>
    trace(rulesetOf(options), packet({ metaMark: (mark | FOREIGN) >>> 0 }), ['prerouting']);

  it('is remembered, and its number taken out of the packet', () => {
    expect(answered((wayMark(UPLINK_SYSTEM) | APP_WEB) >>> 0)).toMatchObject({
      verdict: 'accept',
      ctMark: (wayMark(UPLINK_SYSTEM) | APP_WEB) >>> 0,
      metaMark: (MARK_OURS | FOREIGN) >>> 0,
    });
  });

  it('is carried out where it refuses', () => {
    expect(answered((MARK_OURS | CODE_DENIED) >>> 0).verdict).toBe('reject');
  });

  it('is what the files say where nobody was there to give one', () => {
    const to = [{ text: 'a.example.org', target: { kind: 'name', name: 'a.example.org' }, at }] as const;
    const apps = [policy('web', 'allow', { rules: [{ to, do: 'allow', at, layer: 'administrator' }] })];
    const unanswered = (whenAway: 'open' | 'closed') =>
      trace(rulesetOf({ apps, whenAway }), packet(), FROM_CONTAINER, { isAway: true });
    expect(unanswered('closed').verdict).toBe('reject');
    expect(unanswered('open')).toMatchObject({ verdict: 'accept', metaMark: FOREIGN, ctMark: APP_WEB });
  });

  it('cannot be asked for by xtables: the packet is dropped, to come again', () => {
    const to = [{ text: 'a.example.org', target: { kind: 'name', name: 'a.example.org' }, at }] as const;
    const apps = [policy('web', 'allow', { rules: [{ to, do: 'allow', at, layer: 'administrator' }] })];
    expect(trace(rulesetOf({ apps }), packet(), FROM_CONTAINER).verdict).toBe('queue');
    expect(trace(rulesetOf({ apps, queue: 'xtables' }), packet(), FROM_CONTAINER).verdict).toBe('drop');
  });
});

describe('a container’s connection to this machine', () => {
  const accepting = policy('server', 'allow', {
    match: [{ kind: 'cgroup', value: '/server', at }],
    accept: { layer: 'administrator', value: { from: [], at } },
  });
  const arriving = (more: Partial<TracePacket> = {}): TracePacket =>
    packet({ flow: { ...FLOW, inbound: true }, socket: { cgroups: new Map() }, ...more });
  const decided = (wayMark(UPLINK_SYSTEM) | APP_WEB) >>> 0;

  it('has to be accepted, though it has been decided', () => {
    const ruleset = rulesetOf({ apps: [accepting, policy('web', 'allow')] });
    const arrived = arriving({ ctMark: decided, metaMark: (MARK_OURS | FOREIGN) >>> 0 });
    expect(trace(ruleset, arrived, ['input']).chains).toContain('identify_inbound');
    const next = { ...arrived, ctState: 'established' } as const;
    expect(trace(ruleset, next, ['input']).chains).not.toContain('identify_inbound');
  });

  it('arrives without our mark', () => {
    const arrived = arriving({ ctMark: decided, metaMark: wayMark(UPLINK_FIRST) | FOREIGN });
    expect(trace(rulesetOf(), arrived, ['input']).metaMark).toBe(FOREIGN & MARK_FOREIGN);
  });

  it('is answered by its address, whatever way it was given, unless it has ended', () => {
    const answer = packet({ outDevice: 'br0', ctState: 'established', ctDirection: 'reply' });
    const mark = wayMark(UPLINK_FIRST);
    expect(trace(rulesetOf(), { ...answer, ctMark: mark }).chains).toEqual(['output', 'via_source', 'verdict']);
    expect(trace(rulesetOf(), { ...answer, ctMark: wayMark(127) }).verdict).toBe('reject');
  });

  it('is marked by an application’s number only where it comes in', () => {
    const result = trace(rulesetOf(), packet({ metaMark: 0 }), ['ingress']);
    expect(result.metaMark).toBe(forwardedMark(APP_WEB));
  });
});
