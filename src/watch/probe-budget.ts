/**
 * What probing an uplink may cost: a bucket of probes and one of bytes, so that no minute sees more than the limit. Bytes are those of
 * both directions, on the IP layer, as far as a probe lets them come.
 */
export interface ProbeLimits {
  readonly probesPerMinute: number;
  readonly bytesPerMinute: number;
}

export const PROBE_LIMITS: ProbeLimits = { probesPerMinute: 60, bytesPerMinute: 60_000 };
/** Where traffic costs money. */
export const METERED_PROBE_LIMITS: ProbeLimits = { probesPerMinute: 12, bytesPerMinute: 15_000 };

/** At the most: IPv6, two attempts of TCP, a full receive buffer. */
export const PROBE_BYTES = { icmp: 160, tcp: 400, dns: 1700, http: 4000 } as const;

/** Of a minute's worth so much may come at once; the rest comes in the course of the minute. */
const BURST = 1 / 3;
const MINUTE_MS = 60_000;

export class ProbeBudget {
  readonly #limits: ProbeLimits;
  #probes: number;
  #bytes: number;
  #atMs: number;

  constructor(limits: ProbeLimits, nowMs: number) {
    this.#limits = limits;
    this.#probes = limits.probesPerMinute * BURST;
    this.#bytes = limits.bytesPerMinute * BURST;
    this.#atMs = nowMs;
  }

  /** Whether a probe of so many bytes may be sent now; if so it counts as sent. */
  take(bytes: number, nowMs: number): boolean {
    this.#refill(nowMs);
    if (this.#probes < 1 || this.#bytes < bytes) return false;
    this.#probes -= 1;
    this.#bytes -= bytes;
    return true;
  }

  #refill(nowMs: number): void {
    const { probesPerMinute, bytesPerMinute } = this.#limits;
    // A clock that was set back gives nothing.
    const minutes = Math.max(0, nowMs - this.#atMs) / MINUTE_MS;
    const filled = (now: number, limit: number): number => Math.min(limit * BURST, now + limit * (1 - BURST) * minutes);
    this.#probes = filled(this.#probes, probesPerMinute);
    this.#bytes = filled(this.#bytes, bytesPerMinute);
    this.#atMs = nowMs;
  }
}
