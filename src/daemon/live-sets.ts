/** Adds elements to the sets in force without a round, since somebody waits; the plan says the same in the next round. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Kernel, SetAddition } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { Clock } from '../net/clock.ts';
import type { NamedAddresses } from '../net/dns-answer.ts';
import { learnedElements } from '../plan/learned-elements.ts';
import type { Names } from '../watch/names.ts';
import type { InForce, OwnChange } from './in-force.ts';
import { NamedBy } from './named-by.ts';

import type { VerdictSnapshot } from './verdict-snapshot.ts';
import type { Wants } from './wanted.ts';

export interface LiveSetsParts {
  readonly kernel: Pick<Kernel, 'nft'>;
  readonly names: Pick<Names, 'learn'>;
  readonly wants: Pick<Wants, 'withNames'>;
  readonly ownChange: OwnChange;
  readonly clock: Clock;
  /** Packets that are sent from now on are decided by it. */
  readonly publish: (snapshot: VerdictSnapshot) => void;
  readonly inForce: { readonly get: () => InForce | undefined; readonly set: (inForce: InForce) => void };
  /** Resolves when a round has brought the sets to what names mean now. */
  readonly round: () => Promise<unknown>;
}

/** Whoever waits for an answer longer than this asks again. */
const LEARNED_WITHIN_MS = 2000;

export class LiveSets {
  readonly #parts: LiveSetsParts;
  readonly #namedBy = new NamedBy();
  #isInRound = false;
  /** What waits for the end of a round. */
  readonly #steps: (() => void)[] = [];

  constructor(parts: LiveSetsParts) {
    this.#parts = parts;
  }

  /** A round loads sets as they were when it began: what is to be added comes after it. */
  beginRound(): void {
    this.#isInRound = true;
  }

  endRound(): void {
    this.#isInRound = false;
    for (const step of this.#steps.splice(0)) step();
  }

  /**
   * Resolves when whatever comes next is decided by what an application was answered: in the kernel and in the verdict thread,
   * or after a bounded time. Returns how many of its names have fresh addresses.
   */
  async learn(appId: number, answers: readonly NamedAddresses[]): Promise<number> {
    const { names, publish, inForce, wants, clock, round } = this.#parts;
    const before = inForce.get();
    if (before === undefined) return 0;
    const isNamed = this.#namedBy.of(before.policySet, before.ids.apps, appId);
    const named = answers.filter(({ name }) => isNamed.has(name));
    if (named.length === 0) return 0;
    let needsRound = false;
    const fresh = await this.#betweenRounds((now) => {
      const learned = names.learn(named);
      if (learned.size === 0) return undefined;
      const { snapshot } = wants.withNames(now);
      publish(snapshot);
      const additions = learnedElements(now.compilation, learned, clock.monotonicMs());
      const generation = this.#add(now, additions);
      needsRound = generation === undefined;
      inForce.set({ ...now, snapshot, generation: generation ?? now.generation });
      return learned.size;
    });
    if (fresh === undefined) return 0;
    const late = delay(LEARNED_WITHIN_MS, undefined, { ref: false });
    if (needsRound) await Promise.race([round(), late]);
    return fresh;
  }

  /** The numbers are in the set for so long, where the plan has such a set. */
  async refresh(name: string, numbers: readonly number[], lifetimeMs: number): Promise<void> {
    await this.#betweenRounds((now) => {
      const set = now.compilation.plan.nft.sets.get(name);
      if (set === undefined) return;
      const expiresAtMs = this.#parts.clock.monotonicMs() + lifetimeMs;
      const elements = numbers.map((number) => ({
        key: [{ first: BigInt(number), last: BigInt(number) }],
        expiresAtMs,
      }));
      const generation = this.#add(now, [{ set, elements }]);
      if (generation !== undefined) this.#parts.inForce.set({ ...now, generation });
    });
  }

  async #betweenRounds<T>(step: (inForce: InForce) => T | undefined): Promise<T | undefined> {
    const run = (): T | undefined => {
      const inForce = this.#parts.inForce.get();
      return inForce && step(inForce);
    };
    if (!this.#isInRound) return run();
    return await new Promise((resolve, reject) => {
      this.#steps.push(() => {
        try {
          resolve(run());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  /** The generation from then on; undefined where the kernel refuses, or somebody else has changed it. */
  #add({ generation }: InForce, additions: readonly SetAddition[]): number | undefined {
    const { kernel, ownChange, clock } = this.#parts;
    if (additions.length === 0) return generation;
    ownChange.begin();
    let now = generation;
    try {
      now = kernel.nft.refreshElements(additions, clock.monotonicMs(), generation);
      return now;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return undefined;
    } finally {
      ownChange.end(now);
    }
  }
}
