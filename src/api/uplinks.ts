/** `GET /v1/uplinks`: each way out, what it is, who uses it, and who does not and why. All fields are plain JSON. */
import type { AttachedNetwork, DownCause, UplinkState } from '../policy/facts.ts';
import type { ShownProperty } from '../policy/shown-properties.ts';
import type { TrafficTotal, TrafficTotals } from './traffic-totals.ts';

/** Of connections that are open now. `packets` and `bytes`, both directions, only where the kernel counts them. */
export interface Traffic {
  readonly connections: number;
  readonly packets?: number;
  readonly bytes?: number;
}

export interface AppTraffic extends Traffic {
  /** An application, or what the connection's mark says instead: `no policy`, `pointsman` for the daemon itself. */
  readonly app: string;
}

/** Of open and ended connections. */
export interface AppTotal extends TrafficTotal {
  /** As `AppTraffic.app`. */
  readonly app: string;
}

/** What is to be known of all `totals`. */
export interface TotalsReport extends Omit<TrafficTotals, 'accounts' | 'isCounted'> {
  /** By no uplink, or by one that is not among `uplinks`: in words. */
  readonly others: readonly (AppTotal & { readonly way: string })[];
}

/** Applications whose `via` comes to the same answer; a `via` of a single rule is named with its line. */
export interface PassedOver {
  readonly because: string;
  readonly apps: readonly string[];
  /** Further ones. */
  readonly more: number;
}

export interface UplinkReport {
  readonly name: string;
  readonly device: string;
  /** No file names it. */
  readonly discovered: boolean;
  /** `not taken`: the network alone announced it. */
  readonly state: 'up' | 'down' | 'no device' | 'not taken';
  /** Where it is down. */
  readonly downBecause?: DownCause;
  readonly v4: boolean;
  readonly v6: boolean;
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
  /** Networks that it says to be local, and that are not for who asks for an encrypted uplink, a trusted one or one by its name. */
  readonly notBelieved?: readonly string[];
  readonly properties: readonly ShownProperty[];
  readonly priority: number;
  readonly health?: NonNullable<UplinkState['health']>;
  /** The network that it is in, as far as it is known: what profiles can tell it by. */
  readonly network?: AttachedNetwork;
  /** NetworkManager's name of the connection. */
  readonly connection?: string;
  /** Of a modem: `LTE`. */
  readonly technologies: readonly string[];
  readonly operator?: string;
  /** DNS servers that belong to it. */
  readonly dns: readonly string[];
  readonly traffic: Traffic;
  /** Who has connections by it, most first; the daemon itself, which asks whether it works, last. */
  readonly usedBy: readonly AppTraffic[];
  /** Since the daemon started, by application; most bytes first, the daemon itself last. Absent: no daemon. */
  readonly totals?: readonly AppTotal[];
  /** Whose new connections take it. */
  readonly takenBy: PassedOver[];
  readonly passedOver: readonly PassedOver[];
}

export interface UplinksReport {
  readonly uplinks: readonly UplinkReport[];
  /** By no uplink: `the system’s route`, `direct connection`, `came in`, `refused`. */
  readonly others: readonly (Traffic & { readonly way: string })[];
  /** Whether the kernel counts packets and bytes (net.netfilter.nf_conntrack_acct). */
  readonly isCounted: boolean;
  /** Why there are no connections in this report. */
  readonly connectionsUnknown?: string;
  /** Absent: no daemon, which alone counts what has ended. */
  readonly totals?: TotalsReport;
}
