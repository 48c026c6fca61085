import { BoundedMap } from '../identify/bounded-map.ts';
import type { FinalDecision } from '../policy/decision.ts';
import type { Sender } from '../policy/identity.ts';

/** Packets of one burst come within this: they left the program before the verdict on the first was in the kernel. */
export const RECENT_MS = 1000;
const MAX_RECENT_FLOWS = 1024;

interface RecentFlow {
  readonly owner: Sender;
  readonly verdict: FinalDecision['verdict'];
  readonly revision: number;
  readonly atMs: number;
}

/** What was said about the flows of the last moment, for the further packets of a burst. Clock: monotonic milliseconds. */
export class RecentFlows {
  readonly #flows = new BoundedMap<string, RecentFlow>(MAX_RECENT_FLOWS);

  /** The owner, where anything was known of it. */
  ownerOf(key: string, nowMs: number): Sender | undefined {
    const found = this.#find(key, nowMs);
    const isNobody = found?.owner.kind === 'unknown' && found.owner.cgroup === undefined;
    return isNobody ? undefined : found?.owner;
  }

  /** Remembers an answer; true where the same was given a moment ago by the same snapshot. */
  repeats(key: string, answer: Omit<RecentFlow, 'atMs'>, nowMs: number): boolean {
    const before = this.#find(key, nowMs);
    this.#flows.set(key, { ...answer, atMs: nowMs });
    return before !== undefined && before.verdict === answer.verdict && before.revision === answer.revision;
  }

  #find(key: string, nowMs: number): RecentFlow | undefined {
    const found = this.#flows.get(key);
    return found !== undefined && nowMs - found.atMs < RECENT_MS ? found : undefined;
  }
}
