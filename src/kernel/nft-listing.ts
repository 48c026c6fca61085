import { createHash } from 'node:crypto';
import { type Prints, printOf } from './kernel.ts';
import { KernelError } from './kernel-error.ts';

/** The parts of libnftables-json(5) that are counted. Everything in a listing may be missing. */
interface Listed {
  readonly chain?: {
    readonly name?: unknown;
    readonly handle?: unknown;
    readonly type?: unknown;
    readonly hook?: unknown;
    readonly prio?: unknown;
    readonly policy?: unknown;
  };
  readonly rule?: { readonly chain?: unknown; readonly handle?: unknown; readonly expr?: unknown };
  readonly set?: { readonly name?: unknown };
  readonly map?: { readonly name?: unknown };
}

export interface TableListing {
  /** Rules of each chain. */
  readonly chains: ReadonlyMap<string, number>;
  /** Of chains and of their rules. */
  readonly prints: Prints;
  readonly sets: readonly string[];
  readonly maps: readonly string[];
}

/** Names and rules in the output of `nft -j -t list table`. Throws KernelError for what is not that. */
export function parseTableListing(json: string): TableListing {
  const objects = listedObjects(json);
  const chains = new Map<string, number>();
  const rules = new Map<string, string[]>();
  const prints = new Map<string, string>();
  for (const { chain } of objects) {
    if (chain === undefined) continue;
    const { handle, type, hook, prio, policy } = chain;
    rules.set(String(chain.name), []);
    prints.set(printOf.chain(String(chain.name)), [handle, type, hook, prio, policy].join());
  }
  for (const { rule } of objects) {
    if (rule === undefined) continue;
    const before = rules.get(String(rule.chain));
    if (before === undefined) rules.set(String(rule.chain), [ruleText(rule)]);
    else before.push(ruleText(rule));
  }
  for (const [name, all] of rules) {
    chains.set(name, all.length);
    prints.set(printOf.rules(name), createHash('sha256').update(all.join('\n')).digest('base64'));
  }
  const sets = objects.flatMap(({ set }) => (set === undefined ? [] : [String(set.name)]));
  const maps = objects.flatMap(({ map }) => (map === undefined ? [] : [String(map.name)]));
  return { chains, prints, sets, maps };
}

/** What packets have been counted is no part of it. A rule that takes the place of another keeps its handle (NLM_F_REPLACE, Linux 6.18). */
const ruleText = ({ handle, expr }: NonNullable<Listed['rule']>): string =>
  `${String(handle)} ${JSON.stringify(expr, (key, value: unknown) => (key === 'counter' ? null : value))}`;

function listedObjects(json: string): readonly Listed[] {
  try {
    const listing = JSON.parse(json) as { readonly nftables?: unknown } | null;
    if (Array.isArray(listing?.nftables)) return listing.nftables as Listed[];
  } catch {
    // Told below: both are the same surprise.
  }
  throw new KernelError('nft', 0, '', 'list table', 'its listing is not the JSON that libnftables-json(5) describes');
}
