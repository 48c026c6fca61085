/** `GET /v1/status`: how things stand. All fields are plain JSON. */
import type { Diagnostic } from '../policy/diagnostic.ts';
import type { FamilyHealth } from '../policy/facts.ts';

export type DaemonState = 'starting' | 'enforcing' | 'degraded' | 'blocked' | 'stopping';

/** A condition that lasts and that somebody should know: shown until it is over. `code` is stable. */
export interface HealthWarning {
  readonly code: string;
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
  readonly sinceMs: number;
}

export interface UplinkStatus {
  readonly name: string;
  readonly device: string;
  readonly up: boolean;
  readonly v4: boolean;
  readonly v6: boolean;
  /** Found, but the network alone announced it: no `via` takes it. */
  readonly notTaken?: true;
  readonly properties: string;
  readonly addresses: readonly string[];
  /** What was measured, by family; absent where nothing was. */
  readonly health?: { readonly v4?: FamilyHealth; readonly v6?: FamilyHealth };
}

/** One application: how many rules and by which tier it is told. */
export interface AppStatus {
  readonly app: string;
  readonly id: number;
  readonly rules: number;
  readonly files: readonly string[];
  readonly tier: 'script' | 'executable' | 'children' | 'cgroup' | 'user' | 'slow path' | 'none';
  readonly blocked?: string;
}

/** Whether the kernel tells by itself, and why not. */
export interface TierStatus {
  readonly inKernel: boolean;
  readonly because?: string;
}

/** How programs are told. */
export interface IdentityStatus {
  readonly executables: TierStatus;
  readonly scripts: TierStatus;
  /** What applications with `children: same` start. */
  readonly children: TierStatus;
  /** Whether the kernel goes on telling when the daemon is killed; absent where sockets are not marked. */
  readonly kept?: TierStatus;
  /** Since they were first marked; absent where sockets are not. */
  readonly sockets?: {
    readonly marked: number;
    readonly unmarked: number;
    readonly foreign: number;
    /** Processes for which there was no room in what the kernel keeps of children and scripts. */
    readonly tasksLost: number;
  };
}

export interface VerdictStatistics {
  readonly queued: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly dropped: number;
  readonly held: number;
  readonly undecodable: number;
  /** Time from packet received to verdict sent, microseconds; absent before the first verdict. */
  readonly latencyMicroseconds?: { readonly p50: number; readonly p99: number };
}

/** Queries that followed their application, since the daemon started. */
export interface DnsStatistics {
  readonly asked: number;
  readonly answered: number;
  /** Told that it did not work. */
  readonly failed: number;
  /** What came from a resolver and was no answer to a query: it was dropped. */
  readonly mismatched: number;
  /** Names in rules for which an answer brought new addresses. */
  readonly learned: number;
}

export interface Status {
  readonly state: DaemonState;
  readonly version: string;
  readonly pid: number;
  readonly sinceMs: number;
  /** Root under which etc, var and run are; `/` on a real machine. */
  readonly root: string;
  readonly revision: number;
  readonly queue: 'nft' | 'xtables';
  readonly identity: IdentityStatus;
  readonly apps: readonly AppStatus[];
  readonly uplinks: readonly UplinkStatus[];
  /** Sorted by name. Absent: there are none. */
  readonly profiles?: readonly { readonly name: string; readonly holds: boolean }[];
  readonly verdicts: VerdictStatistics;
  readonly dns: DnsStatistics;
  readonly warnings: readonly HealthWarning[];
  readonly diagnostics: readonly Diagnostic[];
  readonly residentBytes: number;
  /** Set while a change waits for `pointsman confirm`. */
  readonly confirmBeforeMs?: number;
}
