/** What came of the daemon's look whether the kernel does what policies say. All fields are plain JSON. */

/** `difference`: the kernel did something else than the policy says. `not tried`: nothing could be sent, or the policy cannot say yet. */
export type CheckOutcome = 'as the policy says' | 'difference' | 'not tried';

export interface CheckedTier {
  /** As whom it was sent: `exec:/usr/bin/curl`, `a program without a policy`, `the daemon, asked about`. */
  readonly as: string;
  readonly app?: string;
  readonly destination: string;
  readonly outcome: CheckOutcome;
  /** In words: what the policy says, and what came to the end. */
  readonly found: string;
}

export interface SelfCheckReport {
  readonly tiers: readonly CheckedTier[];
  /** Why there was no check. */
  readonly notDone?: string;
}
