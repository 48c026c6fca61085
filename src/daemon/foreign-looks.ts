/**
 * When the daemon looks at what others did to what is ours: at once where things are quiet, and by the pace of repairs where
 * somebody does it again and again. One look for all that comes until then.
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

  constructor(parts: ForeignLooksParts) {
    this.#parts = parts;
  }

  look(trigger: Trigger): void {
    const { background, pace, nowMs } = this.#parts;
    this.#triggers.set(trigger.kind, trigger);
    if (trigger.kind === 'retry') {
      // By the pace as it is now.
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    const togetherMs = trigger.kind === 'foreign' ? 0 : REMOVALS_TOGETHER_MS;
    this.#timer ??= background.timeout(() => this.#lookNow(), Math.max(togetherMs, pace.delayMs(nowMs())));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #lookNow(): void {
    const { pace, nowMs, request, onForeign } = this.#parts;
    this.#timer = undefined;
    // Before anything of it can fail: none is to be lost.
    const triggers = [...this.#triggers.values()];
    this.#triggers.clear();
    for (const trigger of triggers) request(trigger);
    // Our own removals are heard as well, and need no pace: those of others are repaired.
    if (triggers.some(({ kind }) => kind === 'foreign')) {
      pace.looked(nowMs());
      onForeign();
    }
  }
}

/** Kernels before 5.10 do not say who it was. */
export function foreignTrigger({ pid, processName }: Generation): Trigger {
  if (processName === undefined) return { kind: 'foreign' };
  return { kind: 'foreign', by: pid === undefined ? processName : `${processName} (process ${pid})` };
}
