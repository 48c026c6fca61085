/**
 * A transaction of nft commands: it takes effect as a whole or not at all. `text` commands go through `nft -f -`;
 * elements of cgroup maps go by netlink, because nft's text form knows cgroups only by paths that may be gone.
 */
import type { Chain, MapElement, NftMap, NftSet, Rule, Ruleset, SetElement } from './ruleset.ts';

export type NftCommand = TableCommand | ObjectCommand;

export type TableCommand =
  /** Whatever the table was, it is now this. Elements of cgroup maps are left out. */
  | { readonly kind: 'replace table'; readonly ruleset: Ruleset }
  | { readonly kind: 'delete table'; readonly table: string };

/** On objects of our one table. */
export type ObjectCommand =
  | { readonly kind: 'add chain'; readonly chain: Chain }
  | { readonly kind: 'flush chain'; readonly chain: string }
  | { readonly kind: 'delete chain'; readonly chain: string }
  | { readonly kind: 'add rule'; readonly chain: string; readonly rule: Rule }
  | { readonly kind: 'add set'; readonly set: NftSet }
  | { readonly kind: 'delete set'; readonly set: string }
  /** For sets whose elements expire on their own: deleting one that has just gone would fail the whole batch. */
  | { readonly kind: 'flush set'; readonly set: string }
  | { readonly kind: 'add map'; readonly map: NftMap }
  | { readonly kind: 'delete map'; readonly map: string }
  | { readonly kind: 'add elements'; readonly set: NftSet; readonly elements: readonly SetElement[] }
  | { readonly kind: 'delete elements'; readonly set: NftSet; readonly elements: readonly SetElement[] }
  | { readonly kind: 'add map elements'; readonly map: NftMap; readonly elements: readonly MapElement[] }
  | { readonly kind: 'delete map elements'; readonly map: NftMap; readonly elements: readonly MapElement[] };
