/** From a decision to what is said to the kernel about one packet. */
import { NF_ACCEPT, NF_DROP } from '../netlink/uapi.ts';
import {
  APP_INBOUND,
  APP_KERNEL,
  APP_NONE,
  APP_SERVED,
  APP_UNKNOWN,
  CODE_DENIED,
  CODE_NO_UPLINK,
  CODE_QUEUE,
  MARK_FOREIGN,
  MARK_OURS,
  UPLINK_INBOUND,
  UPLINK_LOCAL,
  UPLINK_SYSTEM,
  wayMark,
} from '../plan/reserved.ts';
import type { Decision, FinalDecision, RefusalCause, Way } from '../policy/decision.ts';
import type { Sender } from '../policy/identity.ts';

/** `mark` absent: the packet keeps its own. */
export interface PacketVerdict {
  readonly verdict: typeof NF_ACCEPT | typeof NF_DROP;
  readonly mark?: number;
}

/** The application bits of an owner's flows. */
export function appIdOf(owner: Sender, decision: Decision, appIds: ReadonlyMap<string, number>): number {
  if (decision.reason.kind === 'inbound') return APP_INBOUND;
  if (decision.reason.kind === 'user-mode-networking') return APP_SERVED;
  if (decision.app !== undefined) return appIds.get(decision.app) ?? APP_NONE;
  if (decision.reason.kind === 'unknown-owner') return APP_UNKNOWN;
  switch (owner.kind) {
    case 'unknown':
      return APP_UNKNOWN;
    case 'kernel':
      return APP_KERNEL;
    case 'process':
    case 'one of':
    case 'container':
      return APP_NONE;
  }
}

/** Refusals are carried out by the chain after the queue: it sees the code in the mark. Foreign bits stay as they are. */
export function packetVerdict(decision: FinalDecision, appId: number, packetMark: number): PacketVerdict {
  switch (decision.verdict) {
    case 'accept':
      return { verdict: NF_ACCEPT, mark: ours(packetMark, wayMark(uplinkOf(decision.way)) | appId) };
    case 'reject':
      return { verdict: NF_ACCEPT, mark: ours(packetMark, isForGood(decision.cause) ? CODE_DENIED : CODE_NO_UPLINK) };
    case 'drop':
      return { verdict: NF_DROP };
  }
}

/** Another uplink would not help. */
const isForGood = (cause: RefusalCause): boolean => FOR_GOOD[cause];
const FOR_GOOD: Readonly<Record<RefusalCause, boolean>> = {
  denied: true,
  'local-blocked': true,
  'own-tunnel': true,
  'no-uplink': false,
  'other-device': false,
};

/** As what a policy denies. */
export function refusedVerdict(packetMark: number): PacketVerdict {
  return { verdict: NF_ACCEPT, mark: ours(packetMark, CODE_DENIED) };
}

/** No room to wait: what the files say for the time when nobody can be asked. */
export function unansweredVerdict(whenAway: 'closed' | 'open', packetMark: number): PacketVerdict {
  return whenAway === 'closed' ? { verdict: NF_DROP } : { verdict: NF_ACCEPT, mark: ours(packetMark, CODE_QUEUE) };
}

function ours(packetMark: number, bits: number): number {
  return ((packetMark & MARK_FOREIGN) | MARK_OURS | bits) >>> 0;
}

function uplinkOf(way: Way): number {
  switch (way.kind) {
    case 'system':
      return UPLINK_SYSTEM;
    case 'local':
      return UPLINK_LOCAL;
    case 'uplink':
      return way.id;
    case 'inbound':
      return UPLINK_INBOUND;
  }
}
