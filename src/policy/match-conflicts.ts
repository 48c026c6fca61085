import type { Diagnostic } from './diagnostic.ts';
import type { EffectivePolicy } from './effective-policy.ts';
import { layerStrength } from './layers.ts';
import type { Match } from './model.ts';
import { diagnosticAt } from './policy-source.ts';

/** An application that may have to share. */
export interface Claimant {
  readonly complete: EffectivePolicy;
  /** The `matchKey` of each entry of its `match`. */
  readonly keys: readonly string[];
}

export interface Conflicts {
  /** Entries that an application loses to another one, by `app`. */
  readonly lost: ReadonlyMap<string, readonly Match[]>;
  /** Keys that more than one application has. */
  readonly contested: ReadonlySet<string>;
  readonly diagnostics: readonly Diagnostic[];
}

interface Claim {
  readonly app: string;
  readonly match: Match;
}

/**
 * Who gets the `match` entries that several applications have: the stronger layer's application keeps it, in one layer the
 * first of the list.
 */
export function resolveConflicts(claimants: readonly Claimant[]): Conflicts {
  const owners = new Map<string, Claimant>();
  const lost = new Map<string, Match[]>();
  const contested = new Set<string>();
  const diagnostics: Diagnostic[] = [];
  for (const claimant of claimants) {
    for (const key of claimant.keys) {
      const owner = owners.get(key);
      if (owner === undefined) {
        owners.set(key, claimant);
        continue;
      }
      const [winner, loser] = strength(claimant, key) > strength(owner, key) ? [claimant, owner] : [owner, claimant];
      owners.set(key, winner);
      contested.add(key);
      const { app } = loser.complete;
      const match = claimed(loser, key);
      const losses = lost.get(app);
      if (losses === undefined) lost.set(app, [match]);
      else losses.push(match);
      diagnostics.push(conflict(key, { app, match }, { app: winner.complete.app, match: claimed(winner, key) }));
    }
  }
  return { lost, contested, diagnostics };
}

function claimed({ complete, keys }: Claimant, key: string): Match {
  const match = complete.match[keys.indexOf(key)];
  if (match === undefined) throw new RangeError(`${complete.app} does not have ${key}`);
  return match;
}

function strength(claimant: Claimant, key: string): number {
  const { file } = claimed(claimant, key).at;
  return layerStrength(claimant.complete.files.find((source) => source.file === file)?.layer ?? 'builtin');
}

function conflict(key: string, loser: Claim, winner: Claim): Diagnostic {
  const { file, line, column } = winner.match.at;
  const message = `${key} belongs to ${winner.app} (${file}:${line}:${column}); ${loser.app} does not get it`;
  return diagnosticAt(loser.match.at, 'error', 'match-conflict', message, 'a program can be only one application');
}
