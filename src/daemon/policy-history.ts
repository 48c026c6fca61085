import type { MonotonicMs } from '../net/clock.ts';
import type { PolicySet } from '../policy/effective-policy.ts';
import type { SettledFiles } from '../store/policy-files.ts';

/** Files take effect when they are saved; whoever then asks for a trial means what was in force before he began to edit. */
export const SETTLED_MS = 300_000;
const MAX_ENTRIES = 64;

/** Which files an unconfirmed change leads back to: one that was said yes to, or has been in force for long. */
export class PolicyHistory {
  #entries: { readonly policySet: PolicySet; readonly files: SettledFiles; readonly sinceMs: MonotonicMs }[] = [];

  /** `files`: what people's files say in that policy set. */
  note(policySet: PolicySet, files: SettledFiles, nowMs: MonotonicMs): void {
    if (this.#entries.at(-1)?.policySet === policySet) return;
    this.#entries.push({ policySet, files, sinceMs: nowMs });
    // Of many quick changes those in the middle matter least.
    if (this.#entries.length > MAX_ENTRIES) this.#entries.splice(1, 1);
  }

  /** Somebody said yes to what is in force. */
  settle(): void {
    this.#entries = this.#entries.slice(-1);
  }

  settled(nowMs: MonotonicMs): SettledFiles | undefined {
    const old = this.#entries.findLastIndex(({ sinceMs }) => nowMs - sinceMs >= SETTLED_MS);
    if (old > 0) this.#entries = this.#entries.slice(old);
    return this.#entries[0]?.files;
  }
}
