/** All kernel objects that should exist, as plain data. What is not in it should not exist under our names. */
import type { Address, Family, Prefix } from '../net/address.ts';
import type { Ruleset } from './nft/ruleset.ts';

/** An entry of the routing policy database (`ip rule`). Exactly one action. */
export interface PlannedRule {
  readonly family: Family;
  readonly priority: number;
  readonly fwmark?: { readonly mark: number; readonly mask: number };
  readonly from?: Prefix;
  readonly suppressPrefixLength?: number;
  readonly action: { readonly kind: 'table'; readonly table: number } | { readonly kind: 'unreachable' };
}

/** A route in one of our tables. */
export interface PlannedRoute {
  readonly family: Family;
  readonly table: number;
  readonly destination: Prefix;
  readonly metric: number;
  readonly target:
    | { readonly kind: 'unicast'; readonly deviceIndex: number; readonly gateway?: Address; readonly source?: Address }
    | { readonly kind: 'throw' };
}

/** The NFQUEUE rules in iptables' and ip6tables' mangle OUTPUT and INPUT, on kernels without nft `queue`. */
export interface XtablesQueue {
  readonly number: number;
  readonly bypass: boolean;
  readonly mark: number;
  readonly mask: number;
}

/** Way bits of a mark, by the family of the socket. */
export interface SocketWay {
  readonly v4: number;
  readonly v6: number;
}

export interface Plan {
  readonly nft: Ruleset;
  readonly rules: readonly PlannedRule[];
  readonly routes: readonly PlannedRoute[];
  readonly xtablesQueue?: XtablesQueue;
  /** By the number of a program. */
  readonly socketWays: ReadonlyMap<number, SocketWay>;
}
