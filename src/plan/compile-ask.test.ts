import { describe, expect, it } from 'vitest';
import { type Address, parseAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import type { EffectivePolicy } from '../policy/effective-policy.ts';
import type { Facts } from '../policy/facts.ts';
import type { SourceLocation } from '../policy/model.ts';
import { compile } from './compile.ts';
import type { Host } from './host.ts';
import { type TracePacket, trace } from './nft/trace.ts';
import { PROGRAM_FIRST, PROGRAM_NONE_FIRST, programMark, UPLINK_FIRST, wayMark } from './reserved.ts';

const at: SourceLocation = { file: 'test.yaml', line: 1, column: 1 };
const FOREIGN = 0x00010000;
/** A socket's mark as BPF makes it, where its program is known: never of one that is asked about. */
const USUAL_WAY = (wayMark(UPLINK_FIRST) | programMark(PROGRAM_FIRST)) >>> 0;

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

/** Programs are told by their executables, so that a socket without a number is asked about, in both directions. */
function rulesetOf(queue: Host['queue'], whenAway: 'open' | 'closed') {
  const app: EffectivePolicy = {
    app: 'curl',
    match: [{ kind: 'exec', value: '/usr/bin/curl', at }],
    rules: [],
    files: [],
    otherwise: { layer: 'administrator', value: { do: 'allow', at } },
    accept: { layer: 'administrator', value: { from: [], at } },
  };
  const facts: Facts = {
    uplinks: [],
    onLink: [],
    resolvers: [],
    names: new Map(),
    users: new Map(),
    groups: new Map(),
    packages: new Map(),
    containers: new Map(),
  };
  const systemDefault = { otherwise: { do: 'allow', at }, unknown: { do: 'allow', at }, whenAway } as const;
  const programs = { numbers: new Map([['exec:/usr/bin/curl', PROGRAM_FIRST]]), none: PROGRAM_NONE_FIRST };
  const { plan } = compile({
    policySet: { apps: [app], uplinks: [], systemDefault },
    facts,
    host: { cgroups: [], queue, programs },
    appIds: new Map([['curl', 1]]),
    nowMs: 0,
  });
  return plan;
}

const flowOf = (protocol: number, inbound = false): Flow => ({
  protocol,
  source: address('192.0.2.1'),
  destination: address('203.0.113.9'),
  ...(protocol === IPPROTO_ICMP ? { icmp: { type: 8, code: 0 } } : { sourcePort: 40_000, destinationPort: 443 }),
  loopback: false,
  ...(inbound && { inbound }),
});

const packetOf = (flow: Flow, metaMark: number): TracePacket => ({
  flow,
  outDevice: flow.inbound === true ? '' : 'wlan0',
  inDevice: 'wlan0',
  metaMark,
  ctMark: 0,
  ctState: 'new',
  ctDirection: 'original',
  socket: { cgroups: new Map(), mark: 0 },
});

const FORMS = (['nft', 'xtables'] as const).flatMap((queue) =>
  (
    [
      ['TCP', IPPROTO_TCP],
      ['UDP', IPPROTO_UDP],
      ['ICMP', IPPROTO_ICMP],
    ] as const
  ).flatMap(([name, protocol]) =>
    (protocol === IPPROTO_ICMP ? ['output'] : ['output', 'input']).map(
      (hook) => [name, hook as 'output' | 'input', queue, protocol] as const,
    ),
  ),
);

describe('askChain', () => {
  it.each(FORMS)(
    'askChain refuses %s in %s while nobody answers the queue of %s and the files say closed',
    (...row) => {
      const [, hook, queue, protocol] = row;
      const packet = packetOf(flowOf(protocol, hook === 'input'), FOREIGN);
      const away = trace(rulesetOf(queue, 'closed').nft, packet, [hook], { isAway: true });
      expect(away.chains).toContain('ask');
      expect(away).toMatchObject({
        verdict: 'reject',
        rejectWith: protocol === IPPROTO_TCP ? 'tcp reset' : 'icmpx admin-prohibited',
      });
    },
  );

  it.each(FORMS)(
    'askChain lets %s in %s pass while nobody answers the queue of %s and the files say open',
    (...row) => {
      const [, hook, queue, protocol] = row;
      const packet = packetOf(flowOf(protocol, hook === 'input'), FOREIGN);
      const away = trace(rulesetOf(queue, 'open').nft, packet, [hook], { isAway: true });
      expect(away.chains).toContain('ask');
      expect(away).toMatchObject({ verdict: 'accept', metaMark: FOREIGN, ctMark: 0 });
    },
  );

  it('askChain leaves nothing of the way that a socket was marked for where nobody answers and the files say closed', () => {
    const mark = (USUAL_WAY | FOREIGN) >>> 0;
    const packet = { ...packetOf(flowOf(IPPROTO_UDP), mark), ctMark: FOREIGN };
    for (const queue of ['nft', 'xtables'] as const) {
      const away = trace(rulesetOf(queue, 'closed').nft, packet, ['output'], { isAway: true });
      expect(away.verdict).toBe('reject');
    }
  });

  it.each(['closed', 'open'] as const)(
    'askChain goes past the queue of xtables, too, where the files say %s',
    (whenAway) => {
      expect(rulesetOf('xtables', whenAway).xtablesQueue).toMatchObject({ bypass: true });
    },
  );
});
