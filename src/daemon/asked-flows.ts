/**
 * Flows that are decided again in mid-connection: whose they are has come into question. A connection cannot change its
 * address, so that it keeps the way on which it began where its policy permits that, and ends otherwise.
 */
import type { Conntrack } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { type Address, equalAddress } from '../net/address.ts';
import type { MonotonicMs } from '../net/clock.ts';
import { type Flow, flowKey } from '../net/flow.ts';
import type { ConntrackEntry } from '../netlink/conntrack.ts';
import { readMark } from '../plan/flow-mark.ts';
import { APP_DAEMON, APP_INBOUND, MARK_APP, MARK_ASK_AGAIN, MARK_WAY, UPLINK_NONE, wayMark } from '../plan/reserved.ts';
import type { DecideContext } from '../policy/decide.ts';
import { heldAddresses } from '../policy/facts.ts';
import { endFlow, flowOfEntry, isPermitted, policiesOf, remark } from './live-flows.ts';
import type { VerdictEvent } from './verdict-loop.ts';

/** Flows that have not sent anything since they were asked about; of more than these, what they turn to is not looked at. */
export const MAX_ASKED_FLOWS = 16_384;
const OUR_BITS = (MARK_WAY | MARK_APP) >>> 0;

export interface AskedFlowsContext {
  readonly decide: DecideContext;
  readonly appIds: ReadonlyMap<string, number>;
}

export class AskedFlows {
  readonly #conntrack: Conntrack;
  readonly #nowMs: () => MonotonicMs;
  readonly #waiting = new Map<string, { readonly entry: ConntrackEntry; readonly askedMs: MonotonicMs }>();

  /** `nowMs`: the clock of `VerdictEvent.atMs`. */
  constructor(conntrack: Conntrack, nowMs: () => MonotonicMs) {
    this.#conntrack = conntrack;
    this.#nowMs = nowMs;
  }

  /** Their next packets are decided as if they were the first. Throws KernelError. */
  ask(entries: readonly ConntrackEntry[]): void {
    const askedMs = this.#nowMs();
    for (const entry of entries) {
      remark(this.#conntrack, entry, MARK_ASK_AGAIN, OUR_BITS);
      if (this.#waiting.size < MAX_ASKED_FLOWS) this.#waiting.set(keyOf(flowOfEntry(entry)), { entry, askedMs });
    }
  }

  /** All that have a decision by numbers that mean nothing any more. Throws KernelError. */
  askAll(): void {
    const decided = this.#conntrack.ownEntries().filter(({ mark }) => {
      const { appId, way } = readMark(mark);
      return way !== UPLINK_NONE && appId !== APP_INBOUND && appId !== APP_DAEMON;
    });
    this.ask(decided);
  }

  /** What was decided anew: returns how many flows had to end. Throws KernelError. */
  hear(events: readonly VerdictEvent[], context: () => AskedFlowsContext | undefined): number {
    let own: ReadonlyMap<string, ConntrackEntry> | undefined;
    let ended = 0;
    for (const { atMs, flow, decision } of events) {
      const key = keyOf(flow);
      const asked = this.#waiting.get(key);
      if (asked === undefined && flow.midstream !== true) continue;
      if (decision.verdict !== 'accept') continue;
      // It may have been asked about once more since.
      if (asked !== undefined && atMs > asked.askedMs) this.#waiting.delete(key);
      if (decision.way.kind !== 'uplink') continue;
      const { id } = decision.way;
      const known = context();
      if (known === undefined || hasAddress(known, id, flow.source)) continue;
      own ??= new Map(this.#conntrack.ownEntries().map((entry) => [keyOf(flowOfEntry(entry)), entry]));
      const entry = own.get(key);
      if (entry !== undefined && readMark(entry.mark).way === id && !this.#keepsWay(entry, id, known)) ended += 1;
    }
    return ended;
  }

  /** None of our bits stay on those that have sent nothing since, as far as the kernel lets us. */
  forget(): void {
    try {
      // An answer that was given a moment ago, too, is told only once.
      const answered = new Set(this.#conntrack.ownEntries().map((entry) => keyOf(flowOfEntry(entry))));
      for (const [key, { entry }] of this.#waiting) if (!answered.has(key)) remark(this.#conntrack, entry, 0, OUR_BITS);
    } catch (error) {
      // Ignoring it: the bits that stay mean "not decided" to every successor.
      if (!(error instanceof KernelError)) throw error;
    }
    this.#waiting.clear();
  }

  /** False where it was ended. */
  #keepsWay(entry: ConntrackEntry, id: number, context: AskedFlowsContext): boolean {
    const { decide } = context;
    // Where its replies go to: its source as the network sees it.
    const seen = entry.reply.destination;
    if (hasAddress(context, id, seen)) return true;
    const began = decide.facts.uplinks.find((uplink) => heldAddresses(uplink).some((one) => equalAddress(one, seen)));
    const { appId } = readMark(entry.mark);
    const policy = policiesOf([appId], decide.policySet.apps, context.appIds).get(appId);
    if (began !== undefined && isPermitted(decide, policy, { appId, way: began.id }, flowOfEntry(entry))) {
      remark(this.#conntrack, entry, wayMark(began.id), MARK_WAY);
      return true;
    }
    endFlow(this.#conntrack, entry);
    return false;
  }
}

/** Conntrack knows neither the device, nor which packet is meant, nor who passes through. */
function keyOf(flow: Flow): string {
  const { midstream: _, forwarded: __, ...rest } = flow;
  return flowKey({ ...rest, loopback: false });
}

function hasAddress({ decide }: AskedFlowsContext, id: number, address: Address): boolean {
  const uplink = decide.facts.uplinks.find((candidate) => candidate.id === id);
  return uplink !== undefined && heldAddresses(uplink).some((own) => equalAddress(own, address));
}
