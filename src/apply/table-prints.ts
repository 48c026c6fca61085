/**
 * Whether what is in our table is what we put there. After each change of ours the table's prints are taken; what the change itself has made is
 * without until then, so that no look stands between a change and the next.
 */
import { createHash } from 'node:crypto';
import { type Prints, printOf } from '../kernel/kernel.ts';
import type { Change } from '../plan/change.ts';
import type { NftCommand } from '../plan/nft/command.ts';
import type { Chain, Rule, Ruleset } from '../plan/nft/ruleset.ts';
import { isLearned } from './table-counts.ts';

export const NO_PRINTS: Prints = new Map();

/** Of all that these changes leave as it is. */
export function printsAfter(prints: Prints, changes: readonly Change[]): Prints {
  const commands = changes.flatMap((change) => (change.kind === 'nft' ? change.commands : []));
  if (commands.length === 0) return prints;
  if (commands.some(({ kind }) => kind === 'replace table' || kind === 'delete table')) return NO_PRINTS;
  const left = new Map(prints);
  for (const command of commands) for (const name of changedBy(command)) left.delete(name);
  return left;
}

function changedBy(command: NftCommand): readonly string[] {
  switch (command.kind) {
    case 'replace table':
    case 'delete table':
      return [];
    case 'add chain':
      return [printOf.chain(command.chain.name), printOf.rules(command.chain.name)];
    case 'delete chain':
      return [printOf.chain(command.chain), printOf.rules(command.chain)];
    case 'flush chain':
    case 'add rule':
      return [printOf.rules(command.chain)];
    case 'add set':
    case 'add elements':
    case 'delete elements':
      return [printOf.elements(command.set.name)];
    case 'delete set':
    case 'flush set':
      return [printOf.elements(command.set)];
    case 'add map':
    case 'add map elements':
    case 'delete map elements':
      return [printOf.elements(command.map.name)];
    case 'delete map':
      return [printOf.elements(command.map)];
  }
}

/** Something that has a print has another one now. What is learned comes and goes by other ways. */
export function isReplaced(known: Prints, now: Prints, ruleset: Ruleset): boolean {
  const coming = comingAndGoing(ruleset);
  for (const [name, print] of known) if (!coming.has(name) && now.get(name) !== print) return true;
  return false;
}

/** Nothing of the ruleset is without one. */
export function isWhole(prints: Prints, ruleset: Ruleset): boolean {
  const coming = comingAndGoing(ruleset);
  const elements = [...ruleset.sets.keys(), ...ruleset.maps.keys()].map(printOf.elements);
  const names = [...ruleset.chains.keys()].flatMap((name) => [printOf.chain(name), printOf.rules(name)]);
  return [...names, ...elements.filter((name) => !coming.has(name))].every((name) => prints.has(name));
}

/** One for all, for a successor. */
export function wholePrint(prints: Prints, ruleset: Ruleset): string {
  const coming = comingAndGoing(ruleset);
  const texts = [...prints].filter(([name]) => !coming.has(name)).map(([name, print]) => `${name} ${print}`);
  return createHash('sha256').update(texts.sort().join('\n')).digest('base64');
}

function comingAndGoing({ sets }: Ruleset): ReadonlySet<string> {
  const timed = [...sets.values()].filter((set) => isLearned(set) || set.flags.includes('dynamic'));
  return new Set(timed.map(({ name }) => printOf.elements(name)));
}

/** Rules of ours that nobody has looked at since we made them, and somebody else has committed something since: to be written again. */
export function withoutUnseen(ruleset: Ruleset, known: Prints): Ruleset {
  const chains = Array.from(
    ruleset.chains,
    ([name, chain]) =>
      [name, known.has(printOf.rules(name)) || setsZone(chain) ? chain : { ...chain, rules: [UNSEEN] }] as const,
  );
  return { ...ruleset, chains: new Map(chains) };
}

/** What waits in any packet queue would be dropped with such rules (nft_ct_set_destroy): their count has to do until they have been looked at. */
const setsZone = ({ rules }: Chain): boolean =>
  rules.some(({ expressions }) => expressions.some(({ kind }) => kind === 'set original zone'));

/** Is in no plan. */
const UNSEEN: Rule = { expressions: [] };
