/** What happens to a flow, and why: the one value that the kernel, `watch` and `explain` are about. */
import type { KernelSender } from './kernel-senders.ts';
import type { Layer, SourceLocation } from './model.ts';
import type { SlotRange } from './share-ranges.ts';

export type Way =
  | { readonly kind: 'system' }
  | { readonly kind: 'local' }
  | { readonly kind: 'uplink'; readonly name: string; readonly id: number }
  /** It came in, and what answers goes back. */
  | { readonly kind: 'inbound' };

export type Reason =
  | {
      readonly kind: 'rule';
      readonly index: number;
      readonly entry: string;
      readonly layer: Layer;
      readonly at: SourceLocation;
    }
  /** A DNS query that the rule at this place needs. */
  | { readonly kind: 'implied'; readonly layer: Layer; readonly entry: string; readonly at: SourceLocation }
  | { readonly kind: 'otherwise'; readonly layer: Layer; readonly at: SourceLocation }
  | { readonly kind: 'system-default'; readonly at: SourceLocation }
  | { readonly kind: 'unknown-owner'; readonly because: string; readonly at: SourceLocation }
  /** A connection that comes in: an entry of `accept` permits it, none does, or nobody says anything about it. */
  | { readonly kind: 'accept'; readonly entry: string; readonly layer?: Layer; readonly at: SourceLocation }
  | { readonly kind: 'not-accepted'; readonly layer?: Layer; readonly at: SourceLocation }
  | { readonly kind: 'accept-all' }
  /** Of what is behind user-mode networking: `strictest` is what was decided for it, of `app` where a policy is about that. */
  | { readonly kind: 'user-mode-networking'; readonly strictest: Reason; readonly app?: string }
  /** Of the same, by the system default at this place; or because more policies than are weighed may be behind it. */
  | { readonly kind: 'user-mode-refused'; readonly because: string; readonly at: SourceLocation }
  /** What a tunnel of this machine sends: what is in it has been decided. */
  | { readonly kind: 'tunnel' }
  /** What the kernel itself sends, and no policy names. */
  | { readonly kind: 'kernel'; readonly sender: KernelSender }
  | { readonly kind: 'loopback' }
  | { readonly kind: 'inbound' }
  /** Of a container that no policy names. */
  | { readonly kind: 'forwarded' }
  | { readonly kind: 'housekeeping'; readonly protocol: string }
  | { readonly kind: 'blocked-app'; readonly because: string }
  | { readonly kind: 'name-not-known'; readonly name: string; readonly at: SourceLocation }
  /** Allowed for the reason `instead`, and held until an uplink comes up that the `via` at this place permits. */
  | { readonly kind: 'no-uplink-yet'; readonly instead: Reason; readonly at: SourceLocation }
  | { readonly kind: 'daemon' };

export interface SharedRange extends SlotRange {
  readonly id: number;
}

/** How `via` came to its answer: each uplink, and what kept it or threw it out. */
export interface UplinkChoice {
  readonly via: SourceLocation;
  readonly way: Exclude<Way, { readonly kind: 'inbound' }> | { readonly kind: 'none' };
  /** Present where several share: whose each slot is. More than one is taken where the flow does not tell its slot. */
  readonly shared?: readonly SharedRange[];
  readonly considered: readonly { readonly uplink: string; readonly taken: boolean; readonly because: string }[];
}

interface Decided {
  readonly app?: string;
  readonly reason: Reason;
  readonly choice?: UplinkChoice;
}

export interface Accepted extends Decided {
  readonly verdict: 'accept';
  readonly way: Way;
}

/**
 * `no-uplink` is what `else: block` gives; `denied` is a rule's `deny`; `other-device`: its program chose a device that it may not
 * leave by; `local-blocked`: it goes to a local destination, and the `via` of the choice says `local: block`;
 * `own-tunnel`: its program carries on the very tunnel that the `via` of the choice takes.
 */
export type RefusalCause = 'denied' | 'no-uplink' | 'other-device' | 'local-blocked' | 'own-tunnel';

export interface Rejected extends Decided {
  readonly verdict: 'reject';
  readonly cause: RefusalCause;
  /** With `other-device`: which, and those by which it may leave; none where it goes to a network of another one. */
  readonly chosen?: { readonly device: string; readonly permitted: readonly string[] };
  /** With `own-tunnel`: its device. */
  readonly tunnel?: string;
}

export interface Dropped extends Decided {
  readonly verdict: 'drop';
}

/** Not decidable before a name is resolved, or an uplink is up. */
export interface Queued extends Decided {
  readonly verdict: 'queue';
}

/** A decision that says something about a packet now. */
export type FinalDecision = Accepted | Rejected | Dropped;

export type Decision = FinalDecision | Queued;
