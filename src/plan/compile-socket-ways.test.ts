import { describe, expect, it } from 'vitest';
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import type { Facts, UplinkState } from '../policy/facts.ts';
import { indexApps } from '../policy/match-app.ts';
import type { Uplink, Verb, Via } from '../policy/model.ts';
import { compileSocketWays } from './compile-socket-ways.ts';
import type { Host } from './host.ts';
import { MARK_UPLINK_SHIFT, PROGRAM_NONE_FIRST } from './reserved.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };
const NONE = PROGRAM_NONE_FIRST + 7;
const [WIFI, VPN] = [1 << MARK_UPLINK_SHIFT, 2 << MARK_UPLINK_SHIFT];

const uplink = (name: string): Uplink => ({
  name,
  device: `${name}0`,
  priority: 100,
  properties: { type: 'other', metered: false, roaming: false, trusted: false, encrypted: false },
  gateways: {},
  at,
});
const state = (name: string, id: number, families: { v4: boolean; v6: boolean }): UplinkState => ({
  name,
  id,
  device: `${name}0`,
  deviceIndex: id + 1,
  up: true,
  ...families,
  addresses: [],
  onLink: [],
  gateways: {},
});
const over = (name: string, otherwise: Via['else'] = 'block'): Via => ({
  require: { name: [name] },
  prefer: {},
  avoid: {},
  prohibit: {},
  else: otherwise,
  at,
});

interface AppParts {
  readonly via?: Via;
  readonly otherwise?: Verb;
  readonly rules?: readonly (readonly [Verb, Via?])[];
  readonly children?: true;
}

function app({ via, otherwise, rules = [], children }: AppParts): EffectivePolicy {
  return {
    app: 'mail',
    match: [{ kind: 'exec', value: '/usr/bin/mail', at }],
    rules: rules.map(([verb, way]) => ({
      to: [{ text: '*', target: { kind: 'any' } as const, at }],
      do: verb,
      at,
      layer: 'administrator' as const,
      ...(way !== undefined && { via: way }),
    })),
    files: [],
    ...(via !== undefined && { via: { value: via, layer: 'administrator' } as const }),
    ...(otherwise !== undefined && { otherwise: { value: { do: otherwise, at }, layer: 'administrator' } as const }),
    ...(children && { children: { value: { are: 'same', at }, layer: 'administrator' } as const }),
  };
}

interface WorldParts {
  readonly system?: Verb;
  readonly systemVia?: Via;
  readonly states?: readonly UplinkState[];
  readonly programs?: Host['programs'] | 'absent';
  readonly noDefault?: Host['noDefault'];
}

const BOTH = { v4: true, v6: true };
const NUMBERS = new Map([
  ['exec:/usr/bin/mail', 5],
  ['children:mail', 6],
]);

function waysOf(policy: EffectivePolicy, world: WorldParts = {}): Record<number, { v4: number; v6: number }> {
  const {
    system = 'allow',
    systemVia,
    states = [state('wifi', 1, BOTH), state('vpn', 2, { v4: true, v6: false })],
  } = world;
  const policySet: PolicySet = {
    apps: [policy],
    systemDefault: {
      otherwise: { do: system, at },
      unknown: { do: 'deny', at },
      whenAway: 'closed',
      ...(systemVia !== undefined && { via: systemVia }),
    },
    uplinks: [uplink('wifi'), uplink('vpn')],
  };
  const facts: Facts = {
    uplinks: states,
    onLink: [],
    resolvers: [],
    names: new Map(),
    users: new Map(),
    groups: new Map(),
    packages: new Map(),
    containers: new Map(),
  };
  const { programs = { numbers: NUMBERS, none: NONE } } = world;
  const host: Host = {
    cgroups: [],
    queue: 'nft',
    ...(programs !== 'absent' && { programs }),
    ...(world.noDefault && { noDefault: world.noDefault }),
  };
  return Object.fromEntries(compileSocketWays(policySet, indexApps(policySet), facts, host));
}

describe('compileSocketWays', () => {
  it('compileSocketWays() has the way of the application, for it and for what it starts', () => {
    expect(waysOf(app({ via: over('wifi') }))).toEqual({ 5: { v4: WIFI, v6: WIFI } });
    expect(waysOf(app({ via: over('wifi'), children: true }))).toEqual({
      5: { v4: WIFI, v6: WIFI },
      6: { v4: WIFI, v6: WIFI },
    });
  });

  it('compileSocketWays() chooses for each family, and has no bits for one without a way', () => {
    expect(waysOf(app({ via: over('vpn') }))).toEqual({ 5: { v4: VPN, v6: 0 } });
    expect(waysOf(app({ via: over('vpn', 'any') }))).toEqual({ 5: { v4: VPN, v6: WIFI } });
  });

  it('compileSocketWays() leaves out whose uplinks are away, and who goes the system’s way', () => {
    expect(waysOf(app({ via: over('wifi') }), { states: [state('vpn', 2, BOTH)] })).toEqual({});
    expect(waysOf(app({}))).toEqual({});
  });

  it('compileSocketWays() takes the way that most destinations have, where each has one: that of the rest before that of rules', () => {
    const byRule = { rules: [['allow', over('wifi')] as const] };
    expect(waysOf(app(byRule), { systemVia: over('vpn', 'any') })[5]).toEqual({ v4: VPN, v6: WIFI });
    // The rest is refused: what is left are the rules.
    for (const refused of [
      waysOf(app({ ...byRule, otherwise: 'deny' }), { systemVia: over('vpn') }),
      waysOf(app(byRule), { system: 'deny', systemVia: over('vpn') }),
    ])
      expect(refused[5]).toEqual({ v4: WIFI, v6: WIFI });
    expect(waysOf(app({ ...byRule, via: over('vpn') }))[5]).toEqual({ v4: VPN, v6: WIFI });
    const denying = app({ rules: [['deny'], ['allow', over('vpn')]], otherwise: 'deny' });
    expect(waysOf(denying)[5]).toEqual({ v4: VPN, v6: 0 });
  });

  it('compileSocketWays() has none where anything that is allowed goes by the system’s route', () => {
    const byRule = { rules: [['allow', over('wifi')] as const] };
    expect(waysOf(app(byRule))).toEqual({});
    expect(waysOf(app({ ...byRule, otherwise: 'allow' }), { systemVia: over('vpn') })[5]).toBeUndefined();
    const otherRule = { rules: [['allow'], ['allow', over('wifi')]] as const, otherwise: 'deny' as const };
    expect(waysOf(app(otherRule))).toEqual({});
    // A wish falls back to the system's route.
    const wish = { ...over('none', 'any'), require: {}, prefer: { name: ['vpn'] } };
    const onlyVpn = { states: [state('wifi', 1, { v4: true, v6: false })] };
    expect(waysOf(app({ rules: [['allow', over('wifi')]], otherwise: 'allow', via: wish }), onlyVpn)[5]).toEqual({
      v4: WIFI,
      v6: 0,
    });
  });

  it('compileSocketWays() has the way of rules beside the system’s, where the system has no route that a hook could change', () => {
    const byRule = { rules: [['allow', over('wifi')] as const], otherwise: 'allow' as const };
    expect(waysOf(app(byRule), { noDefault: [6] })[5]).toEqual({ v4: 0, v6: WIFI });
  });

  it('compileSocketWays() has the way of programs that nobody names, unless they may go nowhere', () => {
    expect(waysOf(app({}), { systemVia: over('wifi') })[NONE]).toEqual({ v4: WIFI, v6: WIFI });
    expect(waysOf(app({}), { systemVia: over('wifi'), system: 'deny' })).toEqual({});
  });

  it('compileSocketWays() has none without marks, without uplinks, and for a program without a number', () => {
    const parts = app({ via: over('wifi') });
    expect(waysOf(parts, { programs: 'absent' })).toEqual({});
    expect(waysOf(parts, { states: [] })).toEqual({});
    expect(waysOf(parts, { programs: { numbers: new Map(), none: NONE } })).toEqual({});
  });
});
