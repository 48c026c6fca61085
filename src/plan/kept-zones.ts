/**
 * Chains that set a zone stay in the table when no policy leads to them any more. A rule that sets one takes with it all packets that wait in
 * a queue of the network namespace, whosever they are, when it goes (nft_ct_set_destroy in net/netfilter/nft_ct.c); and each policy that is
 * changed has another zone than before.
 */
import type { Chain, Ruleset } from './nft/ruleset.ts';

/** With more than these that nothing leads to, all of them go at once. */
export const MAX_UNUSED_ZONES = 1024;

const setsZone = ({ rules }: Chain): boolean =>
  rules.some(({ expressions }) => expressions.some(({ kind }) => kind === 'set original zone'));

/** `before`: what is in force. The same object where nothing of it is to be kept. */
export function keepZones(ruleset: Ruleset, before: Ruleset | undefined): Ruleset {
  if (before === undefined || ![...ruleset.chains.values()].some(setsZone)) return ruleset;
  const unused = [...before.chains].filter(([name, chain]) => !ruleset.chains.has(name) && setsZone(chain));
  if (unused.length === 0 || unused.length > MAX_UNUSED_ZONES) return ruleset;
  return { ...ruleset, chains: new Map([...ruleset.chains, ...unused]) };
}
