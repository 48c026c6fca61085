/**
 * Path A: files -> policy set -> facts -> plan -> changes -> kernel. Whatever happened, a round looks at all of it anew;
 * rounds never overlap, and what happens during one leads to the next.
 */

import { setImmediate } from 'node:timers/promises';
import type { Predecessor } from '../apply/observe-plan.ts';
import { isWhole, wholePrint } from '../apply/table-prints.ts';
import { type ApplyReport, applyPlan, type FailedReport } from '../apply/transaction.ts';
import type { Background } from '../kernel/background.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { Compilation } from '../plan/compile.ts';
import { withSeal } from '../plan/nft/seal.ts';
import type { KeptRuleset } from '../store/kept-ruleset.ts';
import type { LoadedPolicies, PolicyFiles } from '../store/policy-files.ts';
import { changedSince, FlowSweep, NOTHING_SWEPT, type SweptFlows } from './flow-sweep.ts';
import type { Warning } from './health.ts';
import type { InForce, OwnChange } from './in-force.ts';
import { LiveSets } from './live-sets.ts';
import { describePending, join, joinFiles, NOTHING_PENDING, type Pending, type Trigger } from './pending.ts';
import { RefusedUplinks } from './refused-uplinks.ts';
import { takeableUplinks } from './takeable-uplinks.ts';
import type { VerdictSnapshot } from './verdict-snapshot.ts';
import { type Wanted, type WantedParts, Wants } from './wanted.ts';

export interface EnforceParts extends Omit<WantedParts, 'predecessor'> {
  readonly background: Background;
  readonly kernel: Kernel;
  readonly files: PolicyFiles;
  /** For the daemon after this one, and from the one before. */
  readonly kept: Pick<KeptRuleset, 'read' | 'keep' | 'readPrint' | 'keepPrint'>;
  /** Packets that are sent from now on are decided by it. */
  readonly publish: (snapshot: VerdictSnapshot) => void;
  /** Resolves when those from before are, too, or after a bounded time. */
  readonly published: (revision: number) => Promise<void>;
  readonly ownChange: OwnChange;
  readonly onRound: (round: Round) => void;
}

/** What one round saw and did. */
export interface Round extends SweptFlows {
  readonly pending: Pending;
  readonly because: string;
  readonly loaded: LoadedPolicies;
  /** Whether the plan is another one than before: where not, changes are repairs. */
  readonly isNewPlan: boolean;
  readonly outcome:
    | ApplyReport
    | { readonly ok: false; readonly error: Error; readonly restored: true; readonly durationMs: 0 };
  readonly changedApps: readonly string[];
}

/** Each is written to the disk, which may take milliseconds: so long an uplink that is lost just then waits. */
const COPIES_AT_ONCE = 4;
/** None that a ruleset gets to: it is read back. */
const UNKNOWN_GENERATION = 0xffff_ffff;
/** Plans that the network has overtaken, one after the other: what happens then is the next round's. */
const MOST_OVERTAKEN = 5;
/** After the last of several changes in a row. */
const LOOK_AFTER_MS = 200;
/** Looks at the table take a tenth of a daemon's time at most. */
const LOOK_PAUSE = 10;
const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 60_000;

export class Enforcement {
  /** What is added to them while policies stay the same. */
  readonly sets: LiveSets;
  readonly flows: FlowSweep;
  readonly #parts: EnforceParts;
  #loaded: LoadedPolicies;
  /** Changed files that could not be read for want of descriptors or memory: the next round reads them. */
  #unread: Pending['files'];
  #pending: Pending = NOTHING_PENDING;
  #waiting: ((round: Round) => void)[] = [];
  #running: Promise<void> | undefined;
  #inForce: InForce | undefined;
  readonly #predecessor: Predecessor | undefined;
  readonly #wants: Wants;
  #isStopped = false;
  #retry: NodeJS.Timeout | undefined;
  #due: NodeJS.Timeout | undefined;
  #look: NodeJS.Timeout | undefined;
  #lookedForMs = 0;
  #retryMs = FIRST_RETRY_MS;
  readonly #refusedUplinks = new RefusedUplinks();
  /** What the kernel did not take in the last round. */
  #refused: { readonly compilation: Compilation; readonly outcome: ApplyReport } | undefined;

  constructor(parts: EnforceParts) {
    this.#parts = parts;
    const ruleset = parts.kept.read();
    const print = ruleset && parts.kept.readPrint(ruleset);
    this.#predecessor = ruleset && print !== undefined ? { ruleset, print } : undefined;
    this.#wants = new Wants({ ...parts, predecessor: ruleset });
    const inForce = {
      get: () => this.#inForce,
      set: (now: InForce) => {
        this.#inForce = now;
      },
    };
    this.sets = new LiveSets({ ...parts, wants: this.#wants, inForce, round: () => this.run({ kind: 'names' }) });
    this.flows = new FlowSweep({ ...parts, inForce: inForce.get, onDue: () => this.request({ kind: 'flows' }) });
    this.#loaded = parts.files.load(undefined, { copies: 'later' });
  }

  get inForce(): InForce | undefined {
    return this.#inForce;
  }

  get loaded(): LoadedPolicies {
    return this.#loaded;
  }

  /** The snapshot that the verdict thread starts with, before anything is in force. Throws KernelError. */
  firstSnapshot(): VerdictSnapshot {
    return this.#want().snapshot;
  }

  get refusedUplinks(): Warning | undefined {
    return this.#refusedUplinks.warning(this.#inForce?.policySet.uplinks ?? []);
  }

  request(trigger: Trigger): void {
    this.#pending = join(this.#pending, trigger);
    if (!this.#isStopped) this.#running ??= this.#runAll();
  }

  /** Resolves with the round that took the trigger into account. */
  run(trigger: Trigger): Promise<Round> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.request(trigger);
    });
  }

  /** The files have gone back to what they said before. */
  rollBack(): Promise<Round> {
    return this.run({ kind: 'roll back' });
  }

  /** Every now and then: nothing tells that a link leads elsewhere. */
  followLinks(): void {
    if (this.#parts.files.linksHaveMoved()) this.request({ kind: 'files', changed: 'everything' });
  }

  /** Another round after a while; each one that fails doubles it. */
  retryLater(): void {
    if (this.#retry !== undefined) return;
    this.#retry = this.#parts.background.timeout(() => {
      this.#retry = undefined;
      this.request({ kind: 'retry' });
    }, this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, MAX_RETRY_MS);
  }

  /** No further rounds; resolves when the last one has ended. `keeps`: what is in force is a successor's. */
  async stop(keeps: boolean): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#due);
    await this.#running;
    clearTimeout(this.#look);
    if (keeps && this.#look !== undefined) await this.#lookAtTable();
    this.flows.stop();
  }

  async #runAll(): Promise<void> {
    // The caller's own turn first: what it still asks for belongs to this round.
    await Promise.resolve();
    try {
      while (!this.#isStopped) {
        if (this.#pending.kinds.size === 0) {
          // Nothing but a restart needs the copies: what changes meanwhile comes first.
          const isBehind = this.#parts.files.keepCopies(COPIES_AT_ONCE);
          this.#loaded = this.#parts.files.loaded ?? this.#loaded;
          if (!isBehind) break;
          await setImmediate();
          continue;
        }
        const pending = this.#pending;
        const waiting = this.#waiting;
        this.#pending = NOTHING_PENDING;
        this.#waiting = [];
        this.sets.beginRound();
        const round = await this.#round(pending);
        this.sets.endRound();
        this.#roundWhenDue();
        this.#parts.background.run(() => this.#parts.onRound(round));
        for (const resolve of waiting) resolve(round);
      }
    } catch (fault) {
      // What it was about is looked at again.
      this.#parts.background.hear(fault);
      if (!this.#isStopped) this.retryLater();
    } finally {
      this.#running = undefined;
    }
  }

  #roundWhenDue(): void {
    clearTimeout(this.#due);
    const { dueInMs } = this.#wants;
    if (dueInMs !== undefined && !this.#isStopped)
      this.#due = this.#parts.background.timeout(() => this.request({ kind: 'sticky' }), Math.ceil(dueInMs));
  }

  async #round(pending: Pending): Promise<Round> {
    const before = this.#inForce;
    const head = { pending, because: describePending(pending) };
    try {
      this.#load(pending);
      if (pending.files === 'everything') this.#refusedUplinks.clear();
      const first = this.#want();
      const refused = this.#refused?.compilation === first.compilation ? this.#refused.outcome : undefined;
      // Routes that were put back are news of the network as well: they must not lead to the next try at once.
      if (refused !== undefined && isOnlyOfTheNetwork(pending))
        return { ...head, ...this.#unchanged(), outcome: refused };
      // Numbers from before mean nothing any more, and must not meet rules that take them for new ones.
      const hasLostIds = before === undefined && this.#parts.ids.wereLost;
      if (hasLostIds) this.flows.askAll();
      const { wanted, outcome } = await this.#applyWhatCanBe(first, refused === undefined);
      this.#refused = outcome.ok ? undefined : { compilation: wanted.compilation, outcome };
      if (!outcome.ok) return { ...head, ...this.#unchanged(), outcome };
      this.#retryMs = FIRST_RETRY_MS;
      const inForce = { ...wanted, generation: outcome.generation, prints: outcome.prints };
      // Flows are heard of from now on, and at the start there is nothing older to tell what they mean.
      if (before === undefined) this.#inForce = inForce;
      // Whoever hears that it is in force may rely on both halves, the kernel's and the thread's.
      this.#parts.publish(wanted.snapshot);
      await this.#parts.published(wanted.snapshot.revision);
      this.#inForce = inForce;
      this.#parts.kept.keep(wanted.compilation.plan.nft);
      this.#keepPrint(inForce);
      if (hasLostIds) this.flows.askAll();
      const changed = changedSince(before, wanted);
      return {
        ...head,
        loaded: this.#loaded,
        isNewPlan: before?.compilation !== wanted.compilation,
        outcome,
        ...this.flows.look(inForce, changed),
        changedApps: changed.apps === 'everyone' ? wanted.policySet.apps.map(({ app }) => app) : [...changed.apps],
      };
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      return { ...head, ...this.#unchanged(), outcome: { ok: false, error, restored: true, durationMs: 0 } };
    }
  }

  /** At once where all of it has been looked at; else a little later, as a look at 10,000 applications takes long. */
  #keepPrint({ prints, compilation }: InForce): void {
    const nft = withSeal(compilation.plan.nft);
    clearTimeout(this.#look);
    this.#look = undefined;
    if (isWhole(prints, nft)) this.#parts.kept.keepPrint(compilation.plan.nft, wholePrint(prints, nft));
    else if (!this.#isStopped) this.#lookLater();
  }

  #lookLater(): void {
    const afterMs = Math.max(LOOK_AFTER_MS, this.#lookedForMs * LOOK_PAUSE);
    this.#look = this.#parts.background.timeout(() => this.#lookAtTable(), afterMs);
  }

  /** It is ours where nobody else has committed anything since our own last change: whoever has is looked after by the round that follows. */
  async #lookAtTable(): Promise<void> {
    const { kernel } = this.#parts;
    const before = this.#inForce;
    this.#look = undefined;
    if (before === undefined) return;
    const isOurs = (): boolean =>
      this.#inForce?.compilation === before.compilation && this.#inForce.generation === kernel.nft.generation();
    const startMs = performance.now();
    try {
      if (!isOurs()) return;
      const table = await kernel.nft.observe(before.compilation.plan.nft.table);
      this.#lookedForMs = performance.now() - startMs;
      if (table === undefined || !isOurs() || this.#inForce?.generation !== before.generation) return;
      this.#inForce = { ...this.#inForce, prints: table.prints };
      this.#keepPrint(this.#inForce);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (!this.#isStopped) this.#lookLater();
    }
  }

  #load({ files: changed }: Pending): void {
    const files = joinFiles(this.#unread, changed);
    if (files === undefined) return;
    this.#unread = files;
    this.#loaded = this.#parts.files.load(files === 'everything' ? undefined : { changed: files }, { copies: 'later' });
    this.#unread = undefined;
  }

  #want(): Wanted {
    return this.#wants.want(this.#loaded.policySet, (machine) => this.#refusedUplinks.without(machine));
  }

  /**
   * Decisions come first: nothing may be queued that the thread cannot answer by the policy it is queued for. Uplinks that the
   * ruleset in force cannot take yet wait until it can: it would refuse whom they are given to.
   */
  #publishBefore({ snapshot }: Wanted): void {
    const before = this.#inForce;
    if (before === undefined || before.snapshot === snapshot) return;
    const uplinks = takeableUplinks(before.snapshot.facts.uplinks, snapshot.facts.uplinks);
    const isEvery = uplinks === snapshot.facts.uplinks;
    this.#parts.publish(isEvery ? snapshot : { ...snapshot, facts: { ...snapshot.facts, uplinks } });
  }

  /**
   * An uplink whose route the kernel refuses must not keep all others from being enforced. Where the network has changed while
   * the plan was applied, what failed is no longer wanted.
   */
  async #applyWhatCanBe(
    first: Wanted,
    isNew: boolean,
  ): Promise<{ readonly wanted: Wanted; readonly outcome: ApplyReport }> {
    let overtaken = 0;
    for (let wanted = first; ; ) {
      if (isNew || wanted !== first) this.#publishBefore(wanted);
      const outcome = await this.#apply(wanted);
      if (outcome.ok) return { wanted, outcome };
      const isRefused = this.#refusedUplinks.note(outcome, wanted.machine.facts);
      const next = this.#want();
      const isOvertaken = next.compilation !== wanted.compilation || isOfTheMoment(outcome);
      if (!isRefused && (!isOvertaken || overtaken >= MOST_OVERTAKEN)) return { wanted, outcome };
      if (!isRefused) overtaken += 1;
      wanted = next;
    }
  }

  async #apply(wanted: Wanted): Promise<ApplyReport> {
    const before = this.#inForce;
    const { kernel, ownChange } = this.#parts;
    ownChange.begin();
    const predecessor = before === undefined ? this.#predecessor : undefined;
    const report = await applyPlan({
      kernel,
      current: before?.compilation.plan,
      ...(before !== undefined && { generation: before.generation, prints: before.prints }),
      wanted: wanted.compilation.plan,
      ...(predecessor !== undefined && { predecessor }),
      nowMs: this.#parts.clock.monotonicMs(),
    });
    ownChange.end(report.ok ? report.generation : kernel.nft.generation());
    if (report.ok || before === undefined) return report;
    this.#parts.publish(before.snapshot);
    // Where nobody knows what is there now, the next round reads it.
    this.#inForce = { ...before, generation: report.generation ?? UNKNOWN_GENERATION, prints: report.prints };
    return report;
  }

  #unchanged(): Pick<Round, 'loaded' | 'isNewPlan' | 'changedApps'> & SweptFlows {
    return { loaded: this.#loaded, isNewPlan: false, ...NOTHING_SWEPT, changedApps: [] };
  }
}

const isOnlyOfTheNetwork = ({ kinds }: Pending): boolean => kinds.size === 1 && kinds.has('network');

/** A device that was going: ENODEV, ENETDOWN, or its routes had gone by the time they were read back. */
function isOfTheMoment({ error, failedChange }: FailedReport): boolean {
  return failedChange === undefined ? error.operation === 'read back' : ['ENODEV', 'ENETDOWN'].includes(error.code);
}
