import type { MonotonicMs } from '../net/clock.ts';
import type { PolicySet } from '../policy/effective-policy.ts';

/** Files take effect when they are saved; whoever then asks for a trial means what was in force before he began to edit. */
export const SETTLED_MS = 300_000;
const MAX_ENTRIES = 64;

/** Which policy set an unconfirmed change leads back to: one that was said yes to, or has been in force for long. */
export class PolicyHistory {
  #entries: { readonly policySet: PolicySet; readonly sinceMs: MonotonicMs }[] = [];

  note(policySet: PolicySet, nowMs: MonotonicMs): void {
    if (this.#entries.at(-1)?.policySet === policySet) return;
    this.#entries.push({ policySet, sinceMs: nowMs });
    // Of many quick changes those in the middle matter least.
    if (this.#entries.length > MAX_ENTRIES) this.#entries.splice(1, 1);
  }

  /** Somebody said yes to what is in force. */
  settle(): void {
    this.#entries = this.#entries.slice(-1);
  }

  settled(nowMs: MonotonicMs): PolicySet | undefined {
    const old = this.#entries.findLastIndex(({ sinceMs }) => nowMs - sinceMs >= SETTLED_MS);
    if (old > 0) this.#entries = this.#entries.slice(old);
    return this.#entries[0]?.policySet;
  }
}
