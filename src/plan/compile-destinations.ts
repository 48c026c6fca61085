/**
 * The entries of one rule's `to` as nft sets and the matches that look them up: at most a handful of lookups, however many
 * entries there are.
 */

import { type Address, type Family, prefixRange } from '../net/address.ts';
import type { MonotonicMs } from '../net/clock.ts';
import { IPPROTO_ICMP, IPPROTO_ICMPV6 } from '../net/protocol.ts';
import { type Facts, type NameState, NEVER } from '../policy/facts.ts';
import { groupPrefixes } from '../policy/groups.ts';
import { insideKind } from '../policy/inside-address.ts';
import { destinationProtocols } from '../policy/match-destination.ts';
import type { Destination, Verb } from '../policy/model.ts';
import type { ContentNames } from './content-name.ts';
import {
  type AddressInterval,
  addressElements,
  EVERY_PORT,
  portElements,
  type ServiceBox,
  serviceElements,
  singleElements,
} from './nft/elements.ts';
import { inSet } from './nft/expressions.ts';
import type { Expression, Field, KeyType, NftSet, SetElement } from './nft/ruleset.ts';

/** A set of names' addresses, and the entries that fill it. */
export interface NamedSet {
  readonly set: NftSet;
  readonly family: Family;
  readonly entries: readonly Destination[];
  /** Of the names' addresses, those that the rule can mean. */
  readonly isMeant: (address: Address) => boolean;
}

export interface CompiledDestinations {
  readonly sets: readonly NftSet[];
  /** Those among them that names fill. */
  readonly named: readonly NamedSet[];
  /** Each is the condition of one nft rule; the entry list holds where any of them does. A condition of no expressions always holds. */
  readonly matches: readonly (readonly Expression[])[];
  /** Where a name whose addresses are not known might match: the flow waits for them. */
  readonly unknown: readonly (readonly Expression[])[];
}

const FIELDS: Record<Family, Field> = { 4: { kind: 'ip daddr' }, 6: { kind: 'ip6 daddr' } };
const ADDRESS_TYPES: Record<Family, KeyType> = { 4: 'ipv4_addr', 6: 'ipv6_addr' };
/**
 * What is on link changes with the networks, so that rules look it up in sets that all share: a change of networks is one of their elements.
 * `believed`: for rules that allow.
 */
export const onLinkSet = (family: Family, isBelieved: boolean): string =>
  `${isBelieved ? 'believed_on_link' : 'on_link'}${family}`;

const SERVICE_FIELDS: readonly Field[] = [{ kind: 'meta l4proto' }, { kind: 'th dport' }];

interface Target {
  readonly family: Family;
  readonly address: AddressInterval;
  readonly entry: Destination;
}

/** An entry's addresses; for a name those that are known and alive. */
function targetsOf(entry: Destination, facts: Facts, nowMs: MonotonicMs, isMeant: NamedSet['isMeant']): Target[] {
  const prefixes =
    entry.target.kind === 'prefix'
      ? [entry.target.prefix]
      : entry.target.kind === 'group'
        ? groupPrefixes(entry.target.group)
        : [];
  const fixed = prefixes.map((prefix) => ({ family: prefix.address.family, address: prefixRange(prefix), entry }));
  if (entry.target.kind !== 'name') return fixed;
  return nameTargets(entry, facts.names.get(entry.target.name), nowMs, isMeant);
}

function nameTargets(
  entry: Destination,
  state: NameState | undefined,
  nowMs: MonotonicMs,
  isMeant: NamedSet['isMeant'],
): Target[] {
  if (state === undefined || !state.known) return [];
  return state.addresses
    .filter(({ address, expiresAtMs }) => expiresAtMs > nowMs && isMeant(address))
    .map(({ address, expiresAtMs }) => ({
      family: address.family,
      address: { first: address.value, last: address.value, ...(expiresAtMs < NEVER && { expiresAtMs }) },
      entry,
    }));
}

const portsOf = (entry: Destination): readonly { first: bigint; last: bigint }[] =>
  entry.ports?.map(({ first, last }) => ({ first: BigInt(first), last: BigInt(last) })) ?? [EVERY_PORT];

function boxes(target: Target): ServiceBox[] {
  const { expiresAtMs } = target.address;
  const other = target.family === 4 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
  return (destinationProtocols(target.entry) ?? [])
    .filter((protocol) => protocol !== other)
    .map((protocol) => ({
      address: target.address,
      protocol,
      ports: portsOf(target.entry),
      ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    }));
}

const anywhere = (entry: Destination): Omit<ServiceBox, 'address'>[] =>
  (destinationProtocols(entry) ?? []).map((protocol) => ({ protocol, ports: portsOf(entry) }));

const isInterval = (element: SetElement): boolean =>
  element.key.some((part) => typeof part !== 'string' && part.first !== part.last);

/**
 * A set of fixed elements is named after them. One of names is named after the entries that fill it, so that fresh
 * addresses are an update of its elements; it takes any shape of elements.
 */
function fixedSet(names: ContentNames, kind: string, key: readonly KeyType[], elements: readonly SetElement[]): NftSet {
  const text = elements
    .map((e) => e.key.map((part) => (typeof part === 'string' ? part : `${part.first}-${part.last}`)).join('.'))
    .join();
  return { name: names.name(kind, text), key, flags: elements.some(isInterval) ? ['interval'] : [], elements };
}

/** Sets without intervals are hashed: an element comes and goes at the same cost, however many there are. */
const isOfSinglePorts = (entries: readonly Destination[]): boolean =>
  entries.every(({ ports }) => ports?.every(({ first, last }) => first === last));

function namedSet(
  names: ContentNames,
  kind: string,
  key: readonly KeyType[],
  entries: readonly Destination[],
  elements: readonly SetElement[],
): NftSet {
  const text = entries.map((entry) => entry.text).join();
  const isHashed = key.length === 1 || isOfSinglePorts(entries);
  const head = { name: names.name(kind, text), key } as const;
  return isHashed
    ? { ...head, flags: ['timeout'], elements: singleElements(elements) }
    : { ...head, flags: ['interval', 'timeout'], elements };
}

function unknownMatches(
  entries: readonly Destination[],
  names: ContentNames,
): { sets: NftSet[]; matches: Expression[][] } {
  if (entries.length === 0) return { sets: [], matches: [] };
  if (entries.some((entry) => destinationProtocols(entry) === undefined)) return { sets: [], matches: [[]] };
  const set = fixedSet(names, 'ports', ['inet_proto', 'inet_service'], portElements(entries.flatMap(anywhere)));
  return { sets: [set], matches: [[inSet(set.name, ...SERVICE_FIELDS)]] };
}

/** `verb`: of the rule, which says what a name can mean. */
export function compileDestinations(
  entries: readonly Destination[],
  verb: Verb,
  facts: Facts,
  nowMs: MonotonicMs,
  names: ContentNames,
): CompiledDestinations {
  // What a set holds goes by the verb, too, and so its name.
  const refused = verb === 'allow' ? '' : 'refused_';
  const isMeant = (address: Address): boolean => verb === 'allow' || insideKind(facts, address) === undefined;
  const unknown = unknownMatches(
    entries.filter(({ target }) => target.kind === 'name' && facts.names.get(target.name)?.known !== true),
    names,
  );
  const any = entries.filter(({ target }) => target.kind === 'any');
  if (any.some((entry) => destinationProtocols(entry) === undefined))
    return { sets: [], named: [], matches: [[]], unknown: [] };

  const sets: NftSet[] = [];
  const named: NamedSet[] = [];
  const matches: Expression[][] = [];
  const look = (set: NftSet, ...fields: readonly Field[]): void => {
    sets.push(set);
    matches.push([inSet(set.name, ...fields)]);
  };
  if (any.length > 0)
    look(
      fixedSet(names, 'ports', ['inet_proto', 'inet_service'], portElements(any.flatMap(anywhere))),
      ...SERVICE_FIELDS,
    );

  const onLink = entries.filter(({ target }) => target.kind === 'on-link');
  const isOnLink = ([4, 6] as const).map((family) => inSet(onLinkSet(family, verb === 'allow'), FIELDS[family]));
  if (onLink.some((entry) => destinationProtocols(entry) === undefined))
    matches.push(...isOnLink.map((match) => [match]));
  else if (onLink.length > 0) {
    const set = fixedSet(names, 'ports', ['inet_proto', 'inet_service'], portElements(onLink.flatMap(anywhere)));
    sets.push(set);
    matches.push(...isOnLink.map((match) => [match, inSet(set.name, ...SERVICE_FIELDS)]));
  }

  const byName = entries.filter(({ target }) => target.kind === 'name');
  const targets = entries.flatMap((entry) => targetsOf(entry, facts, nowMs, isMeant));
  for (const family of [4, 6] as const) {
    const address = FIELDS[family];
    const addressKey = [ADDRESS_TYPES[family]] as const;
    const serviceKey = [ADDRESS_TYPES[family], 'inet_proto', 'inet_service'] as const;
    for (const fromNames of [false, true]) {
      const here = targets.filter(
        (target) => target.family === family && (target.entry.target.kind === 'name') === fromNames,
      );
      const whole = addressElements(
        here.filter(({ entry }) => destinationProtocols(entry) === undefined).map((t) => t.address),
      );
      const services = serviceElements(here.flatMap(boxes));
      if (fromNames) {
        const wholeNames = byName.filter((entry) => destinationProtocols(entry) === undefined);
        const serviceNames = byName.filter((entry) => destinationProtocols(entry) !== undefined);
        if (wholeNames.length > 0) {
          const set = namedSet(names, `${refused}names${family}`, addressKey, wholeNames, whole);
          named.push({ set, family, entries: wholeNames, isMeant });
          look(set, address);
        }
        if (serviceNames.length > 0) {
          const set = namedSet(names, `${refused}name_services${family}`, serviceKey, serviceNames, services);
          named.push({ set, family, entries: serviceNames, isMeant });
          look(set, address, ...SERVICE_FIELDS);
        }
        continue;
      }
      if (whole.length > 0) look(fixedSet(names, `addresses${family}`, addressKey, whole), address);
      if (services.length > 0)
        look(fixedSet(names, `services${family}`, serviceKey, services), address, ...SERVICE_FIELDS);
    }
  }
  return { sets: [...sets, ...unknown.sets], named, matches, unknown: unknown.matches };
}

/** What a set of names gets by these states of names, and by no others. */
export function namedElements(
  { set, family, entries, isMeant }: NamedSet,
  states: ReadonlyMap<string, NameState>,
  nowMs: MonotonicMs,
): readonly SetElement[] {
  const targets = entries
    .flatMap((entry) =>
      entry.target.kind === 'name' ? nameTargets(entry, states.get(entry.target.name), nowMs, isMeant) : [],
    )
    .filter((target) => target.family === family);
  const elements =
    set.key.length > 1
      ? serviceElements(targets.flatMap(boxes))
      : addressElements(targets.map(({ address }) => address));
  return set.flags.includes('interval') ? elements : singleElements(elements);
}
