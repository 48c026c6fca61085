/**
 * The ruleset: the same base chains always, one map lookup to the application, a few set lookups to the verdict. What an
 * undecided flow comes to is written into its conntrack mark; a decided one takes one map lookup and leaves.
 */

import { type Address, type Prefix, prefixRange } from '../net/address.ts';
import { mayWait } from '../policy/decide.ts';
import type { Facts } from '../policy/facts.ts';
import { believedRanges, localNetworks, onLinkRanges } from '../policy/local-networks.ts';
import { compileAnswers } from './compile-answers.ts';
import { type AppPart, CHAIN, type Choice } from './compile-app.ts';
import { askChains, askSets, verdictChains } from './compile-ask.ts';
import { BELIEVED4, BELIEVED6, compileChoice, LOCAL4, LOCAL6, waitForUplink } from './compile-choice.ts';
import { onLinkSet } from './compile-destinations.ts';
import { type CompiledDns, compileDns } from './compile-dns.ts';
import { compileForwarded, forwardedParts, governsForwarded } from './compile-forwarded.ts';
import { compileHeldTunnels } from './compile-held-tunnels.ts';
import { housekeepingSets } from './compile-housekeeping.ts';
import { compileIdentity, howTold, reachesApps, type Telling } from './compile-identity.ts';
import { compileInbound, governsInbound, type InboundInput } from './compile-inbound.ts';
import { type CompiledKernel, compileKernel } from './compile-kernel.ts';
import { loopbackChains, outputChains } from './compile-output.ts';
import { refusals } from './compile-refusal.ts';
import { compileReturning } from './compile-returning.ts';
import { solicitedSets } from './compile-solicited.ts';
import { type CompiledSources, compileSources, masqueradeLocal } from './compile-sources.ts';
import { compileTranslated } from './compile-translated.ts';
import { compileTunnels, marksInside } from './compile-tunnels.ts';
import { type CompiledUplinks, compileUplinks } from './compile-uplinks.ts';
import { addressElements } from './nft/elements.ts';
import { accept, goto, is, rule, setBits, vmap } from './nft/expressions.ts';
import { hook, metaBits } from './nft/marks.ts';
import type { Chain, MapElement, NftMap, NftSet, Ruleset } from './nft/ruleset.ts';
import {
  APP_NONE,
  MARK_APP,
  MARK_FOREIGN,
  MARK_OURS,
  MARK_WAY,
  MAX_WAYS,
  PRIORITY_GUARD,
  PRIORITY_LEAVE,
  PRIORITY_MASQUERADE,
  TABLE,
  UPLINK_INBOUND,
  UPLINK_LOCAL,
  UPLINK_NONE,
  UPLINK_SYSTEM,
  wayMark,
} from './reserved.ts';

const ranges = (prefixes: readonly Prefix[], family: Address['family']) =>
  addressElements(prefixes.filter(({ address }) => address.family === family).map(prefixRange));

function onLinkSets(facts: Facts): NftSet[] {
  return (['allow', 'deny'] as const).flatMap((verb) =>
    ([4, 6] as const).map((family): NftSet => {
      const elements = onLinkRanges(facts, verb).filter((range) => range.family === family);
      return {
        name: onLinkSet(family, verb === 'allow'),
        key: [family === 4 ? 'ipv4_addr' : 'ipv6_addr'],
        flags: ['interval'],
        elements: addressElements(elements),
      };
    }),
  );
}

function localSets(facts: Facts): NftSet[] {
  const local = localNetworks(facts.onLink);
  const believed = (family: Address['family']) =>
    addressElements(believedRanges(facts).filter((range) => range.family === family));
  const careful: NftSet[] = [
    { name: BELIEVED4, key: ['ipv4_addr'], flags: ['interval'], elements: believed(4) },
    { name: BELIEVED6, key: ['ipv6_addr'], flags: ['interval'], elements: believed(6) },
  ];
  return [
    ...(facts.doubted === undefined ? [] : careful),
    { name: LOCAL4, key: ['ipv4_addr'], flags: ['interval'], elements: ranges(local, 4) },
    { name: LOCAL6, key: ['ipv6_addr'], flags: ['interval'], elements: ranges(local, 6) },
  ];
}

const byName = <T extends { readonly name: string }>(items: readonly T[]): Map<string, T> =>
  new Map(items.map((item) => [item.name, item]));

/** Chains, sets and choices of the applications that some map leads to. */
function reachableParts(input: InboundInput): AppPart[] {
  const used = new Set([...(reachesApps(input) ? input.parts.values() : []), ...forwardedParts(input)]);
  return [...(input.told === 'asked' ? used : used.add(input.defaultPart))];
}

/** A part's further chains: for what comes in, for loopback, for queries. */
const extraChains = ({ loopback, accept: inbound, queries }: AppPart): Chain[] =>
  [loopback, inbound, queries].filter((chain) => chain !== undefined);

/** Two who ask from the same port are two for conntrack: answers are told apart by other ports, where such a hook is. */
const anySource: Chain = { name: 'source', hook: hook('nat', 'postrouting', PRIORITY_MASQUERADE), rules: [] };

function uplinkHooks(
  uplinks: CompiledUplinks,
  { masquerade }: CompiledSources,
  facts: Facts,
): { readonly chains: readonly Chain[]; readonly sets: readonly NftSet[] } {
  const answers = compileAnswers(facts.uplinks);
  const translated = compileTranslated(facts);
  const chains: Chain[] = [
    ...answers.chains,
    ...translated.chains,
    {
      name: 'source',
      comment: 'a source address that fits the uplink, for flows that were re-routed after it was chosen',
      hook: hook('nat', 'postrouting', PRIORITY_MASQUERADE),
      rules: [
        rule(is({ kind: 'meta oifname' }, 'lo'), accept),
        ...(masquerade === undefined ? [] : [rule(...translated.isDirect, goto(masquerade))]),
        rule(vmap(metaBits(MARK_WAY), uplinks.masquerade.name)),
      ],
    },
    {
      name: 'guard',
      comment: 'the last word: a flow marked for an uplink leaves by its device or not at all',
      hook: hook('filter', 'postrouting', PRIORITY_GUARD),
      rules: [...translated.guard, rule(vmap(metaBits(MARK_WAY), uplinks.guard.name)), ...answers.guard],
    },
    {
      name: 'leave',
      comment:
        'an overlay routes again what goes into it, and keeps the mark: of ours only that it is inside goes along',
      hook: hook('filter', 'postrouting', PRIORITY_LEAVE),
      rules: [...marksInside, rule(is(metaBits(MARK_OURS), MARK_OURS), setBits('meta mark', ~MARK_FOREIGN >>> 0, 0))],
    },
  ];
  return { chains, sets: translated.sets };
}

function masqueradeMap({ masquerade }: CompiledUplinks, sources: CompiledSources, local: Chain | undefined): NftMap {
  const leadTo = (way: number, chain: string | undefined): readonly MapElement[] =>
    chain === undefined
      ? []
      : [{ key: BigInt(wayMark(way)), data: { kind: 'verdict', verdict: { kind: 'goto', chain } } }];
  const others = [...leadTo(UPLINK_SYSTEM, sources.masquerade), ...leadTo(UPLINK_LOCAL, local?.name)];
  return { ...masquerade, elements: [...others, ...masquerade.elements] };
}

/** Before a daemon has ever run, nobody can be asked: then it is as all else. */
function ofKernel({ told, index, policySet }: InboundInput, isStatic: boolean): CompiledKernel {
  const isAsked = isStatic || told === 'by program';
  return isAsked ? { sets: [], chains: [], first: [] } : compileKernel(index, policySet);
}

function identifyOutgoing(input: InboundInput, { first }: CompiledKernel) {
  return compileIdentity(input, {
    first,
    chain: 'identify',
    prefix: '',
    chainOf: (part) => part.chain.name,
    // An earlier, undecided packet may have left an application's number that no longer holds.
    nobody: [rule(setBits('ct mark', MARK_APP, APP_NONE)), rule(goto(input.defaultPart.chain.name))],
    daemon: CHAIN.acceptSystem,
  });
}

function identifyLoopback(input: InboundInput, { loopbackQueries, relays }: CompiledDns) {
  const chain = 'identify_loopback';
  const anyRules = [...input.parts.values()].some(({ loopback }) => loopback !== undefined);
  if (!anyRules && loopbackQueries.length === 0) return { maps: [], chains: loopbackChains(undefined, { relays }) };
  const { passLoopback } = input.defaultPart;
  const { maps, chains } = compileIdentity(input, {
    chain,
    prefix: 'loopback_',
    chainOf: (part) => part.loopback?.name ?? part.passLoopback,
    nobody:
      passLoopback === CHAIN.acceptLoopback
        ? [rule(accept)]
        : [rule(setBits('ct mark', MARK_APP, APP_NONE)), rule(goto(passLoopback))],
    daemon: CHAIN.acceptLoopback,
  });
  const told = anyRules ? { relays } : { queries: loopbackQueries, relays };
  return { maps, chains: [...chains, ...loopbackChains(chain, told)] };
}

export interface NftInput extends Omit<InboundInput, 'told'> {
  readonly told?: Telling | undefined;
  /** Names of uplinks that carry what is local elsewhere. */
  readonly carriers: ReadonlySet<string>;
}

export function compileNft(given: NftInput): Ruleset {
  const input: InboundInput = { ...given, told: given.told ?? howTold(given) };
  const { policySet, facts, host } = input;
  const { carriers } = given;
  const { whenAway } = policySet.systemDefault;
  const parts = reachableParts(input);
  const forwards = governsForwarded(input);
  const dns = compileDns(input, parts, forwards);
  const { relays, owns } = dns;
  const sources = compileSources(facts.uplinks, { ...host, forwards });
  const { passes } = sources;
  const inbound = compileInbound(input);
  const returning = facts.uplinks.length === 0 ? undefined : compileReturning(facts.uplinks);
  const choices = new Map<string, Choice>(parts.flatMap((part) => [...part.choices]));
  const held = compileHeldTunnels(choices.values(), policySet, facts);
  const uplinks = compileUplinks(facts.uplinks, held.guard);
  // Where no socket is marked, nothing is routed before it is decided.
  const ofLocal = host.programs === undefined ? undefined : masqueradeLocal(facts.uplinks, carriers);
  const tunnels = compileTunnels(facts, {
    marks: facts.uplinks.length > 0,
    asksWireGuard: input.index.byKernel.has('wireguard'),
  });
  const hooks = facts.uplinks.length === 0 ? { chains: [], sets: [] } : uplinkHooks(uplinks, sources, facts);
  const verdict = verdictChains({
    whenAway,
    marked: host.programs !== undefined || relays,
    inbound: governsInbound(input),
    forwards,
  });
  const kernel = ofKernel(input, given.told !== undefined);
  const outgoing = identifyOutgoing(input, kernel);
  const loopback = identifyLoopback(input, dns);
  const forwarded = compileForwarded(input, passes);
  const ways: MapElement[] = [
    { key: BigInt(wayMark(UPLINK_SYSTEM)), data: { kind: 'verdict', verdict: passes.system } },
    { key: BigInt(wayMark(UPLINK_INBOUND)), data: { kind: 'verdict', verdict: passes.answer } },
    ...uplinks.decided,
    { key: BigInt(wayMark(UPLINK_LOCAL)), data: { kind: 'verdict', verdict: { kind: 'goto', chain: 'via_local' } } },
    { key: BigInt(wayMark(UPLINK_NONE)), data: { kind: 'verdict', verdict: { kind: 'goto', chain: 'ended' } } },
  ];
  const chains: Chain[] = [
    ...refusals([...choices.values()].some(({ via }) => via.local === 'block')),
    ...askChains(host.queue, forwards, policySet.systemDefault),
    ...uplinks.chains,
    ...[...choices].map(([name, choice]) => compileChoice(name, choice, policySet, facts)),
    ...([...choices.values()].some(({ via }) => mayWait(via, policySet.systemDefault)) ? [waitForUplink] : []),
    ...parts.flatMap((part) => [part.chain, ...extraChains(part)]),
    ...outgoing.chains,
    ...kernel.chains,
    ...loopback.chains,
    ...inbound.chains,
    ...forwarded.chains,
    ...verdict.chains,
    ...outputChains({
      facts,
      passes,
      forwards,
      owns,
      tunnels: { ...tunnels, undecided: [...tunnels.undecided, ...held.undecided] },
    }),
    ...tunnels.chains,
    ...held.chains,
    ...sources.chains,
    ...(ofLocal === undefined ? [] : [ofLocal]),
    ...(returning?.chains ?? []),
    ...dns.chains,
    // Every packet would pass these hooks: where nobody chooses ways, nobody pays for them.
    ...hooks.chains,
    ...(facts.uplinks.length === 0 && relays ? [anySource] : []),
  ];
  return {
    table: TABLE,
    sets: byName([
      ...localSets(facts),
      ...(parts.some(({ speaksOfOnLink }) => speaksOfOnLink) ? onLinkSets(facts) : []),
      ...askSets,
      ...housekeepingSets(facts),
      ...(governsInbound(input) ? solicitedSets(facts) : []),
      ...uplinks.sets,
      ...sources.sets,
      ...hooks.sets,
      ...tunnels.sets,
      ...kernel.sets,
      ...dns.sets,
      ...parts.flatMap(({ sets }) => sets),
    ]),
    maps: byName([
      { name: 'way_of_flow', key: 'mark', data: 'verdict', size: MAX_WAYS, elements: ways },
      verdict.map,
      uplinks.guard,
      ...(returning?.maps ?? []),
      masqueradeMap(uplinks, sources, ofLocal),
      ...outgoing.maps,
      ...loopback.maps,
      ...inbound.maps,
      ...forwarded.maps,
      ...dns.maps,
      ...held.maps,
    ]),
    chains: byName(chains),
  };
}
