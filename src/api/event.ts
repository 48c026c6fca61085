/** One line of `GET /v1/watch` (newline-delimited JSON). */
import type { Decision, RefusalCause } from '../policy/decision.ts';

export type WatchEvent = DecisionEvent | ChangeEvent | UplinkEvent | WarningEvent;

/** A flow was decided: by user space, or by the kernel alone (then reported by conntrack or the refusal log). */
export interface DecisionEvent {
  readonly kind: 'decision';
  readonly timeMs: number;
  readonly by: 'daemon' | 'kernel';
  /** "tcp 10.0.0.1:4000 -> 203.0.113.9:80" in parts. */
  readonly protocol: string;
  readonly source: string;
  readonly destination: string;
  /** It came in: `source` is the peer, `destination` an address of this machine. */
  readonly inbound?: true;
  readonly app?: string;
  readonly executable?: string;
  readonly pid?: number;
  readonly uid?: number;
  readonly verdict: Decision['verdict'];
  readonly cause?: RefusalCause;
  /** "wifi", "system", "local", "inbound". */
  readonly way?: string;
  /** In one line: rule, file and line. */
  readonly reason: string;
  readonly latencyMicroseconds?: number;
}

export interface ChangeEvent {
  readonly kind: 'change';
  readonly timeMs: number;
  readonly revision: number;
  readonly because: string;
  readonly changes: number;
  readonly durationMs: number;
  readonly error?: string;
}

/** A way out was found, has gone, or is another than before. */
export interface UplinkEvent {
  readonly kind: 'uplink';
  readonly timeMs: number;
  readonly uplink: string;
  readonly device: string;
  readonly what: 'found' | 'gone' | 'changed';
  /** `now IPv4, was IPv4 and IPv6; metered yes (NetworkManager, guess)`; empty where it has gone. */
  readonly details: string;
}

export interface WarningEvent {
  readonly kind: 'warning';
  readonly timeMs: number;
  readonly code: string;
  readonly message: string;
  readonly over: boolean;
}
