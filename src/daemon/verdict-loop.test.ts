import { describe, expect, it } from 'vitest';
import type { IdentityHint } from '../identify/identify-flow.ts';
import { parseAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { encodePacket } from '../net/packet.ts';
import { IPPROTO_UDP } from '../net/protocol.ts';
import { encodeAttribute, encodeU32Be } from '../netlink/attribute.ts';
import { concatBytes, u32Be } from '../netlink/bytes.ts';
import { encodeMessage } from '../netlink/message.ts';
import { NFQUEUE_PACKET } from '../netlink/nfqueue.ts';
import { NF_ACCEPT, NF_DROP, NF_INET_PRE_ROUTING } from '../netlink/uapi.ts';
import {
  APP_DAEMON,
  APP_UNKNOWN,
  CODE_DENIED,
  CODE_NO_UPLINK,
  CODE_QUEUE,
  forwardedMark,
  MARK_OURS,
  wayMark,
} from '../plan/reserved.ts';
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import type { Facts } from '../policy/facts.ts';
import type { Owner } from '../policy/identity.ts';
import type { Destination, Verb } from '../policy/model.ts';
import { HOLD_MS, MAX_HELD_PACKETS_PER_APP, MAX_HELD_PACKETS_PER_FLOW } from './verdict-holding.ts';
import { MAX_TURN_MS, type VerdictEvent, VerdictLoop, type VerdictQueue } from './verdict-loop.ts';
import type { PacketVerdict } from './verdict-mark.ts';
import { RECENT_MS } from './verdict-recent.ts';
import type { VerdictSnapshot } from './verdict-snapshot.ts';

const AT = { file: 'mail.yaml', line: 1, column: 1 };
const APP_ID = 7;
const FOREIGN_BITS = 0x00120000;
const MAIL: Owner = { kind: 'process', pid: 100, uid: 1000, executable: '/usr/bin/mail' };
const DAEMON_PID = 4242;
const CONTAINER_ID = 'c'.repeat(64);
const NF_INET_LOCAL_OUT = 3;
const EAGAIN = -11;
const ENOENT = -2;

/** As nfnetlink_queue: a packet stays until its verdict, each id gets one verdict, and packets beyond the limit are dropped. */
class MemoryQueue implements VerdictQueue {
  readonly released = new Map<number, PacketVerdict>();
  readonly #waiting = new Set<number>();
  readonly #pending: Uint8Array[] = [];
  #lastId = 0;

  enqueue(payload: Uint8Array, options: { uid?: number; mark?: number; hook?: number } = {}): number {
    const id = ++this.#lastId;
    this.#waiting.add(id);
    const attributes = [
      encodeAttribute(1, concatBytes([u32Be(id), new Uint8Array([8, 0, options.hook ?? NF_INET_LOCAL_OUT])])),
      encodeU32Be(6, 2),
      encodeU32Be(3, options.mark ?? FOREIGN_BITS),
      encodeU32Be(16, options.uid ?? 1000),
      encodeAttribute(10, payload),
    ];
    const body = concatBytes([new Uint8Array([2, 0, 0, 1]), ...attributes]);
    this.#pending.push(encodeMessage({ type: NFQUEUE_PACKET, flags: 0, sequence: 0, body }));
    return id;
  }

  /** Bytes that are no message of the queue. */
  inject(datagram: Uint8Array): void {
    this.#pending.push(datagram);
  }

  receive(buffer: Uint8Array): number {
    const next = this.#pending.shift();
    if (next === undefined) return EAGAIN;
    buffer.set(next);
    return next.length;
  }

  send(packetId: number, verdict: PacketVerdict): number {
    if (!this.#waiting.delete(packetId)) return ENOENT;
    this.released.set(packetId, { ...verdict });
    return 32;
  }

  get waiting(): number[] {
    return [...this.#waiting];
  }
}

function flowTo(destination: string, destinationPort: number, sourcePort = 40_000): Flow {
  const [from, to] = [parseAddress('192.0.2.1'), parseAddress(destination)];
  if (from === undefined || to === undefined) throw new Error(destination);
  return { protocol: IPPROTO_UDP, source: from, destination: to, sourcePort, destinationPort, loopback: false };
}

const packetTo = (destination: string, port: number, sourcePort?: number): Uint8Array =>
  encodePacket(flowTo(destination, port, sourcePort));

function entry(target: Destination['target'], port: number): Destination {
  return { text: 'entry', target, ports: [{ first: port, last: port }], at: AT };
}

function policy(rules: readonly (readonly [Destination, Verb])[]): EffectivePolicy {
  return {
    app: 'org.example.Mail',
    match: [{ kind: 'exec', value: '/usr/bin/mail', at: AT }],
    rules: rules.map(([to, verb]) => ({ to: [to], do: verb, at: AT, layer: 'administrator' as const })),
    otherwise: { value: { do: 'drop', at: AT }, layer: 'administrator' },
    files: [],
  };
}

const NAMED = entry({ kind: 'name', name: 'imap.example.org' }, 993);
const RULES = [
  [entry({ kind: 'any' }, 80), 'allow'],
  [entry({ kind: 'any' }, 25), 'deny'],
  [NAMED, 'allow'],
] as const;

interface SnapshotOptions {
  readonly revision?: number;
  readonly names?: Facts['names'];
  readonly whenAway?: 'closed' | 'open';
}

function snapshot({ revision = 1, names = new Map(), whenAway = 'closed' }: SnapshotOptions = {}): VerdictSnapshot {
  const deny = { do: 'deny' as const, at: AT };
  const policySet: PolicySet = {
    apps: [policy(RULES)],
    systemDefault: { otherwise: deny, unknown: deny, whenAway },
    uplinks: [],
  };
  const facts: Facts = {
    uplinks: [],
    onLink: [],
    resolvers: [],
    names,
    users: new Map(),
    groups: new Map(),
    packages: new Map(),
    containers: new Map(),
  };
  return { revision, policySet, facts, appIds: new Map([['org.example.Mail', APP_ID]]) };
}

/** Everything to port 80 waits for the one uplink. */
function withUplink(up: boolean): VerdictSnapshot {
  const { policySet, facts, ...rest } = snapshot({ revision: 2 });
  const none = { prefer: {}, avoid: {}, prohibit: {} };
  const via = { ...none, require: { type: ['wifi'] }, else: 'wait', at: AT } as const;
  const properties = { type: 'wifi', metered: false, roaming: false, trusted: false, encrypted: false } as const;
  const wifi = { name: 'wifi', device: 'wlan0', priority: 1, properties, gateways: {}, at: AT };
  const state = { name: 'wifi', id: 5, device: 'wlan0', deviceIndex: 2, up, v4: up, v6: up };
  return {
    ...rest,
    policySet: {
      ...policySet,
      apps: policySet.apps.map((app) => ({ ...app, via: { value: via, layer: 'administrator' } })),
      uplinks: [wifi],
    },
    facts: { ...facts, uplinks: [{ ...state, addresses: [], onLink: [], gateways: {} }] },
  };
}

const known = (text: string, nowMs: number): Facts['names'] => {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(text);
  return new Map([['imap.example.org', { known: true, addresses: [{ address, expiresAtMs: nowMs + 60_000 }] }]]);
};

function bed(
  options: SnapshotOptions & {
    maxHeldFlows?: number;
    owner?: (hint: IdentityHint, clock: { ms: number }) => Owner;
  } = {},
) {
  const queue = new MemoryQueue();
  const clock = { ms: 1_000_000 };
  const events: VerdictEvent[] = [];
  const names: string[] = [];
  let refresh = (): void => undefined;
  const loop = new VerdictLoop(
    {
      queue,
      refresh: () => refresh(),
      identify: (_, hint) => (options.owner ?? (() => MAIL))(hint, clock),
      report: (event) => events.push(event),
      requestName: (name) => names.push(name),
      monotonicMs: () => clock.ms,
      ownPid: DAEMON_PID,
      ...(options.maxHeldFlows !== undefined && { maxHeldFlows: options.maxHeldFlows }),
    },
    snapshot(options),
  );
  const onRefresh = (step: () => void): void => {
    refresh = step;
  };
  return { queue, clock, events, names, loop, onRefresh };
}

const acceptedMark = (FOREIGN_BITS | wayMark(0) | APP_ID) >>> 0;

describe('VerdictLoop', () => {
  it('VerdictLoop decides a packet by what was published before it was sent, also in the turn that was under way', () => {
    const { queue, loop, clock, onRefresh } = bed();
    const waits = queue.enqueue(packetTo('203.0.113.5', 993));
    let refreshes = 0;
    onRefresh(() => {
      refreshes += 1;
      if (refreshes === 2) loop.publish(snapshot({ revision: 2, names: known('203.0.113.5', clock.ms) }));
    });
    const later = queue.enqueue(packetTo('203.0.113.5', 993, 40_001));
    loop.turn();
    expect(refreshes).toBe(2);
    expect([queue.released.get(waits)?.mark, queue.released.get(later)?.mark]).toEqual([acceptedMark, acceptedMark]);
  });

  it('VerdictLoop accepts with way, app and the bits of others in the mark', () => {
    const { queue, loop, events } = bed();
    const id = queue.enqueue(packetTo('203.0.113.5', 80));
    loop.turn();
    expect(queue.released.get(id)).toEqual({ verdict: NF_ACCEPT, mark: acceptedMark });
    expect(events).toMatchObject([{ appId: APP_ID, packets: 1, owner: { pid: 100 }, decision: { verdict: 'accept' } }]);
  });

  it('VerdictLoop refuses by a code that the chain after the queue carries out', () => {
    const { queue, loop } = bed();
    const id = queue.enqueue(packetTo('203.0.113.5', 25));
    loop.turn();
    expect(queue.released.get(id)).toEqual({
      verdict: NF_ACCEPT,
      mark: (FOREIGN_BITS | MARK_OURS | CODE_DENIED) >>> 0,
    });
  });

  it('VerdictLoop drops where the policy says so', () => {
    const { queue, loop } = bed();
    const id = queue.enqueue(packetTo('203.0.113.5', 9999));
    loop.turn();
    expect(queue.released.get(id)).toEqual({ verdict: NF_DROP });
    expect(loop.counts).toMatchObject({ packets: 1, drop: 1 });
  });

  it('VerdictLoop tells a container by the number in the mark of what it sends, and asks for no socket', () => {
    const { queue, loop, events } = bed({ owner: () => expect.unreachable('a socket was looked for') });
    const scope = `/docker-${CONTAINER_ID}.scope`;
    const first = snapshot({ revision: 2 });
    const { apps, ...rest } = first.policySet;
    const named = apps.map((app) => ({ ...app, match: [{ kind: 'container', value: CONTAINER_ID, at: AT }] as const }));
    const forwarded = [{ device: 'veth1', deviceIndex: 7, cgroups: [scope] }];
    loop.publish({ ...first, policySet: { ...rest, apps: named }, facts: { ...first.facts, forwarded } });
    const from = (appId: number) => ({ hook: NF_INET_PRE_ROUTING, mark: (forwardedMark(appId) | FOREIGN_BITS) >>> 0 });
    const allowed = queue.enqueue(packetTo('203.0.113.5', 80), from(APP_ID));
    const denied = queue.enqueue(packetTo('203.0.113.5', 25), from(APP_ID));
    const gone = queue.enqueue(packetTo('203.0.113.6', 80), from(APP_ID + 1));
    loop.turn();
    expect(queue.released.get(allowed)).toEqual({ verdict: NF_ACCEPT, mark: acceptedMark });
    const refused = { verdict: NF_ACCEPT, mark: (FOREIGN_BITS | MARK_OURS | CODE_DENIED) >>> 0 };
    expect(queue.released.get(denied)).toEqual(refused);
    expect(queue.released.get(gone)).toEqual(refused);
    expect(events.map(({ owner }) => owner)).toMatchObject([
      { kind: 'container', cgroups: [scope] },
      { kind: 'container' },
      { kind: 'unknown' },
    ]);
  });

  it('VerdictLoop lets the daemon itself pass', () => {
    const { queue, loop, events } = bed({ owner: () => ({ kind: 'process', pid: DAEMON_PID, uid: 0 }) });
    const id = queue.enqueue(packetTo('203.0.113.53', 53));
    loop.turn();
    expect(queue.released.get(id)?.mark).toBe((FOREIGN_BITS | wayMark(0) | APP_DAEMON) >>> 0);
    expect(events[0]?.decision.reason).toEqual({ kind: 'daemon' });
  });

  it('VerdictLoop holds a flow whose name is not known, and other flows go on', () => {
    const { queue, loop, names } = bed();
    const held = queue.enqueue(packetTo('203.0.113.5', 993));
    const free = queue.enqueue(packetTo('203.0.113.5', 80));
    loop.turn();
    expect(queue.waiting).toEqual([held]);
    expect(queue.released.has(free)).toBe(true);
    expect(names).toEqual(['imap.example.org']);
    expect(loop.timeoutMs).toBe(HOLD_MS);
  });

  it('VerdictLoop releases a held flow in order when a snapshot knows its name', () => {
    const { queue, loop, clock, events } = bed();
    const ids = [1, 2, 3].map(() => queue.enqueue(packetTo('203.0.113.5', 993)));
    loop.turn();
    clock.ms += 40;
    loop.publish(snapshot({ revision: 2, names: known('203.0.113.5', clock.ms) }));
    expect([...queue.released.keys()]).toEqual(ids);
    expect(new Set([...queue.released.values()].map(({ mark }) => mark))).toEqual(new Set([acceptedMark]));
    expect(events).toMatchObject([{ packets: 3, revision: 2, latencyUs: 40_000 }]);
    expect(loop.counts).toMatchObject({ heldFlows: 0, heldPackets: 0 });
  });

  it('VerdictLoop decides a held flow by another address of its name as not matching', () => {
    const { queue, loop, clock } = bed();
    const id = queue.enqueue(packetTo('203.0.113.5', 993));
    loop.turn();
    loop.publish(snapshot({ revision: 2, names: known('203.0.113.6', clock.ms) }));
    expect(queue.released.get(id)).toEqual({ verdict: NF_DROP });
  });

  it('VerdictLoop decides without the name at the deadline and not before', () => {
    const { queue, loop, clock } = bed();
    const id = queue.enqueue(packetTo('203.0.113.5', 993));
    loop.turn();
    clock.ms += HOLD_MS - 1;
    loop.publish(snapshot({ revision: 2 }));
    loop.turn();
    expect(queue.waiting).toEqual([id]);
    clock.ms += 1;
    loop.turn();
    expect(queue.released.get(id)).toEqual({ verdict: NF_DROP });
    expect(loop.counts.expired).toBe(1);
    expect(loop.timeoutMs).toBeUndefined();
  });

  it('VerdictLoop holds a flow that waits for an uplink, asks nobody, and releases it by the uplink that comes up', () => {
    const { queue, loop, names } = bed();
    const down = withUplink(false);
    loop.publish(down);
    const id = queue.enqueue(packetTo('203.0.113.5', 80));
    loop.turn();
    loop.publish({ ...down, revision: 3 });
    expect(queue.waiting).toEqual([id]);
    loop.publish(withUplink(true));
    expect(queue.released.get(id)).toEqual({ verdict: NF_ACCEPT, mark: (FOREIGN_BITS | wayMark(5) | APP_ID) >>> 0 });
    expect(names).toEqual([]);
  });

  it('VerdictLoop refuses a flow that has waited for an uplink in vain', () => {
    const { queue, loop, clock, events } = bed();
    loop.publish(withUplink(false));
    const id = queue.enqueue(packetTo('203.0.113.5', 80));
    loop.turn();
    clock.ms += HOLD_MS;
    loop.turn();
    expect(queue.released.get(id)?.mark).toBe((FOREIGN_BITS | MARK_OURS | CODE_NO_UPLINK) >>> 0);
    expect(events).toMatchObject([{ decision: { verdict: 'reject', cause: 'no-uplink', reason: { kind: 'rule' } } }]);
  });

  it('VerdictLoop asks for a name once while several flows wait, and again after they are gone', () => {
    const { queue, loop, clock, names } = bed();
    for (const sourcePort of [1, 2, 3]) queue.enqueue(packetTo('203.0.113.5', 993, sourcePort));
    loop.turn();
    expect(names).toHaveLength(1);
    clock.ms += HOLD_MS;
    loop.turn();
    queue.enqueue(packetTo('203.0.113.5', 993));
    loop.turn();
    expect(names).toHaveLength(2);
  });

  it('VerdictLoop keeps no more packets of a held flow than its bound', () => {
    const { queue, loop } = bed();
    for (let sent = 0; sent < MAX_HELD_PACKETS_PER_FLOW + 2; sent++) queue.enqueue(packetTo('203.0.113.5', 993));
    loop.turn();
    expect(queue.waiting).toHaveLength(MAX_HELD_PACKETS_PER_FLOW);
    expect(loop.counts).toMatchObject({ excess: 2, heldFlows: 1, heldPackets: MAX_HELD_PACKETS_PER_FLOW });
  });

  it.each([
    ['closed', { verdict: NF_DROP }],
    ['open', { verdict: NF_ACCEPT, mark: (FOREIGN_BITS | MARK_OURS | CODE_QUEUE) >>> 0 }],
  ] as const)('VerdictLoop answers by the fail mode %s when too many flows wait', (whenAway, verdict) => {
    const { queue, loop } = bed({ maxHeldFlows: 2, whenAway });
    const ids = [1, 2, 3].map((sourcePort) => queue.enqueue(packetTo('203.0.113.5', 993, sourcePort)));
    loop.turn();
    expect(queue.waiting).toEqual(ids.slice(0, 2));
    expect(queue.released.get(ids[2] ?? 0)).toEqual(verdict);
    expect(loop.counts.noRoom).toBe(1);
  });

  it('VerdictLoop holds no more packets of one application than its bound, and of other applications still', () => {
    const { queue, loop } = bed();
    for (let sent = 0; sent <= MAX_HELD_PACKETS_PER_APP; sent++) queue.enqueue(packetTo('203.0.113.5', 993, sent + 1));
    for (let turns = 0; turns < 10; turns++) loop.turn();
    expect(queue.waiting).toHaveLength(MAX_HELD_PACKETS_PER_APP);
    expect(loop.counts).toMatchObject({ noRoom: 1, heldPackets: MAX_HELD_PACKETS_PER_APP });
    loop.publish(snapshot({ revision: 2, names: new Map([['imap.example.org', { known: true, addresses: [] }]]) }));
    expect(loop.counts.heldPackets).toBe(0);
  });

  it('VerdictLoop ends its turn when owners take long to find, so that snapshots are not kept waiting', () => {
    const { queue, loop } = bed({
      owner: (_, clock) => {
        clock.ms += MAX_TURN_MS / 2;
        return MAIL;
      },
    });
    for (let sent = 0; sent < 5; sent++) queue.enqueue(packetTo('203.0.113.5', 80, sent + 1));
    const answered = [1, 2, 3].map(() => {
      loop.turn();
      return queue.released.size;
    });
    expect(answered).toEqual([2, 4, 5]);
  });

  it('VerdictLoop answers another socket after one packet of a flood, however many of its packets came before', () => {
    const answered: string[] = [];
    const { queue, loop } = bed({
      owner: ({ uid }) => {
        answered.push(uid === 1001 ? 'mail' : 'flood');
        if (answered.length === 2) queue.enqueue(packetTo('203.0.113.5', 80, 50_000), { uid: 1001 });
        return MAIL;
      },
    });
    for (let sent = 0; sent < 300; sent++) queue.enqueue(packetTo('203.0.113.5', 1000 + sent, 40_000));
    loop.turn();
    expect(answered.slice(0, 4)).toEqual(['flood', 'flood', 'flood', 'mail']);
    expect(queue.waiting).toEqual([]);
  });

  it('VerdictLoop tells the search which executables policies name, those of a new snapshot too', () => {
    const named: boolean[] = [];
    const { queue, loop } = bed({
      owner: ({ names }) => {
        named.push(names.hasExecutable('/usr/bin/mail'), names.hasExecutable('/usr/bin/other'));
        return MAIL;
      },
    });
    queue.enqueue(packetTo('203.0.113.5', 80));
    loop.turn();
    const after = snapshot({ revision: 2 });
    loop.publish({ ...after, policySet: { ...after.policySet, apps: [] } });
    queue.enqueue(packetTo('203.0.113.5', 80));
    loop.turn();
    expect(named).toEqual([true, false, false, false]);
  });

  it('VerdictLoop marks flows of an unproven executable as of an unknown owner', () => {
    const { queue, loop, events } = bed({ owner: () => ({ ...MAIL, executableUnproven: true }) as Owner });
    queue.enqueue(packetTo('203.0.113.5', 80));
    loop.turn();
    expect(events).toMatchObject([{ appId: APP_UNKNOWN, decision: { verdict: 'reject' } }]);
  });

  it('VerdictLoop drops bytes that are no packet and goes on', () => {
    const { queue, loop } = bed();
    const bad = queue.enqueue(new Uint8Array([0x45, 0]));
    queue.inject(new Uint8Array(5));
    queue.inject(
      encodeMessage({
        type: NFQUEUE_PACKET,
        flags: 0,
        sequence: 0,
        body: new Uint8Array([2, 0, 0, 1, 255, 255, 1, 0]),
      }),
    );
    queue.inject(new Uint8Array(16).fill(255));
    const good = queue.enqueue(packetTo('203.0.113.5', 80));
    loop.turn();
    expect(queue.released.get(bad)).toEqual({ verdict: NF_DROP });
    expect(queue.released.get(good)?.verdict).toBe(NF_ACCEPT);
    expect(loop.counts.undecodable).toBe(4);
  });

  it('VerdictLoop decides as of an unknown owner when identity fails', () => {
    const { queue, loop, events } = bed({
      owner: () => {
        throw new Error('table gone');
      },
    });
    queue.enqueue(packetTo('203.0.113.5', 80));
    loop.turn();
    expect(queue.waiting).toEqual([]);
    expect(events[0]).toMatchObject({
      appId: APP_UNKNOWN,
      owner: { because: 'looking for it failed: table gone', uid: 1000 },
    });
  });

  it('VerdictLoop reports a burst once, and knows its owner when the program has ended meanwhile', () => {
    let alive = true;
    const { queue, loop, events, clock } = bed({
      owner: () => (alive ? MAIL : { kind: 'unknown', because: 'ended' }),
    });
    const ids = [1, 2, 3].map(() => queue.enqueue(packetTo('203.0.113.5', 80)));
    loop.turn();
    alive = false;
    ids.push(queue.enqueue(packetTo('203.0.113.5', 80)));
    loop.turn();
    expect(ids.map((id) => queue.released.get(id)?.mark)).toEqual(ids.map(() => acceptedMark));
    expect(events).toHaveLength(1);
    clock.ms += RECENT_MS;
    queue.enqueue(packetTo('203.0.113.5', 80));
    loop.turn();
    expect(events.at(-1)?.owner).toEqual({ kind: 'unknown', because: 'ended' });
  });

  it('VerdictLoop does not give one user’s owner to another user’s packet', () => {
    let owner: Owner = MAIL;
    const { queue, loop, events } = bed({ owner: () => owner });
    queue.enqueue(packetTo('203.0.113.5', 80), { uid: 1000 });
    loop.turn();
    owner = { kind: 'unknown', because: 'ended' };
    queue.enqueue(packetTo('203.0.113.5', 80), { uid: 1001 });
    loop.turn();
    expect(events.at(-1)?.owner.kind).toBe('unknown');
  });
});
