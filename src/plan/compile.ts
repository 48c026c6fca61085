/** Path A's middle: what is in force, and what the machine is, to all kernel objects that should exist. Pure. */

import type { MonotonicMs } from '../net/clock.ts';
import { hasLoopbackResolver } from '../policy/dns-query.ts';
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import type { Facts } from '../policy/facts.ts';
import { sameInside } from '../policy/inside-address.ts';
import { type AppIndex, indexApps } from '../policy/match-app.ts';
import { localCarriers, protectingUplinks } from '../policy/protecting-uplinks.ts';
import { type AppPart, compileApp, partKey } from './compile-app.ts';
import type { Telling } from './compile-identity.ts';
import { compileNft } from './compile-nft.ts';
import { compileRouting } from './compile-routing.ts';
import { compileSocketWays } from './compile-socket-ways.ts';
import { ContentNames } from './content-name.ts';
import type { Host } from './host.ts';
import type { Plan } from './plan.ts';
import { CODE_QUEUE, MARK_APP, MARK_OURS, QUEUE_NUMBER } from './reserved.ts';

export interface CompileInput {
  readonly policySet: PolicySet;
  /** Of `policySet`, where there is one already. */
  readonly index?: AppIndex;
  readonly facts: Facts;
  readonly host: Host;
  /** Application name -> number in the marks; stable, so that live flows keep their meaning. */
  readonly appIds: ReadonlyMap<string, number>;
  readonly nowMs: MonotonicMs;
  /** How applications are told; found out unless stated. */
  readonly told?: Telling;
}

/** A plan, and the parts it was made of, so that the next one costs only what changed. */
export interface Compilation {
  readonly plan: Plan;
  readonly parts: ReadonlyMap<EffectivePolicy, AppPart>;
  readonly partsByKey: ReadonlyMap<string, AppPart>;
  readonly names: ContentNames;
  readonly systemDefault: PolicySet['systemDefault'];
}

function stillHolds(part: AppPart, facts: Facts): boolean {
  if (part.resolvers !== undefined && part.resolvers !== facts.resolvers) return false;
  if (part.inside !== undefined && !sameInside(part.inside, facts)) return false;
  if (part.hasLoopbackResolver !== hasLoopbackResolver(facts)) return false;
  for (const [name, state] of part.names) if (facts.names.get(name) !== state) return false;
  return true;
}

/** Names are never forgotten while they are reused: once most of them are of the past, everything is made anew. */
const MAX_STALE_NAMES = 4;

function reusableFrom(previous: Compilation | undefined, { policySet }: CompileInput): Compilation | undefined {
  if (previous === undefined || previous.systemDefault !== policySet.systemDefault) return undefined;
  const { chains, sets } = previous.plan.nft;
  return previous.names.size > MAX_STALE_NAMES * (chains.size + sets.size) ? undefined : previous;
}

/** Routing rules cost every lookup of the machine: without uplinks and without a `via` there are none. */
const usesWays = (facts: Facts, parts: readonly AppPart[]): boolean =>
  facts.uplinks.length > 0 || parts.some(({ choices }) => choices.size > 0);

export function compile(input: CompileInput, previous?: Compilation): Compilation {
  const { policySet, facts, host, nowMs } = input;
  const reusable = reusableFrom(previous, input);
  const names = reusable?.names ?? new ContentNames();
  const parts = new Map<EffectivePolicy, AppPart>();
  const partsByKey = new Map<string, AppPart>();
  const partOf = (policy: EffectivePolicy): AppPart => {
    const key = partKey(policy, policySet.systemDefault);
    const shared = partsByKey.get(key) ?? reusable?.partsByKey.get(key);
    const part =
      shared !== undefined && stillHolds(shared, facts)
        ? shared
        : compileApp(policy, policySet.systemDefault, facts, nowMs, names);
    partsByKey.set(key, part);
    return part;
  };
  for (const policy of policySet.apps) {
    const before = reusable?.parts.get(policy);
    parts.set(policy, before !== undefined && stillHolds(before, facts) ? before : partOf(policy));
  }
  const nobody: EffectivePolicy = { app: '', match: [], rules: [], files: [] };
  const defaultPart = partOf(nobody);
  const index = input.index ?? indexApps(policySet);
  const carriers = localCarriers(policySet);
  const plan: Plan = {
    nft: compileNft({ ...input, index, parts, defaultPart, carriers }),
    socketWays: compileSocketWays(policySet, index, facts, host),
    ...(usesWays(facts, [...parts.values(), defaultPart])
      ? compileRouting(facts, host, { protecting: protectingUplinks(policySet), carriers })
      : { rules: [], routes: [] }),
    ...(host.queue === 'xtables'
      ? {
          xtablesQueue: {
            number: QUEUE_NUMBER,
            bypass: true,
            mark: (MARK_OURS | CODE_QUEUE) >>> 0,
            mask: (MARK_OURS | MARK_APP) >>> 0,
          },
        }
      : {}),
  };
  return { plan, parts, partsByKey, names, systemDefault: policySet.systemDefault };
}
