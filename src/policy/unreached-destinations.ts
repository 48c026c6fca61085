/** Destinations of a file's rules that no connection reaches, because rules before them have all of it. Pure. */
import { prefixWidth } from '../net/address.ts';
import { groupPrefixes } from './groups.ts';
import { type AddressRange, linkNetworks, rangeOf, without } from './local-networks.ts';
import { destinationProtocols, namesLoopback } from './match-destination.ts';
import type { Destination, Rule, Verb } from './model.ts';

/** Each entry is compared with all before it, range by range. Of a file that needs more than this, the rest is not looked at. */
export const MAX_COMPARISONS = 200_000;

export interface UnreachedDestination {
  readonly rule: number;
  readonly entry: number;
  /** The rule that has what was left of it, whether that is for everything, and whether it has all of it alone. */
  readonly by: Rule;
  readonly isByEverything: boolean;
  readonly isAlone: boolean;
}

interface Earlier {
  readonly rule: Rule;
  readonly entry: Destination;
  /** What it surely speaks of. */
  readonly ranges: readonly AddressRange[];
}

type Reached = Pick<UnreachedDestination, 'by' | 'isByEverything' | 'isAlone'>;

/** In the order of the file. */
export function unreachedDestinations(rules: readonly Rule[]): readonly UnreachedDestination[] {
  const found: UnreachedDestination[] = [];
  const earlier: Earlier[] = [];
  const work: Work = { comparisons: 0 };
  for (const [index, rule] of rules.entries()) {
    for (const [place, entry] of rule.to.entries()) {
      const reached = reachedBefore(entry, rule.do, earlier, work);
      if (work.comparisons > MAX_COMPARISONS) return found.filter((one) => one.rule < index);
      if (reached !== undefined) found.push({ rule: index, entry: place, ...reached });
    }
    // What holds at times only leaves the rest of the time.
    if (rule.during === undefined)
      earlier.push(...rule.to.map((entry) => ({ rule, entry, ranges: rangesOf(entry, 'surely') })));
  }
  return found;
}

interface Work {
  comparisons: number;
}

const isEverything = ({ target, ports, protocol }: Destination): boolean =>
  target.kind === 'any' && ports === undefined && protocol === undefined;

/** The entry before it that has the last of it. */
function reachedBefore(entry: Destination, verb: Verb, earlier: readonly Earlier[], work: Work): Reached | undefined {
  const isAboutLoopback = namesLoopback(entry);
  // Of loopback only those that name it have a say; of everything else it is no part.
  let left = isAboutLoopback ? rangesOf(entry) : LOOPBACK.reduce(without, rangesOf(entry));
  let isAlone = true;
  for (const before of earlier) {
    work.comparisons += 1;
    if (isAboutLoopback && !namesLoopback(before.entry)) continue;
    if (!hasService(before.entry, entry)) continue;
    const reached = { by: before.rule, isByEverything: isEverything(before.entry) };
    if (isSame(before, entry, verb)) return { ...reached, isAlone: true };
    work.comparisons += left.length * before.ranges.length;
    if (work.comparisons > MAX_COMPARISONS) return undefined;
    const rest = before.ranges.reduce(without, left);
    if (rest.length === 0) return { ...reached, isAlone };
    isAlone &&= isEqual(rest, left);
    left = rest;
  }
  return undefined;
}

const isEqual = (some: readonly AddressRange[], others: readonly AddressRange[]): boolean =>
  some.length === others.length &&
  some.every(({ first, last }, i) => first === others[i]?.first && last === others[i]?.last);

/** What stands for addresses that nobody knows here, twice. */
function isSame({ rule, entry: before }: Earlier, entry: Destination, verb: Verb): boolean {
  const [a, b] = [before.target, entry.target];
  // A rule that refuses a name speaks of fewer of its addresses, one that allows what is on link of fewer networks.
  if (a.kind === 'name' && b.kind === 'name') return a.name === b.name && (rule.do === 'allow' || verb !== 'allow');
  return a.kind === 'on-link' && b.kind === 'on-link' && (rule.do !== 'allow' || verb === 'allow');
}

const everywhere: readonly AddressRange[] = ([4, 6] as const).map((family) => ({
  family,
  first: 0n,
  last: (1n << BigInt(prefixWidth(family))) - 1n,
}));
const LOOPBACK = groupPrefixes('loopback').map(rangeOf);
const LINK = linkNetworks([]).map(rangeOf);

/** All that it may speak of; `surely`: what it speaks of whatever the machine is connected to, and whatever names have for addresses. */
function rangesOf({ target }: Destination, how?: 'surely'): readonly AddressRange[] {
  switch (target.kind) {
    case 'any':
      return everywhere;
    case 'prefix':
      return [rangeOf(target.prefix)];
    case 'group':
      return groupPrefixes(target.group).map(rangeOf);
    case 'on-link':
      return how === 'surely' ? LINK : everywhere;
    case 'name':
      return how === 'surely' ? [] : everywhere;
  }
}

/** Whether all protocols and ports of `entry` are among those of `before`. */
function hasService(before: Destination, entry: Destination): boolean {
  const [theirs, own] = [destinationProtocols(before), destinationProtocols(entry)];
  if (theirs !== undefined && (own === undefined || !own.every((protocol) => theirs.includes(protocol)))) return false;
  const { ports } = before;
  if (ports === undefined) return true;
  return entry.ports?.every(({ first, last }) => ports.some((one) => one.first <= first && last <= one.last)) ?? false;
}
