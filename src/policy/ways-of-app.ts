/** By which way an application's connections go now, rule by rule: what `decide` would say of destinations that are not local. Pure. */
import { chooseUplink, waysOut } from './choose-uplink.ts';
import type { DecideContext } from './decide.ts';
import type { UplinkChoice } from './decision.ts';
import type { EffectivePolicy } from './effective-policy.ts';
import type { Otherwise, SourceLocation, Verb, Via } from './model.ts';

/** What the choice of uplinks depends on. */
export type WayContext = Pick<DecideContext, 'policySet' | 'facts'>;

export interface AppWay {
  /** Its place among the rules; `otherwise` and `default` hold where none matches. */
  readonly rule: number | 'otherwise' | 'default';
  readonly do: Verb;
  readonly at: SourceLocation;
  /** Only where connections are allowed; absent: the system's route. */
  readonly via?: Via;
  readonly choices?: { readonly v4: UplinkChoice; readonly v6: UplinkChoice };
}

/** In the order in which rules are tried; without a policy, the system default alone. A blocked application has none. */
export function waysOfApp(context: WayContext, policy: EffectivePolicy | undefined): readonly AppWay[] {
  if (policy?.blocked !== undefined) return [];
  const { systemDefault } = context.policySet;
  const own = policy?.via?.value;
  const rules = (policy?.rules ?? []).map(({ do: verb, at, via }, index) =>
    wayOf(context, index, { do: verb, at }, via ?? own),
  );
  const last =
    policy?.otherwise === undefined
      ? wayOf(context, 'default', systemDefault.otherwise, own ?? systemDefault.via)
      : wayOf(context, 'otherwise', policy.otherwise.value, own);
  return [...rules, last];
}

function wayOf(
  { policySet, facts }: WayContext,
  rule: AppWay['rule'],
  { do: verb, at }: Otherwise,
  via: Via | undefined,
): AppWay {
  const head = { rule, do: verb, at };
  if (verb !== 'allow' || via === undefined) return head;
  const choose = (family: 4 | 6): UplinkChoice => chooseUplink(via, family, waysOut(policySet, facts));
  return { ...head, via, choices: { v4: choose(4), v6: choose(6) } };
}
