import type { Diagnostic } from './diagnostic.ts';
import type { EffectivePolicy } from './effective-policy.ts';
import { layerStrength } from './layers.ts';
import type { Match } from './model.ts';
import { diagnosticAt, matchKey } from './policy-source.ts';

interface Claim {
  readonly policy: EffectivePolicy;
  readonly match: Match;
}

/**
 * The `match` entries that each policy loses to another application that has the same one: the stronger layer's application
 * keeps it, in one layer the first of the list.
 */
export function resolveConflicts(
  policies: readonly EffectivePolicy[],
  diagnostics: Diagnostic[],
): Map<EffectivePolicy, Match[]> {
  const owners = new Map<string, Claim>();
  const lost = new Map<EffectivePolicy, Match[]>();
  for (const policy of policies) {
    for (const match of policy.match) {
      const key = matchKey(match);
      const claim = { policy, match };
      const owner = owners.get(key);
      if (owner === undefined) {
        owners.set(key, claim);
        continue;
      }
      const [winner, loser] = strengthOf(claim) > strengthOf(owner) ? [claim, owner] : [owner, claim];
      owners.set(key, winner);
      const losses = lost.get(loser.policy);
      if (losses === undefined) lost.set(loser.policy, [loser.match]);
      else losses.push(loser.match);
      diagnostics.push(conflict(loser, winner));
    }
  }
  return lost;
}

function strengthOf({ policy, match }: Claim): number {
  return layerStrength(policy.files.find(({ file }) => file === match.at.file)?.layer ?? 'builtin');
}

function conflict(loser: Claim, winner: Claim): Diagnostic {
  const { file, line, column } = winner.match.at;
  const what = matchKey(loser.match);
  const message = `${what} belongs to ${winner.policy.app} (${file}:${line}:${column}); ${loser.policy.app} does not get it`;
  return diagnosticAt(loser.match.at, 'error', 'match-conflict', message, 'a program can be only one application');
}
