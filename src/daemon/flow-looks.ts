/** When live flows are looked at, and because of what: with each change, and once more when it has settled. */
import type { Background } from '../kernel/background.ts';
import { type ChangedPolicies, FACTS_CHANGED, isNothing, joinChanges, NOTHING_CHANGED } from './changed-policies.ts';

/** Flows that were decided while something changed are in conntrack by then. */
export const SETTLED_AFTER_MS = 1000;
/** Uplinks that come and go have all flows read no more often than this. */
export const LOOK_EVERY_MS = 200;

export class FlowLooks {
  readonly #request: () => void;
  readonly #background: Background;
  readonly #monotonicMs: () => number;
  /** To be looked at once more. */
  #settling: ChangedPolicies = NOTHING_CHANGED;
  #settled: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  #due: ChangedPolicies = NOTHING_CHANGED;
  #lookedMs = Number.NEGATIVE_INFINITY;

  /** `request`: leads to `take`, sooner or later. */
  constructor(request: () => void, background: Background, monotonicMs: () => number = () => performance.now()) {
    this.#background = background;
    this.#request = request;
    this.#monotonicMs = monotonicMs;
  }

  /** What the look that is due now has to be about; nothing: none is. */
  take(changed: ChangedPolicies): ChangedPolicies {
    if (!isNothing(changed)) {
      this.#settling = joinChanges(this.#settling, changed);
      clearTimeout(this.#settled);
      this.#settled = this.#background.timeout(() => {
        this.#due = joinChanges(this.#due, this.#settling);
        this.#settling = NOTHING_CHANGED;
        this.#request();
      }, SETTLED_AFTER_MS);
    }
    const since = joinChanges(this.#due, changed);
    if (isNothing(since)) return since;
    const nowMs = this.#monotonicMs();
    if (isOnlyOfFacts(since) && nowMs - this.#lookedMs < LOOK_EVERY_MS) {
      this.#due = since;
      this.soon();
      return NOTHING_CHANGED;
    }
    this.#due = NOTHING_CHANGED;
    this.#lookedMs = nowMs;
    return since;
  }

  /** There is more to do than could be done at once. */
  soon(): void {
    this.#soon ??= this.#background.timeout(() => {
      this.#soon = undefined;
      this.#due = joinChanges(this.#due, FACTS_CHANGED);
      this.#request();
    }, LOOK_EVERY_MS);
  }

  stop(): void {
    clearTimeout(this.#settled);
    clearTimeout(this.#soon);
  }
}

const isOnlyOfFacts = ({ apps, rematched, isStart }: ChangedPolicies): boolean =>
  apps !== 'everyone' && apps.size === 0 && rematched.size === 0 && !isStart;
