/** What a scenario is: one sender, what it sends, and whose it should be held to be. */
import type { Ended } from './ended.ts';
import type { ArrivedBy } from './reference.ts';
import type { Expected, Sent } from './score/score.ts';
import type { World } from './world.ts';

export type To = 'v4' | 'v6' | 'loopback' | 'multicast' | 'broadcast' | 'resolver' | 'resolver6';

/** A second program of a scenario, with a policy of its own where it has a `match`. */
export interface Companion {
  readonly name: string;
  readonly source: string;
  readonly isMatched?: boolean;
  /** Path at which the daemon finds it, if there is such a file. */
  readonly standsAt?: string;
}

export interface Scenario {
  /** The sender's application, and the name of its program. */
  readonly name: string;
  readonly what: string;
  /** A file of senders/. Absent: `run` needs no program. */
  readonly source?: string;
  readonly isStatic?: boolean;
  readonly companions?: readonly Companion[];
  /** Where to; each scenario has an address of its own. */
  readonly to?: To;
  readonly sends: Sent;
  /** COUNT of the sender, where it is not that of `sends`. */
  readonly count?: number;
  /** MORE of the sender. */
  readonly more?: (stage: Stage) => readonly string[];
  /** What stands below `match`. Absent: the program's path. `none`: there is no policy. */
  readonly match?: ((stage: Stage) => string) | 'none';
  /** What stands below the policy's `match`. Absent: everything is allowed, and nothing else. */
  readonly policy?: string;
  /** Whether the sender ends at once: others hold their socket for as long as anybody could take to look for it. */
  readonly isBrief?: boolean;
  /** Absent: the sender's application. */
  readonly expected?: Expected;
  /** The link by which it has to arrive. */
  readonly by?: ArrivedBy;
  /** User, for the program as it is started. */
  readonly uid?: string;
  /** Whether it runs in the scenario's own cgroup. */
  readonly inCgroup?: boolean;
  /** Before policies are read. */
  readonly prepare?: (stage: Stage) => void | Promise<void>;
  /** Absent: the program is run with address, port, count and `more`. */
  readonly run?: (stage: Stage) => Promise<Ended>;
}

/** A scenario in its place. */
export interface Stage {
  readonly scenario: Scenario;
  readonly world: World;
  /** Path of the sender's program. */
  readonly program: string;
  readonly address: string;
  /** Path of a companion. */
  companion(name: string): string;
  /** The cgroup's path below the root of all. */
  readonly cgroup: string;
  /** The sender's arguments. `address`: written otherwise than the stage's. */
  args(more?: readonly string[], address?: string): readonly string[];
}
