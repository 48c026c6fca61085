import { type Flow, flowKey } from '../net/flow.ts';
import type { VerdictEvent } from './verdict-loop.ts';

/** Only connections that were there before the daemon are found in mid-stream. */
export const MAX_INBOUND_FLOWS = 16_384;

/**
 * Connections that came in, found in mid-stream: their marks do not tell them from outgoing ones, and a stricter default
 * must not cut them off. The oldest are forgotten first.
 */
export class InboundFlows {
  readonly #keys = new Set<string>();

  note({ decision, flow }: VerdictEvent): void {
    if (decision.reason.kind !== 'inbound') return;
    const key = flowKey(flow);
    this.#keys.delete(key);
    this.#keys.add(key);
    if (this.#keys.size <= MAX_INBOUND_FLOWS) return;
    for (const oldest of this.#keys) {
      this.#keys.delete(oldest);
      return;
    }
  }

  has(flow: Flow): boolean {
    return this.#keys.has(flowKey(flow));
  }
}
