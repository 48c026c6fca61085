import { describe, expect, it } from 'vitest';
import { type Address, parseAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { type DecideContext, decide } from './decide.ts';
import { isQuery, queryVia } from './dns-query.ts';
import { type Facts, NEVER, type UplinkState } from './facts.ts';
import { indexApps } from './match-app.ts';
import { mergePolicies } from './merge.ts';
import { parsePolicyFile, parseUplinkFile } from './parse-file.ts';
import { builtinSystemDefault } from './validate-system-default.ts';

const address = (text: string): Address => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const prefix = (text: string, length: number) => ({ address: address(text), length });

const state = (name: string, id: number): UplinkState => ({
  name,
  id,
  device: name,
  deviceIndex: id,
  up: true,
  v4: true,
  v6: true,
  addresses: [],
  onLink: [],
  gateways: {},
});
const facts: Facts = {
  uplinks: [state('wifi', 1), state('cell', 2)],
  onLink: [prefix('192.168.7.0', 24)],
  resolvers: [address('192.168.7.1')],
  loopbackResolvers: [address('127.0.0.53')],
  names: new Map(),
  users: new Map(),
  groups: new Map(),
  packages: new Map(),
  containers: new Map(),
};

function contextOf(body: string): DecideContext {
  const text = `pointsman: 1\napp: org.example.App\nmatch: [{ exec: /usr/bin/app }]\n${body}`;
  const { policy, diagnostics } = parsePolicyFile('app.yaml', Buffer.from(text));
  if (policy === undefined) throw new Error(JSON.stringify(diagnostics));
  const { apps } = mergePolicies([{ layer: 'administrator', policies: [policy] }]);
  const uplinks = ['wifi', 'cell'].flatMap((name) => {
    const { uplink } = parseUplinkFile(`${name}.yaml`, Buffer.from(`pointsman: 1\nuplink: ${name}\ndevice: ${name}\n`));
    return uplink === undefined ? [] : [uplink];
  });
  const policySet = { apps, uplinks, systemDefault: builtinSystemDefault };
  return { policySet, index: indexApps(policySet), facts, nowMs: 0, unknownNames: 'queue' };
}

const flow = (to: string, port = 53, more: Partial<Flow> = {}): Flow => ({
  source: address('192.168.7.2'),
  destination: address(to),
  protocol: 17,
  sourcePort: 40_000,
  destinationPort: port,
  loopback: to.startsWith('127.'),
  ...more,
});

function wayOf(body: string, to: Flow): string | undefined {
  const decision = decide(contextOf(body), { kind: 'process', pid: 1, uid: 0, executable: '/usr/bin/app' }, to);
  return decision.verdict !== 'accept'
    ? decision.verdict
    : decision.way.kind === 'uplink'
      ? decision.way.name
      : decision.way.kind;
}
const VIA_CELL = 'via: { require: { name: cell } }';

describe('isQuery()', () => {
  it('is a datagram or connection to port 53 of a configured resolver, from this machine', () => {
    expect(isQuery(facts, flow('192.168.7.1'))).toBe(true);
    expect(isQuery(facts, flow('192.168.7.1', 53, { protocol: 6 }))).toBe(true);
    expect(isQuery(facts, flow('127.0.0.53'))).toBe(true);
    expect(isQuery(facts, flow('192.168.7.1', 853))).toBe(false);
    expect(isQuery(facts, flow('192.168.7.9'))).toBe(false);
    expect(isQuery(facts, flow('127.0.0.1'))).toBe(false);
    expect(isQuery(facts, flow('192.168.7.1', 53, { forwarded: true }))).toBe(false);
  });
});

describe('decide() about queries', () => {
  it('takes the way of the application although the resolver is on the local network', () => {
    expect(wayOf(`otherwise: allow\n${VIA_CELL}\n`, flow('192.168.7.1'))).toBe('cell');
    expect(wayOf(`otherwise: allow\n${VIA_CELL}\n`, flow('192.168.7.1', 80))).toBe('local');
    expect(wayOf('otherwise: allow\n', flow('192.168.7.1'))).toBe('system');
  });

  it('takes the way of the application to a resolver on loopback, and of nothing else there', () => {
    expect(wayOf(`otherwise: allow\n${VIA_CELL}\n`, flow('127.0.0.53'))).toBe('cell');
    expect(wayOf(`otherwise: allow\n${VIA_CELL}\n`, flow('127.0.0.53', 80))).toBe('local');
    expect(wayOf('otherwise: allow\n', flow('127.0.0.53'))).toBe('local');
  });

  it('needs no permission for a resolver on loopback, but obeys a rule that names it', () => {
    expect(wayOf(`otherwise: deny\n${VIA_CELL}\n`, flow('127.0.0.53'))).toBe('cell');
    expect(wayOf(`rules: [{ to: 127.0.0.53, do: deny }]\n${VIA_CELL}\n`, flow('127.0.0.53'))).toBe('reject');
    expect(wayOf(`rules: [{ to: "127.0.0.53:53", do: allow }]\n${VIA_CELL}\n`, flow('127.0.0.53'))).toBe('cell');
  });

  it('refuses them where no uplink is permitted', () => {
    expect(wayOf('otherwise: allow\nvia: { require: { name: vpn } }\n', flow('127.0.0.53'))).toBe('reject');
    expect(wayOf('otherwise: allow\nvia: { require: { name: vpn } }\n', flow('192.168.7.1'))).toBe('reject');
  });
});

describe('decide() about names that point at the network itself', () => {
  const INSIDE: Facts['inside'] = [
    { address: address('192.168.7.254'), is: 'gateway' },
    { address: address('192.168.7.2'), is: 'own' },
  ];
  const pointingAt = (body: string, name: string, text: string, to: Flow): string => {
    const addresses = [{ address: address(text), expiresAtMs: NEVER }];
    const names = new Map([[name, { known: true, addresses }]]);
    const context = contextOf(body);
    const withNames = { ...context, facts: { ...facts, names, inside: INSIDE } };
    const owner = { kind: 'process', pid: 1, uid: 0, executable: '/usr/bin/app' } as const;
    const decision = decide(withNames, owner, to);
    return decision.verdict === 'accept' ? `accept by ${decision.way.kind}` : decision.verdict;
  };
  const denied = 'rules:\n  - { to: bad.example, do: deny }\notherwise: allow\n';
  const dropped = 'rules:\n  - { to: [bad.example, other.example], do: drop }\notherwise: allow\n';

  it.each([
    ['the resolver', '192.168.7.1'],
    ['a gateway', '192.168.7.254'],
    ['this machine', '192.168.7.2'],
    ['a multicast group', '224.0.0.251'],
    ['a broadcast address', '192.168.7.255'],
    ['a network’s own address', '192.168.7.0'],
    ['everybody', '255.255.255.255'],
    ['nobody', '0.0.0.0'],
    ['nobody, in IPv6', '::'],
    ['a multicast group of IPv6', 'ff02::fb'],
  ])('does not refuse %s because a refused name has come to point there', (_, text) => {
    expect(pointingAt(denied, 'bad.example', text, flow(text, 80))).toBe('accept by system');
    expect(pointingAt(denied, 'bad.example', '203.0.113.9', flow('203.0.113.9', 80))).toBe('reject');
    const stated = `rules:\n  - { to: "${text.includes(':') ? `[${text}]` : text}", do: deny }\notherwise: allow\n`;
    expect(pointingAt(stated, 'bad.example', text, flow(text, 80))).toBe('reject');
  });

  it('lets no query wait for a name, nor be decided by one', () => {
    expect(pointingAt(dropped, 'bad.example', '203.0.113.9', flow('192.168.7.1'))).toBe('accept by system');
    expect(pointingAt(dropped, 'bad.example', '203.0.113.9', flow('192.168.7.1', 80))).toBe('queue');
    const elsewhere = `rules:\n  - { to: bad.example, do: allow, ${VIA_CELL} }\n  - { to: "*", do: allow }\n`;
    expect(pointingAt(elsewhere, 'bad.example', '192.168.7.9', flow('192.168.7.9', 80))).toBe('accept by local');
    expect(pointingAt('rules:\n  - { to: "*:53", do: deny }\n', 'x', '192.168.7.1', flow('192.168.7.1'))).toBe(
      'reject',
    );
  });

  it('lets a rule about port 53 of a name speak of queries', () => {
    const stated = 'rules:\n  - { to: "dns.example:53", do: allow }\notherwise: deny\n';
    expect(pointingAt(stated, 'dns.example', '192.168.7.1', flow('192.168.7.1'))).toBe('accept by system');
    const stronger = 'rules:\n  - { to: "*:53", do: deny }\n  - { to: dns.example, do: allow }\notherwise: deny\n';
    expect(pointingAt(stronger, 'dns.example', '192.168.7.1', flow('192.168.7.1'))).toBe('reject');
  });
});

describe('queryVia()', () => {
  const viaOf = (body: string) => {
    const { policySet } = contextOf(body);
    return queryVia(policySet.apps[0], builtinSystemDefault)?.require.name;
  };

  it('is that of the first rule that would hold for a resolver on the internet', () => {
    expect(viaOf(`rules:\n  - { to: lan, do: allow }\n  - { to: "*", do: allow, ${VIA_CELL} }\n`)).toEqual(['cell']);
    expect(viaOf(`rules:\n  - { to: internet, do: allow, ${VIA_CELL} }\n`)).toEqual(['cell']);
    expect(viaOf(`rules:\n  - { to: "*:1-100/udp", do: allow, ${VIA_CELL} }\n`)).toEqual(['cell']);
    expect(viaOf(`rules:\n  - { to: "*:443", do: allow, ${VIA_CELL} }\n`)).toBeUndefined();
    expect(viaOf(`rules:\n  - { to: "*:53/tcp", do: allow, ${VIA_CELL} }\n`)).toBeUndefined();
  });

  it('is that of the rule which names a host, since the host is asked for', () => {
    expect(viaOf(`rules:\n  - { to: host.example.org, do: allow, ${VIA_CELL} }\n`)).toEqual(['cell']);
    expect(viaOf('rules:\n  - { to: host.example.org, do: allow }\nvia: { require: { name: wifi } }\n')).toEqual([
      'wifi',
    ]);
  });
});
