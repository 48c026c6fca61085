/** What becomes of live flows when what is in force has changed: which of them end, are asked about again, or begin anew elsewhere. */
import type { Background } from '../kernel/background.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { Clock } from '../net/clock.ts';
import type { DecideContext } from '../policy/decide.ts';
import type { NameState } from '../policy/facts.ts';
import type { Names } from '../watch/names.ts';
import { AskedFlows } from './asked-flows.ts';
import { movesAny } from './change-over.ts';
import { type ChangedPolicies, changedFacts, changedPolicies, isNothing, joinChanges } from './changed-policies.ts';
import { FlowLooks } from './flow-looks.ts';
import type { Warning } from './health.ts';
import type { InForce } from './in-force.ts';
import { endFlow, forgetFlow, sweepFlows } from './live-flows.ts';
import { MovedFlows } from './moved-flows.ts';
import { RefusedDatagrams } from './refused-datagrams.ts';
import type { VerdictEvent } from './verdict-loop.ts';
import type { Wanted } from './wanted.ts';

export interface FlowSweepParts {
  readonly background: Background;
  readonly kernel: Pick<Kernel, 'conntrack' | 'connections'>;
  readonly names: Pick<Names, 'remembered'>;
  readonly clock: Clock;
  readonly inForce: () => InForce | undefined;
  /** A look is due: leads to `look`, sooner or later. */
  readonly onDue: () => void;
}

/** What became of live flows. */
export interface SweptFlows {
  /** They lost their permission. */
  readonly endedFlows: number;
  /** They are to begin anew by another uplink. */
  readonly movedFlows: number;
}

export const NOTHING_SWEPT: SweptFlows = { endedFlows: 0, movedFlows: 0 };

export class FlowSweep {
  readonly #parts: FlowSweepParts;
  readonly #asked: AskedFlows;
  readonly #moved: MovedFlows;
  readonly #refused = new RefusedDatagrams();
  readonly #looks: FlowLooks;

  constructor(parts: FlowSweepParts) {
    this.#parts = parts;
    this.#asked = new AskedFlows(parts.kernel.conntrack, parts.clock.monotonicMs);
    this.#moved = new MovedFlows(parts.kernel);
    this.#looks = new FlowLooks(parts.onDue, parts.background);
  }

  /** That connections cannot be ended as their policies want. */
  get warning(): Warning | undefined {
    return this.#moved.warning;
  }

  /** Numbers in marks mean something else from now on. Throws KernelError. */
  askAll(): void {
    this.#asked.askAll();
  }

  /** What the verdict thread decided, of flows that were asked about. */
  hear(events: readonly VerdictEvent[]): void {
    try {
      this.#asked.hear(events, () => {
        const inForce = this.#parts.inForce();
        return inForce && { decide: this.#decideContext(inForce), appIds: inForce.ids.apps };
      });
    } catch (error) {
      // Ignoring it: such a flow goes where its policy permits it, though with an address that is of no use there.
      if (!(error instanceof KernelError)) throw error;
    }
  }

  /** After each round, whether it changed anything or not. Throws KernelError. */
  look(inForce: InForce, changed: ChangedPolicies): SweptFlows {
    const since = this.#looks.take(changed);
    if (isNothing(since)) return NOTHING_SWEPT;
    const { conntrack } = this.#parts.kernel;
    const entries = conntrack.ownEntries();
    this.#refused.keepOnly(entries);
    const { ended, asked, moved, permitted } = sweepFlows(entries, {
      context: this.#decideContext(inForce),
      appIds: inForce.ids.apps,
      changed: since,
      refusedMark: (entry) => this.#refused.markOf(entry),
    });
    for (const entry of ended) {
      this.#refused.refuse(entry);
      endFlow(conntrack, entry);
    }
    for (const entry of permitted) forgetFlow(conntrack, entry);
    this.#asked.ask(asked);
    const { ended: movedFlows, left } = this.#moved.move(moved, inForce.machine.facts.uplinks);
    if (left > 0) this.#looks.soon();
    return { endedFlows: ended.length, movedFlows };
  }

  /** None of what was asked about stays marked so. */
  stop(): void {
    this.#looks.stop();
    this.#asked.forget();
  }

  /** With all addresses that names had lately: a flow is not to end because its address has left the answer since. */
  #decideContext({ policySet, index, machine }: InForce): DecideContext {
    const names: ReadonlyMap<string, NameState> = this.#parts.names.remembered();
    const facts = { ...machine.facts, names };
    return { policySet, index, facts, nowMs: this.#parts.clock.monotonicMs(), unknownNames: 'queue' };
  }
}

/** Where no policy moves flows, nothing has to be looked at because of the network. */
export function changedSince(before: Wanted | undefined, { policySet, machine }: Wanted): ChangedPolicies {
  const changed = changedPolicies(before?.policySet, policySet);
  if (before === undefined || before.machine.facts === machine.facts || !movesAny(policySet)) return changed;
  return joinChanges(changed, changedFacts(before.machine.facts, machine.facts));
}
