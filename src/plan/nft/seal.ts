/**
 * A map in our table that says which plan it holds: elements made from all the rest. A daemon that finds the seal of what a predecessor has
 * written down changes what differs. To load the table anew costs: whatever waits in a packet queue of the network namespace is dropped when
 * rules that set a zone go (nft_ct_set_destroy in net/netfilter/nft_ct.c), and when a base chain goes (nf_queue_nf_hook_drop).
 */
import { contentHash } from '../content-name.ts';
import { renderRule, renderVerdict } from './render.ts';
import type { Chain, MapElement, NftMap, NftSet, Ruleset, SetElement } from './ruleset.ts';

export const SEAL = 'plan_in_force';

const HASH_BITS = 53n;
const LOW_BITS = 22n;
/** The second of the two keys has it, so that they are two. */
const IS_LOW = 1n << 31n;

const elementText = ({ key }: SetElement): string =>
  key.map((part) => (typeof part === 'string' ? part : `${part.first}-${part.last}`)).join('.');
const mapElementText = ({ key, data }: MapElement): string =>
  `${key}:${data.kind === 'mark' ? data.mark : renderVerdict(data.verdict)}`;

/** What goes by itself is no part of it. */
const setText = ({ name, key, flags, size, elements }: NftSet): string =>
  [name, key, flags, size, flags.includes('timeout') ? '' : elements.map(elementText).sort()].join(' ');
const mapText = ({ name, key, level, data, size, elements }: NftMap): string =>
  [name, key, level, data, size, elements.map(mapElementText).sort()].join(' ');
const chainText = ({ name, hook, rules }: Chain): string =>
  [name, JSON.stringify(hook), ...rules.map(renderRule)].join('\n');

/** Most of a plan stays what it was from one to the next. */
const hashes = new WeakMap<object, string>();

function hashOf<T extends object>(object: T, text: (object: T) => string): string {
  const known = hashes.get(object);
  if (known !== undefined) return known;
  const hash = contentHash(text(object));
  hashes.set(object, hash);
  return hash;
}

/** The keys of the seal's elements. */
export function sealOf({ table, sets, maps, chains }: Ruleset): readonly [bigint, bigint] {
  const others = [...maps.values()].filter(({ name }) => name !== SEAL);
  const parts = [
    ...Array.from(sets.values(), (set) => hashOf(set, setText)),
    ...others.map((map) => hashOf(map, mapText)),
    ...Array.from(chains.values(), (chain) => hashOf(chain, chainText)),
  ];
  const hash = BigInt.asUintN(Number(HASH_BITS), BigInt(`0x${contentHash([table, ...parts].join())}`));
  return [hash >> LOW_BITS, (hash & ((1n << LOW_BITS) - 1n)) | IS_LOW];
}

const sealed = new WeakMap<Ruleset, Ruleset>();

export function withSeal(ruleset: Ruleset): Ruleset {
  const known = sealed.get(ruleset);
  if (known !== undefined) return known;
  const elements = sealOf(ruleset).map((key): MapElement => ({ key, data: { kind: 'mark', mark: 0 } }));
  const seal: NftMap = { name: SEAL, key: 'mark', data: 'mark', elements };
  const whole = { ...ruleset, maps: new Map([...ruleset.maps, [SEAL, seal]]) };
  sealed.set(ruleset, whole);
  sealed.set(whole, whole);
  return whole;
}
