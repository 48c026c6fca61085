import { describe, expect, it } from 'vitest';
import type { IdentityHint } from '../identify/identify-flow.ts';
import { parseAddress, parsePrefix } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { encodePacket } from '../net/packet.ts';
import { IPPROTO_UDP } from '../net/protocol.ts';
import { encodeAttribute, encodeU32Be } from '../netlink/attribute.ts';
import { concatBytes, u32Be } from '../netlink/bytes.ts';
import { encodeMessage } from '../netlink/message.ts';
import { NFQUEUE_PACKET } from '../netlink/nfqueue.ts';
import { NF_ACCEPT, NF_INET_LOCAL_IN } from '../netlink/uapi.ts';
import { APP_UNKNOWN, CODE_DENIED, MARK_OURS, UPLINK_INBOUND, UPLINK_SYSTEM, wayMark } from '../plan/reserved.ts';
import type { Owner } from '../policy/identity.ts';
import { type VerdictEvent, VerdictLoop } from './verdict-loop.ts';
import type { PacketVerdict } from './verdict-mark.ts';
import type { VerdictSnapshot } from './verdict-snapshot.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };
const EAGAIN = -11;
const NF_INET_LOCAL_OUT = 3;
const [IN_DEVICE, OUT_DEVICE] = [4, 6];
const APP_ID = 7;
const SERVER: Owner = { kind: 'process', pid: 100, uid: 0, executable: '/usr/bin/server' };

function address(text: string) {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

/** The application accepts 203.0.113.0/24, and sends nothing. */
function snapshot(): VerdictSnapshot {
  const prefix = parsePrefix('203.0.113.0/24');
  if (prefix === undefined) throw new Error();
  const deny = { do: 'deny' as const, at };
  return {
    revision: 1,
    policySet: {
      apps: [
        {
          app: 'server',
          match: [{ kind: 'exec', value: '/usr/bin/server', at }],
          rules: [],
          otherwise: { value: deny, layer: 'administrator' },
          accept: {
            value: { from: [{ text: '203.0.113.0/24', target: { kind: 'prefix', prefix }, at }], at },
            layer: 'administrator',
          },
          files: [],
        },
      ],
      systemDefault: { otherwise: deny, unknown: deny, whenAway: 'closed', accept: { from: [], at } },
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
    appIds: new Map([['server', APP_ID]]),
  };
}

interface Packet {
  readonly from: string;
  readonly to: string;
  readonly hook: number;
  readonly uid?: number;
}

/** As nfnetlink_queue encodes it: a packet has the device of its direction, and a uid where a socket sends it. */
function datagram(id: number, { from, to, hook, uid }: Packet): Uint8Array {
  const payload = encodePacket({
    protocol: IPPROTO_UDP,
    source: address(from),
    destination: address(to),
    sourcePort: 5000,
    destinationPort: 5000,
    loopback: false,
  });
  const attributes = [
    encodeAttribute(1, concatBytes([u32Be(id), new Uint8Array([8, 0, hook])])),
    hook === NF_INET_LOCAL_IN ? encodeU32Be(5, IN_DEVICE) : encodeU32Be(6, OUT_DEVICE),
    ...(uid === undefined ? [] : [encodeU32Be(16, uid)]),
    encodeAttribute(10, payload),
  ];
  const body = concatBytes([new Uint8Array([2, 0, 0, 1]), ...attributes]);
  return encodeMessage({ type: NFQUEUE_PACKET, flags: 0, sequence: 0, body });
}

function bed(owner: Owner = SERVER) {
  const pending: Uint8Array[] = [];
  const verdicts = new Map<number, PacketVerdict>();
  const asked: { readonly flow: Flow; readonly hint: IdentityHint }[] = [];
  const events: VerdictEvent[] = [];
  const state = { owner };
  const queue = {
    receive: (buffer: Uint8Array): number => {
      const next = pending.shift();
      if (next === undefined) return EAGAIN;
      buffer.set(next);
      return next.length;
    },
    send: (id: number, verdict: PacketVerdict): number => {
      verdicts.set(id, { ...verdict });
      return 1;
    },
  };
  const loop = new VerdictLoop(
    {
      queue,
      identify: (flow, hint) => {
        asked.push({ flow, hint });
        return state.owner;
      },
      report: (event) => events.push(event),
      requestName: () => undefined,
      monotonicMs: () => 0,
      ownPid: 4242,
    },
    snapshot(),
  );
  let lastId = 0;
  const take = (packet: Packet): PacketVerdict | undefined => {
    lastId += 1;
    pending.push(datagram(lastId, packet));
    loop.turn();
    return verdicts.get(lastId);
  };
  return { take, asked, events, state };
}

const INBOUND: Packet = { from: '203.0.113.5', to: '192.0.2.1', hook: NF_INET_LOCAL_IN };
const STRANGER: Packet = { ...INBOUND, from: '198.51.100.5' };

describe('VerdictLoop on what comes in', () => {
  it('VerdictLoop decides a packet at the input hook by whom its receiver accepts', () => {
    const { take, events } = bed();
    expect(take(INBOUND)).toEqual({ verdict: NF_ACCEPT, mark: (wayMark(UPLINK_INBOUND) | APP_ID) >>> 0 });
    expect(take(STRANGER)).toEqual({ verdict: NF_ACCEPT, mark: (MARK_OURS | CODE_DENIED) >>> 0 });
    expect(events.map(({ flow, decision }) => [flow.inbound, decision.reason.kind])).toEqual([
      [true, 'accept'],
      [true, 'not-accepted'],
    ]);
  });

  it('VerdictLoop looks for the receiver by the device it came by, and does not say that no process has it', () => {
    const { take, asked } = bed();
    take(INBOUND);
    take({ from: '192.0.2.1', to: '203.0.113.5', hook: NF_INET_LOCAL_OUT, uid: 1000 });
    take({ from: '192.0.2.1', to: '203.0.113.6', hook: NF_INET_LOCAL_OUT });
    expect(asked.map(({ flow, hint }) => [flow.inbound, hint.uid, hint.deviceIndex])).toEqual([
      [true, undefined, IN_DEVICE],
      [undefined, 1000, OUT_DEVICE],
      [undefined, 'none', OUT_DEVICE],
    ]);
    expect(asked[0]?.hint).not.toHaveProperty('uid');
  });

  it('VerdictLoop does not take the owner of one direction for that of the other', () => {
    const { take, state, events } = bed();
    take(INBOUND);
    state.owner = { kind: 'unknown', because: 'ended' };
    // The same addresses and ports, as it sends them.
    take({ ...INBOUND, hook: NF_INET_LOCAL_OUT });
    expect(events.map(({ owner }) => owner.kind)).toEqual(['process', 'unknown']);
    // And in again, where it is known.
    take(INBOUND);
    expect(events).toHaveLength(2);
  });

  it('VerdictLoop asks the system default who may connect to an unknown receiver', () => {
    const { take, events } = bed({ kind: 'unknown', because: 'gone' });
    expect(take(INBOUND)?.mark).toBe((MARK_OURS | CODE_DENIED) >>> 0);
    expect(events[0]).toMatchObject({ appId: APP_UNKNOWN, decision: { reason: { kind: 'not-accepted' } } });
  });

  it('VerdictLoop lets the daemon receive what it asked for', () => {
    const { take } = bed({ kind: 'process', pid: 4242, uid: 0 });
    expect(take(STRANGER)?.verdict).toBe(NF_ACCEPT);
    expect(((take(STRANGER)?.mark ?? 0) & wayMark(0x7f)) >>> 0).toBe(wayMark(UPLINK_SYSTEM));
  });
});
