/** What works on a machine, and what would mend what does not. All fields are plain JSON. */

/** `not seen`: whoever asks may not look at it. */
export type FindingState = 'ok' | 'limited' | 'broken' | 'not seen';

export interface Finding {
  /** What was looked at: `nftables`, `uplink wifi`. */
  readonly part: string;
  readonly state: FindingState;
  /** What it is, and what follows from that. */
  readonly message: string;
  /** What to type or to change; absent where nothing is to be done. */
  readonly mend?: string;
}

export interface DoctorReport {
  /** The network that a daemon here governs. */
  readonly network: string;
  readonly kernel: string;
  readonly findings: readonly Finding[];
}
