import { describe, expect, it } from 'vitest';
import { type Address, parseAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { type DecideContext, decide } from './decide.ts';
import { describeReason } from './describe-decision.ts';
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import { indexApps } from './match-app.ts';
import type { SourceLocation, Verb } from './model.ts';

const at: SourceLocation = { file: 'test.yaml', line: 1, column: 1 };
const WEB = 'a'.repeat(64);
const DB = 'b'.repeat(64);
const scope = (id: string): string => `/system.slice/docker-${id}.scope`;

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

const policy = (app: string, kind: 'container' | 'unit' | 'cgroup', value: string, verb: Verb): EffectivePolicy => ({
  app,
  match: [{ kind, value, at }],
  rules: [],
  files: [],
  otherwise: { layer: 'administrator', value: { do: verb, at } },
});

function context(apps: readonly EffectivePolicy[]): DecideContext {
  const deny = { do: 'deny', at } as const;
  const policySet: PolicySet = {
    apps,
    uplinks: [],
    systemDefault: { otherwise: deny, unknown: deny, whenAway: 'closed' },
  };
  const containers = new Map([
    [WEB, ['web']],
    [DB, ['db']],
  ]);
  const nothing = { names: new Map(), users: new Map(), groups: new Map(), packages: new Map() };
  const facts = { uplinks: [], onLink: [], resolvers: [], ...nothing, containers };
  return { policySet, index: indexApps(policySet), facts, nowMs: 0, unknownNames: 'queue' };
}

const FLOW: Flow = {
  protocol: 6,
  source: address('172.17.0.2'),
  destination: address('203.0.113.9'),
  sourcePort: 50_000,
  destinationPort: 443,
  loopback: false,
  forwarded: true,
};

const decided = (apps: readonly EffectivePolicy[], ...ids: readonly string[]) =>
  decide(context(apps), { kind: 'container', cgroups: ids.map(scope) }, FLOW);

describe('decide() about what a container sends', () => {
  it.each(['web', WEB, WEB.slice(0, 12)])('goes by the policy that names it %s', (name) => {
    expect(decided([policy('web', 'container', name, 'allow')], WEB)).toMatchObject({ verdict: 'accept', app: 'web' });
    expect(decided([policy('web', 'container', name, 'drop')], WEB)).toMatchObject({ verdict: 'drop', app: 'web' });
  });

  it('leaves a container alone that no policy names, whatever the system default says', () => {
    const decision = decided([policy('web', 'container', 'web', 'allow')], DB);
    expect(decision).toEqual({ verdict: 'accept', way: { kind: 'system' }, reason: { kind: 'forwarded' } });
    expect(describeReason(decision)).toBe('it is forwarded for a container that no policy names');
  });

  it('goes by no policy for the cgroup or unit that the container is here', () => {
    const apps = [
      policy('slice', 'cgroup', '/system.slice', 'drop'),
      policy('unit', 'unit', `docker-${WEB}.scope`, 'drop'),
    ];
    expect(decided(apps, WEB).verdict).toBe('accept');
  });

  it('refuses containers that share a namespace and have different policies, and says which', () => {
    const apps = [policy('db', 'container', 'db', 'allow'), policy('web', 'container', 'web', 'allow')];
    const decision = decided(apps, WEB, DB);
    expect(decision).toMatchObject({ verdict: 'reject', cause: 'denied' });
    expect(describeReason(decision)).toBe('blocked: containers of db and of web share a network namespace');
  });

  it('goes by the one policy in a shared namespace', () => {
    expect(decided([policy('web', 'container', 'web', 'deny')], DB, WEB)).toMatchObject({
      verdict: 'reject',
      app: 'web',
    });
  });

  it('lets DHCP pass before any policy', () => {
    const dhcp: Flow = {
      ...FLOW,
      protocol: 17,
      sourcePort: 68,
      destinationPort: 67,
      destination: address('255.255.255.255'),
    };
    const owner = { kind: 'container', cgroups: [scope(WEB)] } as const;
    const { reason } = decide(context([policy('web', 'container', 'web', 'drop')]), owner, dhcp);
    expect(reason.kind).toBe('housekeeping');
  });

  it('leaves a container alone that no policy names, whatever it sends', () => {
    const dhcp: Flow = { ...FLOW, protocol: 17, sourcePort: 68, destinationPort: 67 };
    const down = { name: 'cell', id: 1, device: 'cell0', up: false, v4: false, v6: false };
    const of = context([policy('web', 'container', 'web', 'drop')]);
    const facts = {
      ...of.facts,
      uplinks: [{ ...down, addresses: [], onLink: [], gateways: {} }],
      dhcpServers: [{ device: 'cell0', address: FLOW.destination }],
    };
    const sends = (id: string) => decide({ ...of, facts }, { kind: 'container', cgroups: [scope(id)] }, dhcp);
    expect(sends(DB)).toMatchObject({ verdict: 'accept', reason: { kind: 'forwarded' } });
    expect(sends(WEB)).toMatchObject({ verdict: 'reject', reason: { kind: 'housekeeping' } });
  });
});
