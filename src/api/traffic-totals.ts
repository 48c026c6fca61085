/** What connections have carried since the daemon started, those that have ended too. All fields are plain JSON. */

/** `unknown`: an uplink that was gone before anybody knew its name. */
export type Way = 'uplink' | 'system' | 'local' | 'inbound' | 'refused' | 'unknown';

/** Of one direction. */
export interface Volume {
  readonly packets: number;
  readonly bytes: number;
}

/** None of these numbers is ever lower than it was, for as long as the daemon runs; but for `open`. */
export interface TrafficTotal {
  /** Since the daemon started; a connection that was open then has not begun. */
  readonly begun: number;
  readonly ended: number;
  /** Now. */
  readonly open: number;
  /** By this machine; both only where the kernel has counted any of them. */
  readonly sent?: Volume;
  readonly received?: Volume;
}

/** An application, or who else it is (`no policy`), by one way. */
export interface AccountTotal extends TrafficTotal {
  readonly app: string;
  readonly way: Way;
  /** Its name, where the way is one. */
  readonly uplink?: string;
}

export interface TrafficTotals {
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
  /** Sorted by application, way and uplink. */
  readonly accounts: readonly AccountTotal[];
  /** How often the kernel could not tell of connections that had ended: from then on the totals are at least those. */
  readonly overruns: number;
  /** Whether the kernel counts packets and bytes (net.netfilter.nf_conntrack_acct). */
  readonly isCounted: boolean;
  /** Whether it tells of connections that end (net.netfilter.nf_conntrack_events). */
  readonly isTold: boolean;
  /** Why what is open could not be looked at: it is as of the last look. */
  readonly openUnknown?: string;
}
