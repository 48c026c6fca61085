/**
 * What has no way of an uplink's goes where the system's routes say, and what answers goes back where it came from; both may have
 * been routed, and got their source, by something else before anybody knew: by the uplink that their socket was marked for, by
 * the rule of an address that they are bound to. Their marks are put right here, which routes them again; only where that is
 * wanted, since a second look at the routes does not know the device that a program chose (IP_UNICAST_IF, IP_PKTINFO).
 */
import type { Address, Family } from '../net/address.ts';
import { heldAddresses, type UplinkState } from '../policy/facts.ts';
import { compileAlike } from './compile-alike.ts';
import { MULTICAST4 } from './compile-housekeeping.ts';
import { addressElements } from './nft/elements.ts';
import { accept, goto, inSet, is, isNot, rule, setBits } from './nft/expressions.ts';
import { metaBits } from './nft/marks.ts';
import type { Chain, Expression, Field, NftSet, Rule, Verdict } from './nft/ruleset.ts';
import { MARK_APP, MARK_OURS, MARK_SOCKET, MARK_UPLINK, MARK_WAY, UPLINK_SYSTEM, wayMark } from './reserved.ts';

const SYSTEM = 'via_system';
const SOURCE = 'via_source';
const MASQUERADE_SYSTEM = 'masquerade_system';
const FAMILIES: readonly Family[] = [4, 6];

const bySource = (id: number): string => `${SOURCE}_${id}`;
const masqueradeSystem = (id: number): string => `${MASQUERADE_SYSTEM}_${id}`;
const addressSet = (family: Family): string => `uplink_addresses${family}`;
const sourceOf = (family: Family): Field => ({ kind: family === 4 ? 'ip saddr' : 'ip6 saddr' });

const held = (uplink: UplinkState, family: Family): readonly Address[] =>
  heldAddresses(uplink).filter((address) => address.family === family);

/** Its source is an uplink's. */
const isOfUplink = (family: Family): Expression => inSet(addressSet(family), sourceOf(family));

/** By the device of this uplink, with the source of another one. */
function isOfAnother(uplink: UplinkState, family: Family): readonly Expression[] {
  const own = held(uplink, family).map(({ value }) => value);
  return [...(own.length > 0 ? [isNot(sourceOf(family), ...own)] : []), isOfUplink(family)];
}

const OURS_AND_SOCKET = (MARK_OURS | MARK_SOCKET) >>> 0;
const isMarked = is(metaBits(OURS_AND_SOCKET), OURS_AND_SOCKET);
/** Whoever marks its own packets in these bits has rules of its own for them, which are left to it. */
const isUnmarked = is(metaBits((MARK_WAY | MARK_APP) >>> 0), 0);
const isMarkedForUplink = isNot(metaBits(MARK_UPLINK), 0);
/** Decided: no rule about its source holds for it. */
const markDecided = setBits('meta mark', (MARK_WAY | MARK_APP) >>> 0, wayMark(UPLINK_SYSTEM));
/** Not ours: by the rule about its source. */
const markBySource = setBits('meta mark', (MARK_WAY | MARK_APP) >>> 0, 0);

function systemChain(uplinks: readonly UplinkState[], noDefault: readonly Family[]): Chain {
  const routedBySource = FAMILIES.flatMap((family) => [
    rule(isUnmarked, isOfUplink(family), markDecided, accept),
    // A marked socket's first look at the routes does not heed its source, unless there are no others (`compile-routing.ts`).
    ...(noDefault.includes(family) ? [rule(isMarked, isOfUplink(family), markDecided, accept)] : []),
  ]);
  // IP_MULTICAST_IF and IP_BROADCAST_IF say by which device; IPv6 keeps it (ip6_route_me_harder()).
  const chosen = rule(inSet(MULTICAST4, { kind: 'ip daddr' }), accept);
  return {
    name: SYSTEM,
    comment: 'by the routes of the system, whatever its socket was marked for and whatever address it is bound to',
    rules: [
      rule(isMarked, isMarkedForUplink, markDecided, accept),
      ...(uplinks.length > 0 ? [chosen, ...routedBySource] : []),
      rule(accept),
    ],
  };
}

function sourceChains(uplinks: readonly UplinkState[], alike: readonly Rule[]): Chain[] {
  const back = (...expressions: readonly Expression[]): Rule => rule(...expressions, markBySource, accept);
  return [
    {
      name: SOURCE,
      comment: 'goes back by the uplink of its address',
      rules: [
        ...alike,
        rule(isNot(metaBits(OURS_AND_SOCKET), OURS_AND_SOCKET), accept),
        back(isMarkedForUplink),
        ...uplinks.map(({ id, device }) => rule(is({ kind: 'meta oifname' }, device), goto(bySource(id)))),
        ...(uplinks.length > 0 ? FAMILIES.map((family) => back(isOfUplink(family))) : []),
        rule(accept),
      ],
    },
    ...uplinks.map(
      (uplink): Chain => ({
        name: bySource(uplink.id),
        rules: [...FAMILIES.map((family) => back(...isOfAnother(uplink, family))), rule(accept)],
      }),
    ),
  ];
}

/** The other end would send its answers elsewhere. Addresses that are no uplink's are left alone, whatever they are for. */
function masqueradeChains(uplinks: readonly UplinkState[]): Chain[] {
  const masquerade = (...expressions: readonly Expression[]): Rule => rule(...expressions, { kind: 'masquerade' });
  return [
    ...uplinks.map(
      (uplink): Chain => ({
        name: masqueradeSystem(uplink.id),
        rules: FAMILIES.map((family) => masquerade(...isOfAnother(uplink, family))),
      }),
    ),
    {
      name: MASQUERADE_SYSTEM,
      comment: 'by the routes of the system, with the source of another uplink',
      rules: [
        ...uplinks.map(({ id, device }) => rule(is({ kind: 'meta oifname' }, device), goto(masqueradeSystem(id)))),
        ...FAMILIES.map((family) => masquerade(isOfUplink(family))),
      ],
    },
  ];
}

const MASQUERADE_LOCAL = 'masquerade_local';

/**
 * By the link that is connected to it, with the source of an uplink that carries what is local elsewhere: whoever sent it was routed there before
 * it was known that its own `via` does not ask for that. `carriers`: names.
 */
export function masqueradeLocal(uplinks: readonly UplinkState[], carriers: ReadonlySet<string>): Chain | undefined {
  const rules = uplinks
    .filter(({ name }) => carriers.has(name))
    .flatMap((uplink) =>
      FAMILIES.flatMap((family) => {
        const own = held(uplink, family).map(({ value }) => value);
        if (own.length === 0) return [];
        return rule(isNot({ kind: 'meta oifname' }, uplink.device), is(sourceOf(family), ...own), {
          kind: 'masquerade',
        });
      }),
    );
  if (rules.length === 0) return undefined;
  return {
    name: MASQUERADE_LOCAL,
    comment: 'to a connected network, with the source of an uplink that was not to carry it',
    rules,
  };
}

function addressSets(uplinks: readonly UplinkState[]): NftSet[] {
  const setOf = (family: Family): NftSet => ({
    name: addressSet(family),
    key: [family === 4 ? 'ipv4_addr' : 'ipv6_addr'],
    flags: ['interval'],
    elements: addressElements(
      uplinks.flatMap((uplink) => held(uplink, family)).map(({ value }) => ({ first: value, last: value })),
    ),
  });
  return FAMILIES.map(setOf);
}

/** How a packet goes on that has no way of an uplink's. */
export interface Passes {
  /** By the routes of the system. */
  readonly system: Verdict;
  /** It answers, or keeps the link and its addresses: by the uplink whose address it has. */
  readonly answer: Verdict;
}

export interface CompiledSources {
  readonly passes: Passes;
  readonly sets: readonly NftSet[];
  readonly chains: readonly Chain[];
  /** The chain that gives what goes by the system's routes a source that fits; present where there are uplinks. */
  readonly masquerade?: string;
}

/** `forwards`: containers are governed, whose packets are marked before they are told. */
export function compileSources(
  uplinks: readonly UplinkState[],
  { forwards, noDefault = [] }: { readonly forwards: boolean; readonly noDefault?: readonly Family[] },
): CompiledSources {
  const pass: Verdict = { kind: 'accept' };
  if (uplinks.length === 0 && !forwards) return { passes: { system: pass, answer: pass }, sets: [], chains: [] };
  const alike = compileAlike(uplinks);
  const chains = [systemChain(uplinks, noDefault), ...sourceChains(uplinks, alike.answers), ...alike.chains];
  const passes: Passes = { system: { kind: 'goto', chain: SYSTEM }, answer: { kind: 'goto', chain: SOURCE } };
  if (uplinks.length === 0) return { passes, sets: [], chains };
  return {
    passes,
    sets: addressSets(uplinks),
    chains: [...chains, ...masqueradeChains(uplinks)],
    masquerade: MASQUERADE_SYSTEM,
  };
}
