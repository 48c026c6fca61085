/**
 * When the daemon looks at what others did: at once where that touches ours, unless somebody does it again and again; else where it has not looked for a
 * while. One look for all that comes until then.
 */

import type { Background } from '../kernel/background.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { Generation } from '../netlink/nftables.ts';
import type { Trigger } from './pending.ts';
import type { RepairPace } from './repair-pace.ts';

/** Who flushes a table removes its routes one by one. */
export const REMOVALS_TOGETHER_MS = 20;

export interface ForeignLooksParts {
  readonly background: Background;
  readonly pace: RepairPace;
  readonly nowMs: () => MonotonicMs;
  readonly request: (trigger: Trigger) => void;
  /** Somebody has changed nftables: what nothing tells of may have changed as well. */
  readonly onForeign: () => void;
}

export class ForeignLooks implements Disposable {
  readonly #parts: ForeignLooksParts;
  /** What it is to look at, the latest of each kind. */
  readonly #triggers = new Map<Trigger['kind'], Trigger>();
  #timer: NodeJS.Timeout | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #isOurs = false;

  constructor(parts: ForeignLooksParts) {
    this.#parts = parts;
  }

  /** `isOurs`: what is ours was touched, or may have been. */
  look(trigger: Trigger, isOurs: boolean): void {
    const { pace, nowMs } = this.#parts;
    this.#triggers.set(trigger.kind, trigger);
    this.#isOurs ||= isOurs;
    const togetherMs = trigger.kind === 'foreign' ? 0 : REMOVALS_TOGETHER_MS;
    const dueMs = nowMs() + Math.max(togetherMs, pace.delayMs(nowMs(), isOurs));
    if (dueMs < this.#dueMs) this.#lookAt(dueMs);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #lookAt(dueMs: MonotonicMs): void {
    const { background, nowMs } = this.#parts;
    clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = background.timeout(() => this.#lookNow(), Math.max(0, dueMs - nowMs()));
  }

  #lookNow(): void {
    const { pace, nowMs, request, onForeign } = this.#parts;
    this.#dueMs = Number.POSITIVE_INFINITY;
    // Before anything of it can fail: none is to be lost.
    const triggers = [...this.#triggers.values()];
    const isOurs = this.#isOurs;
    this.#triggers.clear();
    this.#isOurs = false;
    for (const trigger of triggers) request(trigger);
    pace.looked(nowMs(), isOurs);
    if (triggers.some(({ kind }) => kind === 'foreign')) onForeign();
  }
}

/** Kernels before 5.10 do not say who it was. */
export function foreignTrigger({ pid, processName }: Generation): Trigger {
  if (processName === undefined) return { kind: 'foreign' };
  return { kind: 'foreign', by: pid === undefined ? processName : `${processName} (process ${pid})` };
}
