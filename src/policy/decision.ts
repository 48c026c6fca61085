/** What happens to a flow, and why: the one value that the kernel, `watch` and `explain` are about. */
import type { Layer, SourceLocation } from './model.ts';

export type Way =
  | { readonly kind: 'system' }
  | { readonly kind: 'local' }
  | { readonly kind: 'uplink'; readonly name: string; readonly id: number };

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
  | { readonly kind: 'loopback' }
  | { readonly kind: 'inbound' }
  | { readonly kind: 'housekeeping'; readonly protocol: string }
  | { readonly kind: 'blocked-app'; readonly because: string }
  | { readonly kind: 'name-not-known'; readonly name: string; readonly at: SourceLocation }
  | { readonly kind: 'daemon' };

/** How `via` came to its answer: each uplink, and what kept it or threw it out. */
export interface UplinkChoice {
  readonly via: SourceLocation;
  readonly way: Way | { readonly kind: 'none' };
  readonly considered: readonly { readonly uplink: string; readonly taken: boolean; readonly because: string }[];
}

/**
 * `reject` with `no-uplink` is what `else: block` gives; with `denied` it is a rule's `deny`.
 * `queue` means: not decidable before a name is resolved.
 */
export type Decision = {
  readonly app?: string;
  readonly reason: Reason;
  readonly choice?: UplinkChoice;
} & (
  | { readonly verdict: 'accept'; readonly way: Way }
  | { readonly verdict: 'reject'; readonly cause: 'denied' | 'no-uplink' }
  | { readonly verdict: 'drop' }
  | { readonly verdict: 'queue' }
);
