/** Path A's middle: what is in force, and what the machine is, to all kernel objects that should exist. Pure. */
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import type { Facts } from '../policy/facts.ts';
import { indexApps } from '../policy/match-app.ts';
import { type AppPart, compileApp } from './compile-app.ts';
import { compileNft } from './compile-nft.ts';
import { compileRouting } from './compile-routing.ts';
import { ContentNames } from './content-name.ts';
import type { Host } from './host.ts';
import type { Plan } from './plan.ts';
import { CODE_QUEUE, MARK_APP, MARK_OURS, QUEUE_NUMBER } from './reserved.ts';

export interface CompileInput {
  readonly policySet: PolicySet;
  readonly facts: Facts;
  readonly host: Host;
  /** Application name -> number in the marks; stable, so that live flows keep their meaning. */
  readonly appIds: ReadonlyMap<string, number>;
  readonly nowMs: number;
}

/** A plan, and the parts it was made of, so that the next one costs only what changed. */
export interface Compilation {
  readonly plan: Plan;
  readonly parts: ReadonlyMap<EffectivePolicy, AppPart>;
  readonly names: ContentNames;
  readonly systemDefault: PolicySet['systemDefault'];
}

function stillHolds(part: AppPart, facts: Facts): boolean {
  for (const [name, state] of part.names) if (facts.names.get(name) !== state) return false;
  return true;
}

export function compile(input: CompileInput, previous?: Compilation): Compilation {
  const { policySet, facts, host, nowMs } = input;
  const reusable = previous?.systemDefault === policySet.systemDefault ? previous : undefined;
  const names = reusable?.names ?? new ContentNames();
  const parts = new Map<EffectivePolicy, AppPart>();
  for (const policy of policySet.apps) {
    const before = reusable?.parts.get(policy);
    const part = before !== undefined && stillHolds(before, facts) ? before : compileApp(policy, policySet.systemDefault, facts, nowMs, names);
    parts.set(policy, part);
  }
  const nobody: EffectivePolicy = { app: '', match: [], rules: [], files: [] };
  const defaultPart = compileApp(nobody, policySet.systemDefault, facts, nowMs, names);
  const nft = compileNft({ ...input, index: indexApps(policySet), parts, defaultPart });
  const plan: Plan = {
    nft,
    ...compileRouting(facts),
    ...(host.queue === 'xtables'
      ? {
          xtablesQueue: {
            number: QUEUE_NUMBER,
            bypass: policySet.systemDefault.whenAway === 'open',
            mark: (MARK_OURS | CODE_QUEUE) >>> 0,
            mask: (MARK_OURS | MARK_APP) >>> 0,
          },
        }
      : {}),
  };
  return { plan, parts, names, systemDefault: policySet.systemDefault };
}
