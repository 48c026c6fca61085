import type { Diagnostic } from './diagnostic.ts';
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import type { Via } from './model.ts';
import { diagnosticAt } from './policy-source.ts';
import { didYouMean } from './suggestion.ts';

/** Whether the policy can have any such warning. */
export function namesUplinks({ via, rules }: EffectivePolicy): boolean {
  return viaNames(via?.value) || rules.some((rule) => viaNames(rule.via));
}

function viaNames(via: Via | undefined): boolean {
  return via !== undefined && [via.require, via.prefer, via.avoid, via.prohibit].some(({ name }) => name !== undefined);
}

/** Warnings for each `via` that names an uplink which no file describes. */
export function unknownUplinks({ apps, systemDefault, uplinks }: PolicySet): readonly Diagnostic[] {
  const names = uplinks.map(({ name }) => name);
  const known = new Set(names);
  const found: Diagnostic[] = [];
  const check = (via: Via | undefined): void => {
    if (via === undefined) return;
    for (const { name: wanted = [] } of [via.require, via.prefer, via.avoid, via.prohibit]) {
      for (const name of wanted) {
        if (known.has(name)) continue;
        const message = `there is no uplink ${JSON.stringify(name)}`;
        found.push(diagnosticAt(via.at, 'warning', 'unknown-uplink', message, didYouMean(name, names)));
      }
    }
  };
  check(systemDefault.via);
  for (const { via, rules } of apps) {
    check(via?.value);
    for (const rule of rules) check(rule.via);
  }
  return found;
}
