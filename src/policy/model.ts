/**
 * What people wrote, valid and typed: the stage between a document and an effective policy.
 * All values are plain data, so that a whole policy set can be handed to the verdict thread.
 */
import type { Address, Prefix } from '../net/address.ts';
import type { PortRange } from '../net/port.ts';

/** A place in a file; line and column count from 1. `file` is the path as the person would type it. */
export interface SourceLocation {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Where a file stands, weakest first (design: layers). */
export type Layer = 'builtin' | 'package' | 'administrator' | 'answers' | 'locks';

export type Verb = 'allow' | 'deny' | 'drop';

/** Kinds of `match` entries, the most exact first: of two that hold, the earlier one tells the application. */
export const MATCH_KINDS = [
  'script',
  'exec',
  'package',
  'cgroup',
  'unit',
  'container',
  'flatpak',
  'snap',
  'desktop',
  'user',
  'group',
] as const;

export type MatchKind = (typeof MATCH_KINDS)[number];

/**
 * One entry of `match`: what a process must be to be this application. `value` is a path (script, exec, cgroup), a name, or
 * a number as text (user, group). `fromPackage`: made from a `package` entry, which stands at the same place.
 */
export interface Match {
  readonly kind: MatchKind;
  readonly value: string;
  readonly at: SourceLocation;
  readonly fromPackage?: string;
}

/** Address groups with a name, fixed by RFCs: see `groups.ts`. */
export type Group = 'lan' | 'loopback' | 'multicast' | 'internet';

export type DestinationProtocol = 'tcp' | 'udp' | 'icmp';

/**
 * One entry of `to`. No `ports` means every port and also protocols that have none.
 * No `protocol`: with ports TCP and UDP, without ports every protocol.
 */
export interface Destination {
  readonly text: string;
  readonly target:
    | { readonly kind: 'any' }
    | { readonly kind: 'prefix'; readonly prefix: Prefix }
    | { readonly kind: 'group'; readonly group: Group }
    | { readonly kind: 'name'; readonly name: string };
  readonly ports?: readonly PortRange[];
  readonly protocol?: DestinationProtocol;
  readonly at: SourceLocation;
}

export type UplinkType = 'ethernet' | 'wifi' | 'cellular' | 'vpn' | 'satellite' | 'bluetooth' | 'other';

/** Properties of an uplink as its file states them; every one has a value (defaults: false, `other`). */
export interface UplinkProperties {
  readonly type: UplinkType;
  readonly metered: boolean;
  readonly roaming: boolean;
  readonly trusted: boolean;
  readonly encrypted: boolean;
}

/** A set of wanted properties: each one that is present must hold. `name` and `type` hold if any of the list does. */
export interface PropertyConstraint {
  readonly name?: readonly string[];
  readonly type?: readonly UplinkType[];
  readonly metered?: boolean;
  readonly roaming?: boolean;
  readonly trusted?: boolean;
  readonly encrypted?: boolean;
}

/** Which way out (TAPS selection words, RFC 9622 section 6.2). */
export interface Via {
  readonly require: PropertyConstraint;
  readonly prefer: PropertyConstraint;
  readonly avoid: PropertyConstraint;
  readonly prohibit: PropertyConstraint;
  /** When no uplink meets `require` and `prohibit`: refuse, or take any uplink that is up. */
  readonly else: 'block' | 'any';
  readonly at: SourceLocation;
}

/** `to` is never empty: a rule for everything says `*`. */
export interface Rule {
  readonly to: readonly Destination[];
  readonly do: Verb;
  readonly via?: Via;
  readonly at: SourceLocation;
}

export interface Otherwise {
  readonly do: Verb;
  readonly at: SourceLocation;
}

/** Who may connect, and to which local ports: `target` is the peer, never a name. An empty list: nobody. */
export interface Accept {
  readonly from: readonly Destination[];
  readonly at: SourceLocation;
}

/** Whether programs that it starts, and that have no policy of their own, count as the application. */
export interface Children {
  readonly are: 'same' | 'own';
  readonly at: SourceLocation;
}

/** One valid policy file. Absent means the file does not state it. */
export interface Policy {
  readonly app: string;
  readonly name?: string;
  readonly match: readonly Match[];
  readonly rules: readonly Rule[];
  readonly otherwise?: Otherwise;
  readonly via?: Via;
  readonly accept?: Accept;
  readonly children?: Children;
  readonly file: string;
  readonly at: SourceLocation;
}

/** One valid uplink file, `/etc/pointsman/uplinks/NAME.yaml`. `priority`: lower is taken first among equals. */
export interface Uplink {
  readonly name: string;
  readonly device: string;
  readonly priority: number;
  readonly properties: UplinkProperties;
  /** Next hops where the kernel's own default routes do not tell them. */
  readonly gateways: { readonly v4?: string; readonly v6?: string };
  /** DNS servers of that network; absent: the configured ones, as far as it leads to them. */
  readonly resolvers?: readonly Address[];
  readonly at: SourceLocation;
}

/** What holds for programs without a policy, and for what cannot be attributed. */
export interface SystemDefault {
  readonly otherwise: Otherwise;
  readonly via?: Via;
  /** Flows whose owner cannot be found out. */
  readonly unknown: Otherwise;
  /** Absent: whoever connects is accepted. */
  readonly accept?: Accept;
  /** New flows that need a verdict while no daemon is there to give one. */
  readonly whenAway: 'closed' | 'open';
}
