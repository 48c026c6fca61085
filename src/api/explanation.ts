/** `POST /v1/explain`: why a flow would be decided as it would be. */

export interface ExplainQuery {
  /** Exactly one of the three says who. */
  readonly app?: string;
  readonly exe?: string;
  readonly pid?: number;
  /** Address or name. */
  readonly host: string;
  readonly port?: number;
  readonly protocol: 'tcp' | 'udp' | 'icmp';
}

export interface ExplainedRule {
  readonly index: number;
  readonly layer: string;
  readonly file: string;
  readonly line: number;
  readonly text: string;
  readonly outcome: 'matched' | 'did not match' | 'name not known' | 'not reached';
}

export interface ExplainedUplink {
  readonly uplink: string;
  readonly taken: boolean;
  readonly because: string;
}

/** For one address of the destination. */
export interface ExplainedFlow {
  readonly address: string;
  readonly verdict: 'accept' | 'reject' | 'drop' | 'queue';
  readonly cause?: 'denied' | 'no-uplink';
  /** "uplink wifi", "the system's route", "directly connected". */
  readonly way?: string;
  readonly reason: string;
  readonly file?: string;
  readonly line?: number;
  readonly rules: readonly ExplainedRule[];
  readonly uplinks: readonly ExplainedUplink[];
  /** How the kernel comes to it: "decided in the kernel (cgroup map)" or "first packet goes to the daemon, because ...". */
  readonly path: string;
}

export interface Explanation {
  readonly app?: string;
  /** How the program was matched to the application, or that no policy names it. */
  readonly identity: string;
  /** Files that make the policy, strongest layer first. */
  readonly layers: readonly { readonly layer: string; readonly file: string }[];
  readonly destination: string;
  /** How the name came to its addresses; absent for an address. */
  readonly nameNote?: string;
  readonly flows: readonly ExplainedFlow[];
}
