import { describe, expect, it } from 'vitest';
import { parseAddress, parsePrefix } from '../net/address.ts';
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import type { EffectivePolicy } from '../policy/effective-policy.ts';
import type { Accept, Match } from '../policy/model.ts';
import { compile } from './compile.ts';
import type { Host } from './host.ts';
import { type TracePacket, trace } from './nft/trace.ts';
import {
  MARK_APP,
  MARK_FOREIGN,
  PROGRAM_DAEMON,
  PROGRAM_NONE_FIRST,
  programMark,
  UPLINK_INBOUND,
  wayMark,
} from './reserved.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };
const NONE = PROGRAM_NONE_FIRST + 1;
const SSHD = 5;
const APP_ID = 9;

const address = (text: string) => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const fromLan = (): Accept => {
  const prefix = parsePrefix('10.0.0.0/8');
  if (prefix === undefined) throw new Error();
  return {
    from: [{ text: '10.0.0.0/8', target: { kind: 'prefix', prefix }, ports: [{ first: 22, last: 22 }], at }],
    at,
  };
};

interface PlanParts {
  readonly match?: readonly Match[];
  readonly own?: Accept;
  readonly system?: Accept;
  readonly isMarked?: boolean;
  readonly cgroups?: Host['cgroups'];
}

function rulesetOf({ match, own, system, isMarked = true, cgroups = [] }: PlanParts) {
  const policy: EffectivePolicy = {
    app: 'sshd',
    match: match ?? [{ kind: 'exec', value: '/usr/sbin/sshd', at }],
    rules: [],
    files: [],
    ...(own !== undefined && { accept: { value: own, layer: 'administrator' } as const }),
  };
  const deny = { do: 'deny', at } as const;
  const allow = { do: 'allow', at } as const;
  const { plan } = compile({
    policySet: {
      apps: [policy],
      systemDefault: { otherwise: allow, unknown: deny, whenAway: 'closed', ...(system && { accept: system }) },
      uplinks: [],
    },
    facts: {
      uplinks: [],
      onLink: [],
      resolvers: [],
      names: new Map(),
      users: new Map(),
      groups: new Map(),
      packages: new Map(),
      containers: new Map(),
    },
    host: {
      queue: 'nft',
      cgroups,
      ...(isMarked && { programs: { numbers: new Map([['exec:/usr/sbin/sshd', SSHD]]), none: NONE } }),
    },
    appIds: new Map([['sshd', APP_ID]]),
    nowMs: 0,
  });
  return plan.nft;
}

interface Incoming {
  readonly from?: string;
  readonly port?: number;
  readonly sourcePort?: number;
  readonly protocol?: number;
  /** `none`: nobody listens. */
  readonly mark?: number | 'none';
  readonly cgroup?: bigint;
  readonly packet?: Partial<TracePacket>;
  readonly midstream?: true;
}

function arrives(ruleset: ReturnType<typeof rulesetOf>, incoming: Incoming = {}) {
  const {
    from = '10.0.0.9',
    port = 22,
    sourcePort = 40_000,
    protocol = IPPROTO_TCP,
    mark = programMark(SSHD),
  } = incoming;
  const { cgroup, packet = {}, midstream } = incoming;
  return trace(
    ruleset,
    {
      flow: {
        protocol,
        source: address(from),
        destination: address('192.0.2.1'),
        sourcePort,
        destinationPort: port,
        loopback: false,
        inbound: true,
        ...(midstream && { midstream }),
      },
      outDevice: '',
      inDevice: 'eth0',
      metaMark: 0,
      ctMark: 0,
      ctState: 'new',
      ctDirection: 'original',
      ...(mark !== 'none' && { socket: { mark, cgroups: new Map(cgroup === undefined ? [] : [[1, cgroup]]) } }),
      ...packet,
    },
    ['input'],
  );
}

const own = fromLan();
const elsewhere = '192.0.2.9';

describe('compileInbound', () => {
  it('compileInbound() makes nothing where nobody says anything about connections that come in', () => {
    const { chains, maps } = rulesetOf({});
    expect([...chains.keys()].filter((name) => name.includes('inbound') || name === 'input')).toEqual([]);
    expect([...maps.keys()].filter((name) => name.startsWith('inbound'))).toEqual([]);
  });

  it('compileInbound() lets in whom the program’s application accepts, refuses others, and notes who decided', () => {
    const ruleset = rulesetOf({ own });
    const accepted = arrives(ruleset);
    expect(accepted.verdict).toBe('accept');
    expect(accepted.ctMark).toBe((wayMark(UPLINK_INBOUND) | APP_ID) >>> 0);
    expect(arrives(ruleset, { from: elsewhere }).verdict).toBe('reject');
    expect(arrives(ruleset, { port: 80 }).verdict).toBe('reject');
    expect(((arrives(ruleset, { from: elsewhere }).ctMark ?? 0) & MARK_APP) >>> 0).toBe(APP_ID);
  });

  it('compileInbound() asks about sockets of which the kernel is not sure, and not where nobody listens', () => {
    const ruleset = rulesetOf({ own });
    for (const mark of [0, programMark(77), programMark(NONE + 1)])
      expect(arrives(ruleset, { mark, from: elsewhere }).verdict).toBe('queue');
    expect(arrives(ruleset, { mark: 'none', from: elsewhere }).verdict).toBe('accept');
  });

  it('compileInbound() has the system default decide for programs that nobody names, not for the daemon', () => {
    const ruleset = rulesetOf({ system: own });
    expect(arrives(ruleset, { mark: programMark(NONE) }).verdict).toBe('accept');
    expect(arrives(ruleset, { mark: programMark(NONE), from: elsewhere }).verdict).toBe('reject');
    expect(arrives(ruleset, { from: elsewhere }).verdict).toBe('reject');
    expect(arrives(ruleset, { mark: programMark(PROGRAM_DAEMON), from: elsewhere }).verdict).toBe('accept');
    // The application says nobody: that goes before the default.
    const nobody = rulesetOf({ system: own, own: { from: [], at } });
    expect(arrives(nobody).verdict).toBe('reject');
    expect(arrives(nobody, { mark: programMark(NONE) }).verdict).toBe('accept');
  });

  it('compileInbound() tells by the cgroup where no program is named, and asks where a user is', () => {
    const cgroups = [{ path: '/ssh', id: 44n, level: 1 }];
    const match = [{ kind: 'cgroup', value: '/ssh', at }] as const;
    const unmarked = rulesetOf({ own, match, cgroups, isMarked: false });
    expect(arrives(unmarked, { cgroup: 44n, from: elsewhere, mark: 0 }).verdict).toBe('reject');
    expect(arrives(unmarked, { cgroup: 45n, from: elsewhere, mark: 0 }).verdict).toBe('accept');
    // Of a cgroup that may have come to be there since.
    const marked = rulesetOf({ own, match, cgroups });
    expect(arrives(marked, { cgroup: 45n, from: elsewhere, mark: 0 }).verdict).toBe('queue');
    const known = programMark(NONE);
    expect(arrives(marked, { cgroup: 44n, from: elsewhere, mark: known }).verdict).toBe('reject');
    expect(arrives(marked, { cgroup: 45n, from: elsewhere, mark: known }).verdict).toBe('accept');
    const byUser = rulesetOf({ own, match: [{ kind: 'user', value: '0', at }] });
    expect(arrives(byUser, { from: elsewhere }).verdict).toBe('queue');
    expect(arrives(byUser, { from: elsewhere, mark: 'none' }).verdict).toBe('accept');
  });

  it('compileInbound() asks about every socket where sockets are not marked and programs are named', () => {
    const ruleset = rulesetOf({ own, isMarked: false });
    expect(arrives(ruleset).verdict).toBe('queue');
    expect(arrives(ruleset, { mark: 'none' }).verdict).toBe('accept');
  });

  it.each<[string, Incoming]>([
    ['of loopback', { packet: { inDevice: 'lo' } }],
    ['of a connection that was decided', { packet: { ctMark: wayMark(UPLINK_INBOUND), ctState: 'established' } }],
    ['that answers', { packet: { ctDirection: 'reply', ctState: 'established' } }],
    ['that the kernel itself answers', { protocol: IPPROTO_ICMP }],
    ['of a connection that was there before', { midstream: true }],
    ['of DHCP', { from: '169.254.1.1', protocol: IPPROTO_UDP, sourcePort: 67, port: 68 }],
  ])('compileInbound() lets a packet %s pass, whoever receives it', (_, incoming) => {
    const nobody: Accept = { from: [], at };
    expect(arrives(rulesetOf({ own: nobody, system: nobody }), incoming).verdict).toBe('accept');
    expect(arrives(rulesetOf({ own: nobody, system: nobody })).verdict).toBe('reject');
  });

  it('compileInbound() refuses what only looks like an answer of DHCP', () => {
    const nobody: Accept = { from: [], at };
    const ruleset = rulesetOf({ own: nobody, system: nobody });
    const dhcp = { protocol: IPPROTO_UDP, sourcePort: 68, port: 67 };
    expect(arrives(ruleset, dhcp).verdict).toBe('reject');
    expect(arrives(ruleset, { from: '203.0.113.9', ...dhcp, sourcePort: 67, port: 68 }).verdict).toBe('reject');
    expect(arrives(ruleset, { ...dhcp, sourcePort: 67 }).verdict).toBe('reject');
    expect(arrives(ruleset, { sourcePort: 67, port: 68 }).verdict).toBe('reject');
  });

  it('compileInbound() asks about a connection with bits of others in its mark', () => {
    expect(arrives(rulesetOf({ own }), { packet: { ctMark: 0x10000 & MARK_FOREIGN } }).verdict).toBe('queue');
  });
});
