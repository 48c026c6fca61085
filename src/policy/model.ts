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
  'kernel',
] as const;

export type MatchKind = (typeof MATCH_KINDS)[number];

/**
 * One entry of `match`: what a process must be to be this application. `value` is a path (script, exec, cgroup), a name, or
 * a number as text (user, group), or what of the kernel sends (kernel: `kernel-senders.ts`). `written`: of a program that is named by a link, as people wrote it, where `value` is the file to which that
 * led when it was looked at. `fromPackage`: made from a `package` entry, which stands at the same place.
 */
export interface Match {
  readonly kind: MatchKind;
  readonly value: string;
  readonly at: SourceLocation;
  readonly written?: string;
  readonly fromPackage?: string;
  /** Only a package's file names it: it takes no program out of the administrator's `children: same`. */
  readonly shipped?: true;
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
    /** What is reached without a router; beside the groups, which go by the address alone. */
    | { readonly kind: 'on-link' }
    | { readonly kind: 'name'; readonly name: string };
  readonly ports?: readonly PortRange[];
  readonly protocol?: DestinationProtocol;
  readonly at: SourceLocation;
}

export type UplinkType = 'ethernet' | 'wifi' | 'cellular' | 'vpn' | 'satellite' | 'bluetooth' | 'other';

/** What is said of an uplink in numbers: round-trip time in milliseconds, loss from 0 to 1, bandwidth in bits per second. */
export type Quantity = 'rtt' | 'loss' | 'bandwidth';

/** Properties of an uplink. Flags and type always have a value (defaults: false, `other`); a number that nobody states is not known. */
export interface UplinkProperties {
  readonly type: UplinkType;
  readonly metered: boolean;
  readonly roaming: boolean;
  readonly trusted: boolean;
  readonly encrypted: boolean;
  readonly bandwidthBitsPerSecond?: number;
  /** Where nobody measures. */
  readonly rttMs?: number;
  readonly lossRatio?: number;
}

export type Comparator = '<' | '<=' | '>' | '>=';

/** A bound on a quantity, in its unit. `text`: as people write it, without blanks. */
export interface Bound {
  readonly comparator: Comparator;
  readonly value: number;
  readonly text: string;
}

/** Who says what a property is. `guess`: from circumstances, and not from what somebody set. */
export interface PropertySource {
  /** `carrier`: what carries a tunnel's packets, or a VLAN's; `unknown carrier`: that nobody knows it. */
  readonly by: 'file' | 'ModemManager' | 'NetworkManager' | 'carrier' | 'unknown carrier' | 'kernel' | 'default';
  readonly guess?: true;
}

export type PropertySources = { readonly [P in keyof UplinkProperties]: PropertySource };

/**
 * A set of wanted properties: each one that is present must hold. `name` and `type` hold if any of the list does. `validated`
 * and bounds hold only where the value is known.
 */
export interface PropertyConstraint {
  readonly name?: readonly string[];
  readonly type?: readonly UplinkType[];
  readonly metered?: boolean;
  readonly roaming?: boolean;
  readonly trusted?: boolean;
  readonly encrypted?: boolean;
  /** Whether probes reach somebody beyond the gateway by it. */
  readonly validated?: boolean;
  readonly rtt?: Bound;
  readonly loss?: Bound;
  readonly bandwidth?: Bound;
}

/** What becomes of local destinations (`local-networks.ts`): they go by the uplink, too, or are refused. */
export type LocalWay = 'via' | 'block';

/** What goes by one uplink as a whole, where several that are equally good share the traffic. */
export type Share = 'connection' | 'destination' | 'app';

/** Which way out (TAPS selection words, RFC 9622 section 6.2). */
export interface Via {
  readonly require: PropertyConstraint;
  readonly prefer: PropertyConstraint;
  readonly avoid: PropertyConstraint;
  readonly prohibit: PropertyConstraint;
  /** When no uplink meets `require` and `prohibit`: refuse, wait a while for one, or take any uplink that is up. */
  readonly else: 'block' | 'wait' | 'any';
  /** Absent: the best uplink alone. */
  readonly share?: Share;
  /** So long another uplink has to come first before new connections leave those that they have taken. Absent: not at all. */
  readonly stickyMs?: number;
  /** Absent: they are reached directly. */
  readonly local?: LocalWay;
  readonly at: SourceLocation;
}

/** By the machine's own clock and zone. `weekday`: 0 Sunday to 6 Saturday; `minute`: of the day, from 0. */
export interface LocalTime {
  readonly weekday: number;
  readonly minute: number;
}

/** Every week. `toMinute` is not included; where it is before `fromMinute`, the window ends on the next day. */
export interface TimeWindow {
  readonly days: readonly number[];
  readonly fromMinute: number;
  readonly toMinute: number;
}

/**
 * All that is stated holds: of `times` one is now, and one and the same uplink that is up is one of `uplinks`, and in a network of
 * one of `ssids`, by one of `gateways`, with one of `domains`.
 */
export interface ProfileCondition {
  readonly uplinks?: readonly string[];
  readonly ssids?: readonly string[];
  /** MAC addresses: `00:00:5e:00:53:01`. */
  readonly gateways?: readonly string[];
  /** In small letters, without the final dot. */
  readonly domains?: readonly string[];
  readonly times?: readonly TimeWindow[];
}

/** One valid profile file, `/etc/pointsman/profiles/NAME.yaml`. It holds while any condition does. */
export interface Profile {
  readonly name: string;
  readonly when: readonly ProfileCondition[];
  readonly at: SourceLocation;
}

/** `to` is never empty: a rule for everything says `*`. */
export interface Rule {
  readonly to: readonly Destination[];
  readonly do: Verb;
  readonly via?: Via;
  /** Profiles: it holds while any of them does. Absent: always. */
  readonly during?: readonly string[];
  readonly at: SourceLocation;
}

export interface Otherwise {
  readonly do: Verb;
  readonly at: SourceLocation;
}

/** Whether the rules of weaker layers that allow are reached before the `otherwise` of this one. */
export type Below = 'cut' | 'keep';

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

/** What becomes of live connections when another uplink would be chosen for them now, or theirs is down. */
export type Existing = 'keep' | 'drain' | 'abort';

/** How long an application's connections usually last (TAPS connection property, RFC 9622 section 4.2). */
export type Duration = 'long' | 'short';

/** One word of a file, and where it stands. */
export interface Word<T extends string> {
  readonly word: T;
  readonly at: SourceLocation;
}

/** One valid policy file. Absent means the file does not state it. */
export interface Policy {
  readonly app: string;
  readonly name?: string;
  readonly match: readonly Match[];
  readonly rules: readonly Rule[];
  readonly otherwise?: Otherwise;
  /** Absent: `cut`. */
  readonly below?: Word<Below>;
  readonly via?: Via;
  readonly accept?: Accept;
  readonly children?: Children;
  readonly existing?: Word<Existing>;
  readonly duration?: Word<Duration>;
  readonly file: string;
  readonly at: SourceLocation;
}

/** What is asked whether an uplink works; with no target at all its gateway is, by ICMP. */
export interface UplinkProbe {
  readonly icmp: readonly Address[];
  readonly tcp: readonly { readonly address: Address; readonly port: number }[];
  /** An address, or a name in lower case. `path` starts with a slash. */
  readonly http?: { readonly host: Address | string; readonly port: number; readonly path: string };
  readonly dns?: { readonly server: Address; readonly name: string };
  readonly intervalMs: number;
}

/**
 * One way out: by a valid file, `/etc/pointsman/uplinks/NAME.yaml`, or found in the kernel. `priority`: lower is taken first among
 * equals.
 */
export interface Uplink {
  readonly name: string;
  readonly device: string;
  readonly priority: number;
  /** Its part of what uplinks share. Absent: 1. */
  readonly weight?: number;
  readonly properties: UplinkProperties;
  /** Absent: the file says all of them. */
  readonly sources?: PropertySources;
  /** No file is about it. */
  readonly discovered?: true;
  /** The network alone announced it, and nobody on this machine has admitted it: it meets no `via`. */
  readonly untaken?: true;
  /** Next hops, in place of what the kernel's own default routes tell. */
  readonly gateways: { readonly v4?: string; readonly v6?: string };
  /** Absent: the gateway, at the usual interval. */
  readonly probe?: 'off' | UplinkProbe;
  /** DNS servers of that network; absent: the configured ones, as far as it leads to them. */
  readonly resolvers?: readonly Address[];
  /** What is on that network, however much it is, whoever says so. */
  readonly networks?: readonly Prefix[];
  readonly at: SourceLocation;
}

/**
 * Of flows of programs that serve a network namespace: the strictest decision of what may be behind them, that of a program without a
 * policy, or none at all.
 */
export type UserModeNetworking = 'strictest' | 'default' | 'deny';

/** Of what no file states. */
export const BUILT_IN: SourceLocation = { file: '(built in)', line: 1, column: 1 };

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
  /** Which uplinks there are: just those that files name, or also those that are found in the kernel. Absent: `discovered`. */
  readonly uplinks?: 'files' | 'discovered';
  /** Whether what the network alone announced is an uplink, too. */
  readonly trustFound?: true;
  /** What holds for what is behind user-mode networking (`user-mode-networking.ts`). Absent: `strictest`. */
  readonly userModeNetworking?: Word<UserModeNetworking>;
  /** Groups whose members may change policy, uplink and profile files; names, or numbers as text. */
  readonly trustedGroups?: readonly string[];
}
