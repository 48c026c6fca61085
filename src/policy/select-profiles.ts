/**
 * Of rules that hold only during a profile, those that hold now. Everything behind this stage knows only rules in force: when a
 * profile begins or ends, policies are compiled anew, as for a changed file.
 */
import type { EffectivePolicy, EffectiveRule, PolicySet } from './effective-policy.ts';

export interface SelectedPolicies {
  /** The very object that was selected from where no rule waits for a profile. */
  readonly policySet: PolicySet;
  readonly memory: SelectionMemory;
}

/** What it was made of; hand it back to keep the objects of unchanged applications. */
export interface SelectionMemory {
  readonly source: PolicySet;
  readonly active: readonly string[];
  /** By the policy as it was before. Only those with such rules. */
  readonly selected: ReadonlyMap<EffectivePolicy, EffectivePolicy>;
}

/** In the order of the files, whatever holds now: `place` where it is not that of the list. */
export function allRules({ rules, dormant = [] }: EffectivePolicy): readonly EffectiveRule[] {
  if (dormant.length === 0) return rules;
  return [...rules, ...dormant].sort((a, b) => (a.place ?? 0) - (b.place ?? 0));
}

const isInForce = ({ during }: EffectiveRule, active: ReadonlySet<string>): boolean =>
  during === undefined || during.some((profile) => active.has(profile));

/** Whether some of its rules hold only during a profile. */
export const waitsForProfiles = ({ rules, dormant }: EffectivePolicy): boolean =>
  dormant !== undefined || rules.some(({ during }) => during !== undefined);

function selectRules(policy: EffectivePolicy, active: ReadonlySet<string>): EffectivePolicy {
  const placed = allRules(policy).map((rule, place) => (rule.place === place ? rule : { ...rule, place }));
  const { dormant: _, ...rest } = policy;
  const dormant = placed.filter((rule) => !isInForce(rule, active));
  return {
    ...rest,
    rules: placed.filter((rule) => isInForce(rule, active)),
    ...(dormant.length > 0 && { dormant }),
  };
}

const sameRules = (a: readonly EffectiveRule[] = [], b: readonly EffectiveRule[] = []): boolean =>
  a.length === b.length && a.every((rule, i) => rule.place === b[i]?.place);

/** `active`: names of profiles. Policies that come out the same stay the same objects. Pure. */
export function selectProfiles(
  source: PolicySet,
  active: readonly string[],
  before?: SelectedPolicies,
): SelectedPolicies {
  const last = before?.memory;
  if (before !== undefined && last?.source === source && last.active.join() === active.join()) return before;
  const names = new Set(active);
  const selected = new Map<EffectivePolicy, EffectivePolicy>();
  for (const policy of source.apps) {
    if (!waitsForProfiles(policy)) continue;
    const was = last?.selected.get(policy);
    const is = selectRules(policy, names);
    selected.set(policy, was !== undefined && sameRules(was.rules, is.rules) ? was : is);
  }
  const memory = { source, active, selected };
  if (selected.size === 0) return { policySet: source, memory };
  const apps = source.apps.map((policy) => selected.get(policy) ?? policy);
  const made = before?.policySet;
  const isSame =
    made !== undefined &&
    made.systemDefault === source.systemDefault &&
    made.uplinks === source.uplinks &&
    made.profiles === source.profiles &&
    made.apps.length === apps.length &&
    apps.every((policy, i) => policy === made.apps[i]);
  return { policySet: isSame ? made : { ...source, apps }, memory };
}
