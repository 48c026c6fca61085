import { describe, expect, it } from 'vitest';
import { type Address, parseAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import { type DecideContext, decide } from '../policy/decide.ts';
import type { Facts } from '../policy/facts.ts';
import { indexApps } from '../policy/match-app.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { compile } from './compile.ts';
import { type TracePacket, trace } from './nft/trace.ts';
import { APP_KERNEL, MARK_APP, MARK_INSIDE_OVERLAY, MARK_WAY, UPLINK_SYSTEM, wayMark } from './reserved.ts';

const at = { file: '/etc/pointsman/default.yaml', line: 2, column: 1 };
const address = (text: string): Address => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const END4 = address('203.0.113.9');
const END6 = address('2001:db8::9');

const facts: Facts = {
  uplinks: [
    {
      name: 'wifi',
      id: 1,
      device: 'wifi0',
      deviceIndex: 2,
      up: true,
      v4: true,
      v6: true,
      addresses: [address('10.9.0.2')],
      onLink: [],
      gateways: {},
    },
  ],
  onLink: [],
  resolvers: [],
  names: new Map(),
  users: new Map(),
  groups: new Map(),
  packages: new Map(),
  containers: new Map(),
  tunnelEnds: [END4, END6],
};
const policySet = {
  apps: [],
  uplinks: [],
  systemDefault: { ...builtinSystemDefault, otherwise: { do: 'deny' as const, at } },
};
const { plan } = compile({
  policySet,
  facts,
  host: { queue: 'nft', cgroups: [] },
  index: indexApps(policySet),
  appIds: new Map(),
  nowMs: 0,
});
const context: DecideContext = { policySet, index: indexApps(policySet), facts, nowMs: 0, unknownNames: 'no-match' };

const flowTo = (destination: Address, protocol = IPPROTO_UDP): Flow => ({
  protocol,
  source: destination.family === 4 ? address('10.9.0.2') : address('fd09::2'),
  destination,
  sourcePort: 51_820,
  destinationPort: 51_820,
  loopback: false,
});
const packet = (flow: Flow, more: Partial<TracePacket> = {}): TracePacket => ({
  flow,
  outDevice: 'wifi0',
  metaMark: 0x00010000,
  ctMark: 0,
  ctState: 'new',
  ctDirection: 'original',
  ...more,
});
const ofProcess = { socket: { mark: 0, cgroups: new Map(), uid: 1000, gid: 1000 } };
const ofKernel = { kind: 'kernel', sender: 'other' } as const;

describe('compileTunnels()', () => {
  it.each([END4, END6])('compileTunnels() lets pass what no process sends to the other end of a tunnel', (end) => {
    const got = trace(plan.nft, packet(flowTo(end)), ['output']);
    expect(got).toMatchObject({ verdict: 'accept', metaMark: 0x00010000 });
    expect(((got.ctMark ?? 0) & MARK_WAY) >>> 0).toBe(wayMark(UPLINK_SYSTEM));
    expect((got.ctMark ?? 0) & MARK_APP).toBe(APP_KERNEL);
    expect(decide(context, ofKernel, flowTo(end))).toMatchObject({ verdict: 'accept', reason: { kind: 'tunnel' } });
  });

  it('compileTunnels() takes neither a program for the tunnel, nor another host for its end, nor TCP for what it sends', () => {
    const others: readonly TracePacket[] = [
      packet(flowTo(END4), ofProcess),
      packet(flowTo(address('203.0.113.10'))),
      packet(flowTo(END4, IPPROTO_TCP)),
    ];
    const verdicts = others.map((other) => trace(plan.nft, other, ['output']).verdict);
    // What else no process sends is asked about.
    expect(verdicts).toEqual(['reject', 'queue', 'queue']);
    for (const flow of [flowTo(END4, IPPROTO_TCP), flowTo(address('203.0.113.10'))])
      expect(decide(context, ofKernel, flow)).toMatchObject({ verdict: 'accept', reason: { kind: 'kernel' } });
  });

  it('compileTunnels() tells what carries an inner packet by the mark that it leaves with, whosever the socket is', () => {
    const elsewhere = flowTo(address('198.51.100.7'));
    const marked = packet(elsewhere, { ...ofProcess, metaMark: (0x00010000 | MARK_INSIDE_OVERLAY) >>> 0 });
    expect(trace(plan.nft, marked, ['output'])).toMatchObject({ verdict: 'accept', metaMark: 0x00010000 });
    // Somebody else's bits among ours.
    const foreign = packet(elsewhere, { ...ofProcess, metaMark: 0x0001ca6d });
    expect(trace(plan.nft, foreign, ['output']).verdict).toBe('reject');
  });

  it.each([0x1234, 0x0001ca6d, 0x03001234])(
    'compileTunnels() leaves the mark %i of somebody else on what carries a tunnel',
    (mark) => {
      for (const sent of [
        packet(flowTo(END4), { metaMark: mark }),
        packet(flowTo(END6), { ...ofProcess, metaMark: mark }),
      ]) {
        const got = trace(plan.nft, sent, ['output']);
        expect(got).toMatchObject({ verdict: 'accept', metaMark: mark });
        expect((got.ctMark ?? 0) & MARK_APP).toBe(APP_KERNEL);
      }
      const ours = packet(flowTo(END4), { ...ofProcess, metaMark: (0x80000000 | mark) >>> 0 });
      expect(trace(plan.nft, ours, ['output']).verdict).toBe('reject');
    },
  );

  it('compileTunnels() asks about what may be WireGuard’s where a policy names that', () => {
    const { plan: asking } = compile({
      policySet,
      facts,
      host: { queue: 'nft', cgroups: [] },
      index: indexApps({
        ...policySet,
        apps: [{ app: 'wg', match: [{ kind: 'kernel', value: 'wireguard', at }], rules: [], files: [] }],
      }),
      appIds: new Map(),
      nowMs: 0,
    });
    expect(trace(asking.nft, packet(flowTo(END4)), ['output']).verdict).toBe('queue');
    expect(trace(asking.nft, packet(flowTo(END4, 47)), ['output']).verdict).toBe('accept');
  });
});
