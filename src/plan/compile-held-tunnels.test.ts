import { describe, expect, it } from 'vitest';
import { type Address, parseAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import { type DecideContext, decide } from '../policy/decide.ts';
import type { PolicySet } from '../policy/effective-policy.ts';
import type { Facts, HeldTunnel, UplinkState } from '../policy/facts.ts';
import type { ProcessOwner } from '../policy/identity.ts';
import { indexApps } from '../policy/match-app.ts';
import type { Uplink, Via } from '../policy/model.ts';
import { intoOwnTunnels } from '../policy/own-tunnel-policies.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { compile } from './compile.ts';
import { type TracePacket, trace } from './nft/trace.ts';
import { UPLINK_SYSTEM, wayMark } from './reserved.ts';

const at = { file: '/etc/pointsman/default.yaml', line: 3, column: 1 };
const policyAt = { file: '/etc/pointsman/policies/vpn.yaml', line: 5, column: 1 };
const address = (text: string): Address => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const SERVERS = ['203.0.113.30', '2001:db8::30'].map(address);
const EXECUTABLE = '/usr/sbin/openvpn';
const PID = 4711;
const UID = 993;
const PORT = 40_000;
const VPN_ID = 2;

const viaVpn = (where: Via['at']): Via => ({
  require: { type: ['vpn'] },
  prefer: {},
  avoid: {},
  prohibit: {},
  else: 'block',
  local: 'via',
  at: where,
});
const state = (name: string, id: number, device: string): UplinkState => ({
  name,
  id,
  device,
  deviceIndex: id + 1,
  up: true,
  v4: true,
  v6: true,
  addresses: [],
  onLink: [],
  gateways: {},
});
const uplink = (name: string, device: string, type: 'wifi' | 'vpn'): Uplink => ({
  name,
  device,
  priority: 1,
  properties: { type, metered: false, roaming: false, trusted: false, encrypted: false },
  gateways: {},
  at,
});
const TUNNEL: HeldTunnel = {
  device: 'tun0',
  carries: ['tun0'],
  holders: [{ pid: PID, executable: EXECUTABLE, uids: [UID, 0], cgroup: { path: '/vpn.service', id: 77n, level: 1 } }],
  sockets: [{ protocol: IPPROTO_UDP, port: PORT }],
};
const factsWith = (heldTunnels: readonly HeldTunnel[], device = 'tun0'): Facts => ({
  uplinks: [state('wifi', 1, 'wifi0'), state('vpn', VPN_ID, device)],
  onLink: [],
  resolvers: [],
  names: new Map(),
  users: new Map(),
  groups: new Map(),
  packages: new Map(),
  containers: new Map(),
  heldTunnels,
});
const setOf = (apps: PolicySet['apps'], via: Via | undefined, device = 'tun0'): PolicySet => ({
  apps,
  uplinks: [uplink('wifi', 'wifi0', 'wifi'), uplink('vpn', device, 'vpn')],
  profiles: [],
  systemDefault: { ...builtinSystemDefault, ...(via !== undefined && { via }) },
});
const NAMED: PolicySet['apps'] = [
  {
    app: 'vpn',
    match: [{ kind: 'exec', value: EXECUTABLE, at: policyAt }],
    rules: [],
    via: { value: viaVpn(policyAt), layer: 'administrator' },
    files: [],
  },
];
const planOf = (policySet: PolicySet, facts: Facts) =>
  compile({
    policySet,
    facts,
    host: { queue: 'nft', cgroups: [] },
    index: indexApps(policySet),
    appIds: new Map([['vpn', 1]]),
    nowMs: 0,
  }).plan.nft;
const contextOf = (policySet: PolicySet, facts: Facts): DecideContext => ({
  policySet,
  index: indexApps(policySet),
  facts,
  nowMs: 0,
  unknownNames: 'no-match',
});
const flowTo = (destination: Address, sourcePort = PORT, protocol = IPPROTO_UDP): Flow => ({
  protocol,
  source: address(destination.family === 4 ? '192.168.10.2' : 'fd09::2'),
  destination,
  sourcePort,
  destinationPort: 1194,
  loopback: false,
});
const packet = (flow: Flow, uid: number, cgroup: bigint, more: Partial<TracePacket> = {}): TracePacket => ({
  flow,
  outDevice: 'wifi0',
  metaMark: 0,
  ctMark: 0,
  ctState: 'new',
  ctDirection: 'original',
  socket: { mark: 0, cgroups: new Map([[1, cgroup]]), uid, gid: uid },
  ...more,
});
const owner = (pid: number): ProcessOwner => ({ kind: 'process', pid, uid: UID, executable: EXECUTABLE });

describe('what carries a tun or tap device', () => {
  const byDefault = setOf([], viaVpn(at));

  it.each(SERVERS)('decide() gives it the system’s routes where the default’s via takes its tunnel', (server) => {
    const context = contextOf(byDefault, factsWith([TUNNEL]));
    const own = { verdict: 'accept', way: { kind: 'system' }, reason: { kind: 'tunnel' } };
    // By who he is, and by the socket that it inherited or has closed.
    expect(decide(context, owner(PID), flowTo(server, 50_000))).toMatchObject(own);
    expect(decide(context, owner(PID + 1), flowTo(server))).toMatchObject(own);
    expect(decide(context, { kind: 'unknown', because: 'closed' }, flowTo(server))).toMatchObject(own);
    const others = { verdict: 'accept', way: { kind: 'uplink', name: 'vpn' } };
    expect(decide(context, owner(PID + 1), flowTo(server, 50_000))).toMatchObject(others);
    expect(decide(context, owner(PID + 1), flowTo(server, PORT, IPPROTO_TCP))).toMatchObject(others);
  });

  it.each(SERVERS)('decide() refuses it where a policy that names it takes its tunnel', (server) => {
    const policySet = setOf(NAMED, undefined);
    const facts = factsWith([TUNNEL]);
    expect(decide(contextOf(policySet, facts), owner(PID), flowTo(server))).toMatchObject({
      verdict: 'reject',
      cause: 'own-tunnel',
      tunnel: 'tun0',
      app: 'vpn',
      choice: { via: policyAt },
    });
    expect(intoOwnTunnels({ policySet, index: indexApps(policySet), machine: { facts } })).toEqual([
      { app: 'vpn', pid: PID, device: 'tun0', via: policyAt },
    ]);
    expect(intoOwnTunnels({ policySet: byDefault, index: indexApps(byDefault), machine: { facts } })).toEqual([]);
  });

  it('decide() keeps it out of what stands on its device, and lets it go by another uplink', () => {
    const onTap = { ...TUNNEL, device: 'tap0', carries: ['br0', 'tap0'] };
    const [server = address('::')] = SERVERS;
    const bridged = contextOf(setOf([], viaVpn(at), 'br0'), factsWith([onTap], 'br0'));
    expect(decide(bridged, owner(PID), flowTo(server))).toMatchObject({ way: { kind: 'system' } });
    const other = contextOf(setOf([], viaVpn(at), 'tun1'), factsWith([TUNNEL], 'tun1'));
    expect(decide(other, owner(PID), flowTo(server))).toMatchObject({ way: { kind: 'uplink', name: 'vpn' } });
  });

  it.each(SERVERS)('compileHeldTunnels() asks about its sockets, and about those that it has just made', (server) => {
    const plan = planOf(byDefault, factsWith([TUNNEL]));
    const verdict = (port: number, uid: number, cgroup: bigint) =>
      trace(plan, packet(flowTo(server, port), uid, cgroup), ['output']);
    expect(verdict(PORT, 1000, 5n).verdict).toBe('queue');
    expect(verdict(50_000, UID, 77n).verdict).toBe('queue');
    for (const [uid, cgroup] of [
      [1000, 77n],
      [UID, 5n],
    ] as const) {
      const got = verdict(50_000, uid, cgroup);
      expect(got.verdict).toBe('accept');
      expect(((got.ctMark ?? 0) & 0xff000000) >>> 0).toBe(wayMark(VPN_ID));
    }
  });

  it.each(SERVERS)('compileHeldTunnels() asks by the user alone where its holder is in no cgroup', (server) => {
    const [{ cgroup: _, ...anywhere }] = TUNNEL.holders as readonly [HeldTunnel['holders'][number]];
    const plan = planOf(byDefault, factsWith([{ ...TUNNEL, holders: [anywhere] }]));
    const verdict = (uid: number) => trace(plan, packet(flowTo(server, 50_000), uid, 5n), ['output']).verdict;
    expect([verdict(UID), verdict(0), verdict(1000)]).toEqual(['queue', 'queue', 'accept']);
  });

  it.each(SERVERS)('compileHeldTunnels() lets nothing of its sockets leave by its device', (server) => {
    const plan = planOf(byDefault, factsWith([TUNNEL]));
    const leaves = (port: number) =>
      trace(plan, packet(flowTo(server, port), UID, 77n, { outDevice: 'tun0', metaMark: wayMark(VPN_ID) }), [
        'postrouting',
      ]).verdict;
    expect([leaves(PORT), leaves(50_000)]).toEqual(['drop', 'accept']);
  });

  it('compileHeldTunnels() makes nothing where no via leads there', () => {
    const plan = planOf(setOf([], undefined), factsWith([TUNNEL]));
    expect([...plan.chains.keys()].filter((name) => name.includes('tunnel'))).not.toContain('tunnel_holders');
    const got = trace(plan, packet(flowTo(SERVERS[0] ?? address('::')), UID, 77n), ['output']);
    expect(got.verdict).toBe('accept');
    expect(((got.ctMark ?? 0) & 0xff000000) >>> 0).toBe(wayMark(UPLINK_SYSTEM));
  });
});
