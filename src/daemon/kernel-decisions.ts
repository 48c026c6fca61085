/** Flows that the kernel decided alone, for those who watch: what was decided stands in the mark, the reason is found anew. */

import type { DecisionEvent } from '../api/event.ts';
import type { Background } from '../kernel/background.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { Clock, MonotonicMs, WallMs } from '../net/clock.ts';
import { type Flow, flowKey } from '../net/flow.ts';
import { decodePacket } from '../net/packet.ts';
import type { ConntrackEvent } from '../netlink/conntrack.ts';
import type { LoggedPacket } from '../netlink/nflog.ts';
import { readMark } from '../plan/flow-mark.ts';
import { DROPPED_LOG, NOT_ACCEPTED_LOG, REFUSAL_LOG, refusalCauseOf } from '../plan/refusal-log.ts';
import { APP_DAEMON, APP_NONE, MARK_OURS } from '../plan/reserved.ts';
import type { ProcessOwner } from '../policy/identity.ts';
import { fromDecision, whoIs } from './decision-event.ts';
import { factsNow, type InForce } from './in-force.ts';
import { decideMarked, flowOfEntry, policiesOf } from './live-flows.ts';
import { isCheckFlow } from './self-check-questions.ts';
import type { StrangerOwner } from './stranger-owner.ts';
import type { VerdictEvent } from './verdict-loop.ts';

/** The verdict thread tells of a flow a little later than conntrack does. */
export const SETTLE_MS = 80;
/** Flows of the verdict thread that are remembered, to be told from the kernel's own. */
const MAX_REMEMBERED = 8192;

export interface KernelDecisionsOptions {
  readonly background: Background;
  readonly inForce: () => InForce | undefined;
  readonly publish: (event: DecisionEvent) => void;
  readonly clock: Clock;
  /** Tells who sends what no policy is about. */
  readonly strangers?: Pick<StrangerOwner, 'ownerOf'>;
}

interface Moment {
  readonly inForce: InForce;
  readonly timeMs: WallMs;
  readonly nowMs: MonotonicMs;
}

export class KernelDecisions implements Disposable {
  readonly #options: KernelDecisionsOptions;
  readonly #answered = new Set<string>();
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(options: KernelDecisionsOptions) {
    this.#options = options;
  }

  /** A flow that the verdict thread decided. */
  note({ flow }: VerdictEvent): void {
    this.#answered.add(flowKey(flow));
    if (this.#answered.size <= MAX_REMEMBERED) return;
    for (const oldest of this.#answered) {
      this.#answered.delete(oldest);
      return;
    }
  }

  hearFlows(events: readonly ConntrackEvent[]): void {
    const begun = events.filter(({ kind, entry }) => kind === 'new' && (entry.mark & MARK_OURS) !== 0);
    if (begun.length === 0) return;
    const at = this.#moment();
    if (at === undefined) return;
    const flows = begun.map(({ entry }) => {
      const [flow, { appId }] = [flowOfEntry(entry), readMark(entry.mark)];
      // At once: its socket may be closed in a moment.
      return { flow, appId, owner: this.#strangerOf(flow, appId) };
    });
    const timer = this.#options.background.timeout(() => {
      this.#timers.delete(timer);
      for (const { flow, appId, owner } of flows)
        if (!this.#answered.has(flowKey(flow))) this.#tell(flow, appId, at, owner && { owner });
    }, SETTLE_MS);
    this.#timers.add(timer);
  }

  /** The rules that log are those that refuse. */
  hearLogged(packets: readonly LoggedPacket[]): void {
    const at = this.#moment();
    for (const { payload, mark, prefix } of packets) {
      const flow = flowOf(payload, prefix === NOT_ACCEPTED_LOG);
      if (flow !== undefined && at !== undefined) this.#tell(flow, readMark(mark).appId, at, { refusal: prefix });
    }
  }

  /** What the last guard dropped; `chosenDevice`: by which it was about to leave. */
  hearGuarded(flow: Flow, mark: number): void {
    const at = this.#moment();
    const { appId } = readMark(mark);
    if (at !== undefined)
      this.#tell(flow, appId, at, { ...ownerIn(this.#strangerOf(flow, appId)), refusal: REFUSAL_LOG['other-device'] });
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /** What held when a flow was heard of, which is told a little later. */
  #moment(): Moment | undefined {
    const { inForce, clock } = this.#options;
    const now = inForce();
    return now && { inForce: now, timeMs: clock.wallMs(), nowMs: clock.monotonicMs() };
  }

  #strangerOf(flow: Flow, appId: number): ProcessOwner | undefined {
    const inForce = this.#options.inForce();
    if (inForce === undefined || appId !== APP_NONE) return undefined;
    try {
      return this.#options.strangers?.ownerOf(flow, inForce, this.#options.clock.monotonicMs());
    } catch (error) {
      // Ignoring it: it is shown without its program.
      if (!(error instanceof KernelError)) throw error;
      return undefined;
    }
  }

  #tell(
    flow: Flow,
    appId: number,
    { inForce, timeMs, nowMs }: Moment,
    { owner, refusal }: { readonly owner?: ProcessOwner; readonly refusal?: string } = {},
  ): void {
    if (appId === APP_DAEMON || isCheckFlow(flow)) return;
    const { policySet, index, ids } = inForce;
    const context = {
      policySet,
      index,
      facts: factsNow(inForce),
      nowMs,
      unknownNames: 'no-match' as const,
    };
    const decision = decideMarked(context, policiesOf([appId], policySet.apps, ids.apps).get(appId), appId, flow);
    const event = { ...fromDecision('kernel', timeMs, flow, decision), ...(owner && whoIs(owner)) };
    // What the kernel did is what happened, should the policy have changed in between.
    this.#options.publish(refusal === undefined ? event : { ...event, ...outcomeOf(refusal) });
  }
}

const ownerIn = (owner: ProcessOwner | undefined): { readonly owner?: ProcessOwner } =>
  owner === undefined ? {} : { owner };

function outcomeOf(prefix: string): Pick<DecisionEvent, 'verdict' | 'cause'> {
  return prefix === DROPPED_LOG ? { verdict: 'drop' } : { verdict: 'reject', cause: refusalCauseOf(prefix) };
}

function flowOf(payload: Uint8Array, inbound: boolean): Flow | undefined {
  try {
    return { ...decodePacket(payload, { loopback: false }), ...(inbound && { inbound }) };
  } catch {
    // A packet that cannot be read is refused all the same.
    return undefined;
  }
}
