import type { Diagnostic } from './diagnostic.ts';
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import type { Via } from './model.ts';
import { diagnosticAt } from './policy-source.ts';
import { didYouMean } from './suggestion.ts';

const DISCOVERED = 'it counts only while a device of this name is found: see pointsman uplinks';

/** Whether the policy can have any such warning. */
export function namesUplinks({ via, rules }: EffectivePolicy): boolean {
  return viaNames(via?.value) || rules.some((rule) => viaNames(rule.via));
}

function viaNames(via: Via | undefined): boolean {
  return via !== undefined && [via.require, via.prefer, via.avoid, via.prohibit].some(({ name }) => name !== undefined);
}

/** Warnings for each `via` that names an uplink which no file describes: a misspelt name, or one that is there only at times. */
export function unknownUplinks({ apps, systemDefault, uplinks }: PolicySet): readonly Diagnostic[] {
  const names = uplinks.map(({ name }) => name);
  const known = new Set(names);
  const found: Diagnostic[] = [];
  const check = (via: Via | undefined): void => {
    if (via === undefined) return;
    for (const { name: wanted = [] } of [via.require, via.prefer, via.avoid, via.prohibit]) {
      for (const name of wanted) {
        if (known.has(name)) continue;
        const message = `no file describes an uplink ${JSON.stringify(name)}`;
        const hint = didYouMean(name, names) ?? (systemDefault.uplinks === 'files' ? undefined : DISCOVERED);
        found.push(diagnosticAt(via.at, 'warning', 'unknown-uplink', message, hint));
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
