/** Who sends a flow, and what the snapshot in force says about it. Total: our own mistakes become an answer, and are counted. */
import type { IdentityHint } from '../identify/identify-flow.ts';
import { type PolicyNames, policyNames } from '../identify/policy-names.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { Flow } from '../net/flow.ts';
import { APP_DAEMON } from '../plan/reserved.ts';
import { decide } from '../policy/decide.ts';
import type { Decision } from '../policy/decision.ts';
import { forwardedPolicies } from '../policy/forwarded-policy.ts';
import type { Owner, Sender } from '../policy/identity.ts';
import { type AppIndex, indexApps, indexAppsAgain } from '../policy/match-app.ts';
import { namesSamePrograms } from '../policy/told-by.ts';
import { appIdOf } from './verdict-mark.ts';
import type { VerdictSnapshot } from './verdict-snapshot.ts';

export interface VerdictJudgeParts {
  /** Our own mistakes, and what the machine refused to tell: each has an answer all the same. */
  readonly onFault?: (fault: unknown) => void;
  readonly identify: (flow: Flow, hint: IdentityHint) => Owner;
  /** With fractions: for how long flows wait, and until when names are known. The clock by which these expire. */
  readonly monotonicMs: () => MonotonicMs;
  readonly ownPid: number;
  /** Told which executables policies name, before any decision by them. */
  readonly learnExecutables?: (paths: Iterable<string>) => void;
}

export class VerdictJudge {
  readonly #parts: VerdictJudgeParts;
  #snapshot: VerdictSnapshot;
  #index: AppIndex;
  #names: PolicyNames;
  #failures = 0;

  constructor(parts: VerdictJudgeParts, snapshot: VerdictSnapshot) {
    this.#parts = parts;
    this.#snapshot = snapshot;
    this.#index = indexApps(snapshot.policySet);
    this.#names = policyNames(this.#index, snapshot.programs);
    parts.learnExecutables?.(this.#index.byExecutable.keys());
  }

  get failures(): number {
    return this.#failures;
  }

  get index(): AppIndex {
    return this.#index;
  }

  get snapshot(): VerdictSnapshot {
    return this.#snapshot;
  }

  publish(snapshot: VerdictSnapshot): void {
    const before = { policySet: this.#snapshot.policySet, index: this.#index };
    if (snapshot.policySet !== before.policySet) this.#index = indexAppsAgain(snapshot.policySet, before);
    const isNamedAnew = !namesSamePrograms(this.#index, before.index);
    if (isNamedAnew || snapshot.programs !== this.#snapshot.programs)
      this.#names = policyNames(this.#index, snapshot.programs);
    if (isNamedAnew) this.#parts.learnExecutables?.(this.#index.byExecutable.keys());
    this.#snapshot = snapshot;
  }

  identify(flow: Flow, hint: Omit<IdentityHint, 'names'>): Owner {
    try {
      return this.#parts.identify(flow, { ...hint, names: this.#names });
    } catch (error) {
      this.#failures++;
      this.#parts.onFault?.(error);
      const known = typeof hint.uid === 'number' ? { uid: hint.uid } : {};
      return { kind: 'unknown', because: `looking for it failed: ${textOf(error)}`, ...known };
    }
  }

  /**
   * The containers whose packets carry this application's number. The number is older than the snapshot where a container has
   * just ended, or is no longer named: then nobody knows.
   */
  container(appId: number): Sender {
    const { facts, appIds } = this.#snapshot;
    for (const { cgroups } of facts.forwarded ?? []) {
      const [policy, other] = forwardedPolicies(this.#index, { cgroups }, facts);
      if (policy !== undefined && other === undefined && appIds.get(policy.app) === appId)
        return { kind: 'container', cgroups };
    }
    return { kind: 'unknown', because: 'no container with a policy sends by that device any more' };
  }

  /** The daemon itself passes: its questions for names are part of what others wait for. */
  decide(owner: Sender, flow: Flow, waiting: 'may wait' | 'has waited'): Decision {
    if (this.#isOwn(owner)) {
      return { verdict: 'accept', way: { kind: flow.loopback ? 'local' : 'system' }, reason: { kind: 'daemon' } };
    }
    const { policySet, facts } = this.#snapshot;
    const context = { policySet, index: this.#index, facts, nowMs: this.#parts.monotonicMs() };
    try {
      return waiting === 'may wait'
        ? decide({ ...context, unknownNames: 'queue', missingUplink: 'queue' }, owner, flow)
        : decide({ ...context, unknownNames: 'no-match' }, owner, flow);
    } catch (error) {
      this.#failures++;
      this.#parts.onFault?.(error);
      return { verdict: 'drop', reason: { kind: 'blocked-app', because: `deciding failed: ${textOf(error)}` } };
    }
  }

  appId(owner: Sender, decision: Decision): number {
    return this.#isOwn(owner) ? APP_DAEMON : appIdOf(owner, decision, this.#snapshot.appIds);
  }

  #isOwn(owner: Sender): boolean {
    return owner.kind === 'process' && owner.pid === this.#parts.ownPid;
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
