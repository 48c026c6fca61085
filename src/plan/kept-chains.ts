/**
 * Chains that stay in the table when nothing needs them any more, because with each of them all packets would go that wait in a queue of the
 * network namespace, whosever they are: base chains (nf_queue_nf_hook_drop in net/netfilter/nf_queue.c), and rules that set a zone
 * (nft_ct_set_destroy in net/netfilter/nft_ct.c). Each policy that is changed has another zone than before.
 */
import type { Chain, Ruleset } from './nft/ruleset.ts';

/** With more than these that nothing leads to, all of them go at once. */
export const MAX_UNUSED_ZONES = 1024;

const setsZone = ({ rules }: Chain): boolean =>
  rules.some(({ expressions }) => expressions.some(({ kind }) => kind === 'set original zone'));

/** Without rules. Not those of devices: the kernel removes these with the devices. There are as many as there are hooks in what we compile. */
const emptiedHook = (chain: Chain): readonly Chain[] =>
  chain.hook === undefined || chain.hook.devices !== undefined ? [] : [{ ...chain, rules: [] }];

/** `before`: what is in force. The same object where nothing of it is to be kept. */
export function keepChains(ruleset: Ruleset, before: Ruleset | undefined): Ruleset {
  if (before === undefined) return ruleset;
  const gone = [...before.chains.values()].filter(({ name }) => !ruleset.chains.has(name));
  const zones = gone.filter(setsZone);
  const kept = [...(zones.length > MAX_UNUSED_ZONES ? [] : zones), ...gone.flatMap(emptiedHook)];
  if (kept.length === 0) return ruleset;
  return { ...ruleset, chains: new Map([...ruleset.chains, ...kept.map((chain) => [chain.name, chain] as const)]) };
}
