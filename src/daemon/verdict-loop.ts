/**
 * The packet path: queued packet -> flow -> owner -> decision -> verdict with the packet mark. Synchronous, in one thread,
 * without input or output but the queue and what identity reads. Every packet that can be named gets a verdict, whatever
 * goes wrong on the way; a flow that has to wait delays no other.
 */
import { constants } from 'node:os';
import type { MonotonicMs } from '../net/clock.ts';
import { type Flow, flowKey } from '../net/flow.ts';
import { decodePacket, PacketError } from '../net/packet.ts';
import { align4, NLA_HDRLEN } from '../netlink/attribute.ts';
import { readU32Be } from '../netlink/bytes.ts';
import { DecodeError } from '../netlink/errors.ts';
import { messageLengthAt, messageTypeAt, NLMSG_HDRLEN } from '../netlink/message.ts';
import { NFGENMSG_BYTES } from '../netlink/nfnetlink.ts';
import { decodeQueuePacket, NFQUEUE_PACKET, type QueuePacket } from '../netlink/nfqueue.ts';
import { NF_DROP, NF_INET_LOCAL_IN, NF_INET_PRE_ROUTING, NLMSG_ERROR } from '../netlink/uapi.ts';
import { MARK_FORWARDED_APP } from '../plan/reserved.ts';
import type { Decision, FinalDecision } from '../policy/decision.ts';
import type { ProcessOwner, Sender } from '../policy/identity.ts';
import type { AppIndex } from '../policy/match-app.ts';
import { isCheckFlow } from './self-check-questions.ts';
import { type HeldFlow, HeldFlows, type HeldPacket, HOLD_MS } from './verdict-holding.ts';
import { VerdictJudge, type VerdictJudgeParts } from './verdict-judge.ts';
import { LatencyHistogram } from './verdict-latency.ts';
import { type PacketVerdict, packetVerdict, refusedVerdict, unansweredVerdict } from './verdict-mark.ts';
import { RecentFlows } from './verdict-recent.ts';
import type { VerdictSnapshot } from './verdict-snapshot.ts';
import { NO_VERDICTS, type VerdictCounts } from './verdict-stats.ts';
import { type GivenUp, WaitingPackets } from './verdict-waiting.ts';

/** A turn ends after this, so that snapshots and deadlines are not kept waiting by a flood; one packet is always answered. */
export const MAX_TURN_MS = 2;
/** So that what many send at once is read, and shared out, before the kernel's queue is full; and answers come all the same. */
const MAX_READ_BETWEEN_ANSWERS = 512;
/** Stand for users: all that comes in, or is sent by nobody who is a user. */
const NO_USER = -1;
/** One packet's message with its copied bytes; the kernel never joins several in one datagram beyond this. */
const RECEIVE_BUFFER_BYTES = 65_536;
/** The loopback device has this index in every network namespace (LOOPBACK_IFINDEX, net/net_namespace.h). */
const LOOPBACK_IFINDEX = 1;
/** What a flow waits for that waits for an uplink. */
const NO_NAME = '';
const { EAGAIN, EINTR, ENOBUFS } = constants.errno;

/** The kernel's queue as the loop sees it. Neither call blocks. */
export interface VerdictQueue {
  /** One datagram into `buffer`: its bytes, or a negative errno (-EAGAIN: nothing is there). */
  receive(buffer: Uint8Array): number;
  /** Negative errno where the kernel did not take it. */
  send(packetId: number, verdict: PacketVerdict): number;
}

/** What became of a flow, after its verdict was sent; once for a burst. `latencyUs`: from the receipt of its first packet. */
export interface VerdictEvent {
  readonly atMs: MonotonicMs;
  readonly revision: number;
  readonly flow: Flow;
  readonly owner: Sender;
  readonly appId: number;
  readonly decision: FinalDecision;
  readonly latencyUs: number;
  /** More than 1 where the flow was held. */
  readonly packets: number;
}

export interface VerdictLoopParts extends VerdictJudgeParts {
  readonly queue: VerdictQueue;
  readonly report: (event: VerdictEvent) => void;
  /** Called once for a name while any flow waits for it: a snapshot that knows it is the answer. */
  readonly requestName: (name: string) => void;
  /** Publishes what has been decided elsewhere, before a packet that may have been sent because of it is answered. */
  readonly refresh?: () => void;
  /** Looks again at an owner whose packet has been answered: `CreatorOwners.confirm`. */
  readonly confirm?: (owner: ProcessOwner) => ProcessOwner;
  /** Packets of a user are refused, or have waited for less than others' would, since he asks for more than his share. */
  readonly onShareFull?: (user: number) => void;
  readonly maxHeldFlows?: number;
  /** Nothing was queued before; the beginning unless stated. */
  readonly queuesSinceMs?: MonotonicMs;
}

export class VerdictLoop {
  readonly #parts: VerdictLoopParts;
  readonly #held: HeldFlows;
  readonly #latency = new LatencyHistogram();
  readonly #buffer = new Uint8Array(RECEIVE_BUFFER_BYTES);
  readonly #counts = { ...NO_VERDICTS };
  readonly #recent = new RecentFlows();
  readonly #waiting = new WaitingPackets<ReadPacket>();
  readonly #judge: VerdictJudge;
  /** What is in the queue was sent later. */
  #emptyAtMs: MonotonicMs;

  constructor(parts: VerdictLoopParts, snapshot: VerdictSnapshot) {
    this.#parts = parts;
    this.#emptyAtMs = parts.queuesSinceMs ?? 0;
    this.#held = new HeldFlows(parts.maxHeldFlows);
    this.#judge = new VerdictJudge(parts, snapshot);
  }

  /** Of the policies in use. */
  get index(): AppIndex {
    return this.#judge.index;
  }

  get counts(): VerdictCounts {
    return {
      ...this.#counts,
      failed: this.#counts.failed + this.#judge.failures,
      heldFlows: this.#held.flowCount,
      heldPackets: this.#held.packetCount,
      latencyP50Us: this.#latency.percentileUs(0.5),
      latencyP99Us: this.#latency.percentileUs(0.99),
    };
  }

  /** Milliseconds until the next turn is due, 0 where it is now; undefined where nothing waits. */
  get timeoutMs(): number | undefined {
    if (!this.#waiting.isEmpty) return 0;
    const deadlineMs = this.#held.nextDeadlineMs;
    return deadlineMs === undefined ? undefined : Math.max(0, deadlineMs - this.#parts.monotonicMs());
  }

  /** From now on by this snapshot, flows that wait included. */
  publish(snapshot: VerdictSnapshot): void {
    this.#judge.publish(snapshot);
    for (const [key, held] of this.#held.entries()) {
      const decision = this.#judge.decide(held.owner, held.flow, 'may wait');
      if (decision.verdict !== 'queue') this.#release(key, decision);
      else this.#waitFor(held, awaitedName(decision));
    }
  }

  /** Answers what lies in the queue, for MAX_TURN_MS at most, and flows that have waited long enough. */
  turn(): void {
    const endMs = this.#parts.monotonicMs() + MAX_TURN_MS;
    do {
      // Where nobody else waits, there is nobody to be fair to.
      if (this.#waiting.isEmpty && !this.#receive()) break;
      this.#answerNext();
      for (let read = 0; read < MAX_READ_BETWEEN_ANSWERS && this.#receive(); read++);
    } while (!this.#waiting.isEmpty && this.#parts.monotonicMs() < endMs);
    this.#expire();
  }

  /** Takes one datagram from the kernel; false where none is there. */
  #receive(): boolean {
    const nowMs = this.#parts.monotonicMs();
    const received = this.#parts.queue.receive(this.#buffer);
    if (received === -EAGAIN) this.#emptyAtMs = nowMs;
    if (received === -EAGAIN || received === -EINTR) return false;
    if (received === -ENOBUFS) this.#counts.overruns++;
    else if (received < 0) throw new Error(`receiving from the queue failed with errno ${-received}`);
    else this.#readDatagram(this.#buffer.subarray(0, received));
    return true;
  }

  #answerNext(): void {
    const next = this.#waiting.next();
    if (next === undefined) return;
    this.#parts.refresh?.();
    try {
      this.#answer(next);
    } catch (error) {
      // Our own mistake: it may not leave the packet, and its program, without an answer.
      this.#parts.onFault?.(error);
      this.#counts.failed++;
      this.#send(next.received, { verdict: NF_DROP });
    }
  }

  #readDatagram(bytes: Uint8Array): void {
    try {
      for (let offset = 0; offset < bytes.length; ) {
        const end = offset + messageLengthAt(bytes, offset);
        const type = messageTypeAt(bytes, offset);
        if (type === NFQUEUE_PACKET) this.#readPacket(bytes, offset + NLMSG_HDRLEN, end);
        // A verdict on a packet that is gone, as when its device went away.
        else if (type === NLMSG_ERROR) this.#counts.late++;
        offset = align4(end);
      }
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#counts.undecodable++;
    }
  }

  #readPacket(bytes: Uint8Array, start: number, end: number): void {
    const receivedUs = this.#parts.monotonicMs() * 1000;
    try {
      const packet = decodeQueuePacket(bytes, start, end);
      const decoded = decodePacket(packet.payload, { loopback: packet.ifIndexOut === LOOPBACK_IFINDEX });
      const flow: Flow = { ...decoded, ...directionOf(packet) };
      const received = { packetId: packet.packetId, mark: packet.mark, receivedUs };
      if (!isCheckFlow(flow)) this.#counts.packets++;
      const notBeforeMs = this.#emptyAtMs;
      const givenUp = this.#waiting.add(userOf(packet), socketKey(flow), {
        packet,
        flow,
        received,
        notBeforeMs,
      });
      if (givenUp !== undefined) this.#refuse(givenUp);
    } catch (error) {
      this.#counts.packets++;
      // Bytes that are no packet, or our own mistake: neither may leave the packet, and its program, without an answer.
      if (error instanceof PacketError || error instanceof DecodeError) this.#counts.undecodable++;
      else {
        this.#parts.onFault?.(error);
        this.#counts.failed++;
      }
      this.#send({ packetId: firstPacketId(bytes, start, end), mark: 0, receivedUs }, { verdict: NF_DROP });
    }
  }

  /** Also where the files say open: who asks for more than others is not let go for that. */
  #refuse({ user, packet: { received } }: GivenUp<ReadPacket>): void {
    this.#counts.beyondShare++;
    this.#parts.onShareFull?.(user);
    this.#send(received, refusedVerdict(received.mark));
  }

  #answer({ packet, flow, received, notBeforeMs }: ReadPacket): void {
    // Another user's or container's packet with the same addresses and ports is another flow.
    const key = `${flow.forwarded ? packet.mark : (packet.uid ?? '')}|${flowKey(flow)}`;
    if (this.#fold(key, received)) return;
    const owner = this.#identify(key, flow, packet, notBeforeMs);
    const decision = this.#judge.decide(owner, flow, 'may wait');
    if (decision.verdict !== 'queue') this.#conclude({ key, flow, owner, packets: [received] }, decision);
    else this.#hold({ key, flow, owner, packets: [received] }, userOf(packet), decision);
  }

  #fold(key: string, received: HeldPacket): boolean {
    const outcome = this.#held.fold(key, received);
    if (outcome === 'full') {
      this.#counts.excess++;
      this.#send(received, { verdict: NF_DROP });
    }
    return outcome !== 'absent';
  }

  /** A program that sends a burst and ends has no socket any more when its last packets are read. */
  #identify(key: string, flow: Flow, packet: ReadPacket['packet'], notBeforeMs: MonotonicMs): Sender {
    if (flow.forwarded) return this.#judge.container(packet.mark & MARK_FORWARDED_APP);
    const { uid, gid } = packet;
    const deviceIndex = flow.inbound ? packet.ifIndexIn : packet.ifIndexOut;
    const owner = this.#judge.identify(flow, {
      // What comes in has no sender here, so nothing says that it is none.
      ...(!flow.inbound && { uid: uid ?? 'none' }),
      ...(gid !== undefined && { gid }),
      ...(deviceIndex !== undefined && { deviceIndex }),
      notBeforeMs,
    });
    return owner.kind === 'unknown' ? (this.#recent.ownerOf(key, this.#parts.monotonicMs()) ?? owner) : owner;
  }

  #hold({ key, flow, owner, packets }: DecidedFlow, user: number, decision: Decision): void {
    const [received] = packets;
    if (received === undefined) return;
    const name = awaitedName(decision);
    const isAsked = this.#isAsked(name);
    const deadlineMs = received.receivedUs / 1000 + HOLD_MS;
    const app = decision.app ?? '';
    const taken = this.#held.hold(key, { user, app, flow, owner, deadlineMs, packets: [received], waitsFor: name });
    if (taken.kind === 'taken over') {
      this.#parts.onShareFull?.(taken.from);
      this.#endWaiting(taken.given);
    }
    if (taken.kind !== 'full') {
      if (!isAsked) this.#parts.requestName(name);
      return;
    }
    this.#counts.noRoom++;
    this.#parts.onShareFull?.(user);
    const { whenAway } = this.#judge.snapshot.policySet.systemDefault;
    this.#send(received, unansweredVerdict(whenAway, received.mark));
  }

  /** Nobody has to be asked for an uplink: it comes up with a snapshot. */
  #isAsked(name: string): boolean {
    return name === NO_NAME || this.#held.waitingFor(name) > 0;
  }

  #waitFor(held: HeldFlow, name: string): void {
    if (held.waitsFor === name) return;
    const isAsked = this.#isAsked(name);
    this.#held.waitFor(held, name);
    if (!isAsked) this.#parts.requestName(name);
  }

  #expire(): void {
    if (this.#held.flowCount === 0) return;
    const nowMs = this.#parts.monotonicMs();
    for (const [key, { deadlineMs }] of this.#held.entries()) {
      if (deadlineMs > nowMs) return;
      this.#counts.expired++;
      this.#endWaiting(key);
    }
  }

  #endWaiting(key: string): void {
    const held = this.#held.get(key);
    if (held !== undefined) this.#release(key, this.#judge.decide(held.owner, held.flow, 'has waited'));
  }

  #release(key: string, decision: Decision): void {
    const held = this.#held.release(key);
    if (held !== undefined && decision.verdict !== 'queue') this.#conclude({ key, ...held }, decision);
  }

  #conclude({ key, flow, owner: decided, packets }: DecidedFlow, decision: FinalDecision): void {
    const appId = this.#judge.appId(decided, decision);
    for (const packet of packets) this.#send(packet, packetVerdict(decision, appId, packet.mark));
    const nowMs = this.#parts.monotonicMs();
    // Nobody's, and of no interest to whoever counts or watches.
    if (isCheckFlow(flow)) return;
    const latencyUs = nowMs * 1000 - (packets[0]?.receivedUs ?? 0);
    const { revision } = this.#judge.snapshot;
    const owner = decided.kind === 'process' ? (this.#parts.confirm?.(decided) ?? decided) : decided;
    if (this.#recent.repeats(key, { owner, verdict: decision.verdict, revision }, nowMs)) {
      this.#counts.repeated++;
      return;
    }
    this.#latency.record(latencyUs);
    this.#counts[decision.verdict]++;
    this.#parts.report({ atMs: nowMs, revision, flow, owner, appId, decision, latencyUs, packets: packets.length });
  }

  #send(packet: HeldPacket, verdict: PacketVerdict): void {
    if (this.#parts.queue.send(packet.packetId, verdict) < 0) this.#counts.unsent++;
  }
}

/** What was read of a packet; its bytes are gone. */
interface ReadPacket {
  readonly packet: Omit<QueuePacket, 'payload'>;
  readonly flow: Flow;
  readonly received: HeldPacket;
  /** It was sent after that. */
  readonly notBeforeMs: MonotonicMs;
}

interface DecidedFlow {
  readonly key: string;
  readonly flow: Flow;
  readonly owner: Sender;
  readonly packets: readonly HeldPacket[];
}

function directionOf({ hook }: QueuePacket): Pick<Flow, 'inbound' | 'forwarded'> {
  if (hook === NF_INET_LOCAL_IN) return { inbound: true };
  return hook === NF_INET_PRE_ROUTING ? { forwarded: true } : {};
}

/** One socket's packets have the same; those of others may: then they share a place in the line. */
function socketKey({ protocol, source, sourcePort = 0 }: Flow): string {
  return `${protocol}|${sourcePort}|${source.value}`;
}

/** What comes by one device counts together. */
function userOf({ uid, ifIndexIn = 0 }: Pick<QueuePacket, 'uid' | 'ifIndexIn'>): number {
  return uid ?? NO_USER - ifIndexIn;
}

function awaitedName({ reason }: Decision): string {
  return reason.kind === 'name-not-known' ? reason.name : NO_NAME;
}

/** The kernel puts NFQA_PACKET_HDR, which starts with the id, before all other attributes. */
function firstPacketId(bytes: Uint8Array, start: number, end: number): number {
  const offset = start + NFGENMSG_BYTES + NLA_HDRLEN;
  return offset + 4 <= end ? readU32Be(bytes, offset) : 0;
}
