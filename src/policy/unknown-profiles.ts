import type { Diagnostic } from './diagnostic.ts';
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import { diagnosticAt } from './policy-source.ts';
import { didYouMean } from './suggestion.ts';

/** Whether the policy can have any such warning. */
export function namesProfiles({ rules }: EffectivePolicy): boolean {
  return rules.some(({ during }) => during !== undefined);
}

/** Warnings for each rule that holds during a profile which no file describes: it never does. */
export function unknownProfiles({ apps, profiles = [] }: PolicySet): readonly Diagnostic[] {
  const names = profiles.map(({ name }) => name);
  const known = new Set(names);
  return apps.flatMap(({ rules }) =>
    rules.flatMap(({ during = [], at }) =>
      during
        .filter((name) => !known.has(name))
        .map((name) => {
          const message = `there is no profile ${JSON.stringify(name)}, so this never holds`;
          return diagnosticAt(at, 'warning', 'unknown-profile', message, didYouMean(name, names));
        }),
    ),
  );
}
