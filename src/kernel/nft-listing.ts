import { KernelError } from './kernel-error.ts';

/** The parts of libnftables-json(5) that are counted. Everything in a listing may be missing. */
interface Listed {
  readonly chain?: { readonly name?: unknown };
  readonly rule?: { readonly chain?: unknown };
  readonly set?: { readonly name?: unknown };
  readonly map?: { readonly name?: unknown };
}

export interface TableListing {
  /** Rules of each chain. */
  readonly chains: ReadonlyMap<string, number>;
  readonly sets: readonly string[];
  readonly maps: readonly string[];
}

/** Names and rules in the output of `nft -j -t list table`. Throws KernelError for what is not that. */
export function parseTableListing(json: string): TableListing {
  const objects = listedObjects(json);
  const chains = new Map<string, number>();
  for (const { chain } of objects) if (chain !== undefined) chains.set(String(chain.name), 0);
  for (const { rule } of objects) {
    if (rule !== undefined) chains.set(String(rule.chain), (chains.get(String(rule.chain)) ?? 0) + 1);
  }
  const sets = objects.flatMap(({ set }) => (set === undefined ? [] : [String(set.name)]));
  const maps = objects.flatMap(({ map }) => (map === undefined ? [] : [String(map.name)]));
  return { chains, sets, maps };
}

function listedObjects(json: string): readonly Listed[] {
  try {
    const listing = JSON.parse(json) as { readonly nftables?: unknown } | null;
    if (Array.isArray(listing?.nftables)) return listing.nftables as Listed[];
  } catch {
    // Told below: both are the same surprise.
  }
  throw new KernelError('nft', 0, '', 'list table', 'its listing is not the JSON that libnftables-json(5) describes');
}
