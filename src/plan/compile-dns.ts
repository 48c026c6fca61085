/**
 * Queries to the configured resolvers follow their application: once it is decided which way they go, they are redirected to
 * the daemon's relay, which finds the way in the conntrack mark and asks the resolvers there. Where nobody chooses ways and
 * nobody names hosts, none of this exists.
 */
import type { Address } from '../net/address.ts';
import { chooseForQueries } from '../policy/choose-for-queries.ts';
import { waysOut } from '../policy/choose-uplink.ts';
import type { UplinkChoice } from '../policy/decision.ts';
import { DNS_PORT, DNS_PROTOCOLS, loopbackResolvers } from '../policy/dns-query.ts';
import type { Facts } from '../policy/facts.ts';
import type { SystemDefault, Via } from '../policy/model.ts';
import { type AppPart, CHAIN } from './compile-app.ts';
import { acceptVia, type LocalRules, localRulesOf } from './compile-choice.ts';
import { lookUpChain, type ToldInput } from './compile-identity.ts';
import { contentHash } from './content-name.ts';
import { accept, goto, inSet, is, rule, setBits, verdict, vmap } from './nft/expressions.ts';
import { ctBits, hook, metaBits } from './nft/marks.ts';
import type { Chain, Expression, MapElement, NftMap, NftSet } from './nft/ruleset.ts';
import {
  APP_DAEMON,
  APP_SERVED,
  DNS_RELAY_PORT,
  MARK_APP,
  MARK_FORWARDED,
  MARK_PROGRAM,
  MARK_WAY,
  PRIORITY_REDIRECT,
  PRIORITY_ZONE,
  PROGRAM_DAEMON,
  programMark,
  wayMark,
  ZONE_COUNT,
  ZONE_DAEMON,
  ZONE_FIRST,
} from './reserved.ts';

const RELAY = 'to_relay';
/** What the daemon's own sockets go through where they have ways. */
export const CHAIN_OWN = 'own';

export interface DnsInput extends ToldInput {
  /** What holds for programs without a policy. */
  readonly defaultPart: AppPart;
}

const isTransport: Expression = is({ kind: 'meta l4proto' }, ...DNS_PROTOCOLS);
/** The port first: nearly every packet has another. */
const isDns: readonly Expression[] = [is({ kind: 'th dport' }, DNS_PORT), isTransport];

interface ResolverSets {
  readonly sets: readonly NftSet[];
  /** What a query to one of them is, for each family that they have. */
  readonly matches: readonly (readonly Expression[])[];
}

function resolverSets(name: string, resolvers: readonly Address[]): ResolverSets {
  const sets: NftSet[] = [];
  const matches: (readonly Expression[])[] = [];
  for (const family of [4, 6] as const) {
    const here = resolvers.filter((address) => address.family === family);
    if (here.length === 0) continue;
    const set = `${name}${family}`;
    const elements = [...new Set(here.map(({ value }) => value))].map((value) => ({
      key: [{ first: value, last: value }],
    }));
    sets.push({ name: set, key: [family === 4 ? 'ipv4_addr' : 'ipv6_addr'], flags: [], elements });
    matches.push([...isDns, inSet(set, { kind: family === 4 ? 'ip daddr' : 'ip6 daddr' })]);
  }
  return { sets, matches };
}

function targetOf(way: UplinkChoice['way']): string {
  switch (way.kind) {
    case 'uplink':
      return acceptVia(way.id);
    case 'none':
      return CHAIN.noUplink;
    case 'system':
    case 'local':
      return CHAIN.acceptLoopback;
  }
}

/** Where a query goes that was sent to a resolver on loopback. */
function queryChoice(name: string, via: Via, { policySet, facts }: DnsInput, queries: ResolverSets['matches']): Chain {
  const { way } = chooseForQueries(via, waysOut(policySet, facts));
  const target = targetOf(way);
  return { name, rules: [...queries.map((match) => rule(...match, goto(target))), rule(goto(CHAIN.acceptLoopback))] };
}

/** What a container sends is not redirected: a local resolver is as local for it as anything else. */
function localChains(
  { chain: name, rules }: LocalRules,
  { queries, forwards }: { readonly queries: ResolverSets['matches']; readonly forwards: boolean },
): Chain[] {
  const destinations = `${name}_destinations`;
  const fromContainer = rule(is(metaBits(MARK_FORWARDED), MARK_FORWARDED), goto(destinations));
  const back = verdict({ kind: 'return' });
  const chain: Chain = {
    name,
    comment: 'no uplink is involved, except in queries to a resolver there',
    rules: [...(forwards ? [fromContainer] : []), ...queries.map((match) => rule(...match, back)), ...rules],
  };
  return [chain, ...(forwards ? [{ name: destinations, rules }] : [])];
}

const redirect: Expression = { kind: 'redirect', port: DNS_RELAY_PORT };
/** A set that the daemon keeps filled: where nobody is there, and the files say open, queries go as they would without us. */
export const RELAY_ALIVE = 'relay_alive';
/** A set that the daemon fills, for moments: users who ask for so much more than their share that others would not be heard. */
export const NOISY_USERS = 'noisy_users';
const noisySet: NftSet = { name: NOISY_USERS, key: ['uid'], flags: ['timeout'], elements: [] };
const isNoisy: Expression = inSet(NOISY_USERS, { kind: 'meta skuid' });
const isAlive: Expression = inSet(RELAY_ALIVE, { kind: 'meta l4proto' });
const aliveSet: NftSet = { name: RELAY_ALIVE, key: ['inet_proto'], flags: ['timeout'], elements: [] };

function redirectChains(queries: ResolverSets['matches'], whenAway: SystemDefault['whenAway']): Chain[] {
  return [
    {
      name: 'dns',
      comment: 'queries go to the relay, which asks by the way that was decided',
      hook: hook('nat', 'output', PRIORITY_REDIRECT),
      rules: queries.map((match) => rule(...match, goto('dns_query'))),
    },
    {
      name: 'dns_query',
      rules: [
        rule(is(ctBits(MARK_APP), APP_DAEMON), accept),
        rule(vmap(ctBits(MARK_WAY), 'relay_of_way')),
        rule(vmap(ctBits(MARK_APP), 'relay_of_app')),
      ],
    },
    { name: RELAY, rules: [rule(isTransport, ...(whenAway === 'open' ? [isAlive] : []), redirect)] },
  ];
}

const zoneChain = (zone: number): string => `zone_${zone}`;

/** Named after what the rules are, so that a connection stays in its zone from plan to plan. */
const zoneOf = ({ chain }: AppPart): number => ZONE_FIRST + (Number.parseInt(contentHash(chain.name), 16) % ZONE_COUNT);

/** A zone for each policy that queries follow or that learns from them, and one for the daemon. Connections need none. */
function zones(
  input: DnsInput,
  queries: ResolverSets['matches'],
): { readonly maps: readonly NftMap[]; readonly chains: readonly Chain[] } {
  const used = new Set<number>([ZONE_DAEMON]);
  const { maps, rules } = lookUpChain(input, 'zone_', (part) => {
    if (part.choices.size + part.queryChoices.size === 0 && !part.namesHosts) return undefined;
    used.add(zoneOf(part));
    return zoneChain(zoneOf(part));
  });
  const hooked: Chain = {
    name: 'dns_zone',
    comment: 'everybody asks the same address and port: conntrack is to tell them apart',
    hook: hook('filter', 'output', PRIORITY_ZONE),
    rules: queries.map((match) => rule(...match, goto('zone_of_query'))),
  };
  return {
    maps,
    chains: [
      ...[...used].map(
        (zone): Chain => ({ name: zoneChain(zone), rules: [rule({ kind: 'set original zone', zone })] }),
      ),
      {
        name: 'zone_of_query',
        rules: [rule(isOwn, goto(zoneChain(ZONE_DAEMON))), rule(isNoisy, verdict({ kind: 'drop' })), ...rules],
      },
      hooked,
    ],
  };
}

const toRelay = (key: number): MapElement => ({
  key: BigInt(key),
  data: { kind: 'verdict', verdict: { kind: 'goto', chain: RELAY } },
});

/** The daemon marks its sockets itself, whether the kernel marks those of others or not. */
export const isOwn: Expression = is(metaBits(MARK_PROGRAM), programMark(PROGRAM_DAEMON));

/** What the relay sends has the way that the query was given, and what asks whether an uplink works goes by that one. */
const own: Chain = {
  name: CHAIN_OWN,
  comment: 'what the daemon sends, by the way that its socket is marked for',
  rules: [
    rule(setBits('ct mark', MARK_APP, APP_DAEMON)),
    rule(vmap(metaBits(MARK_WAY), 'way_of_own')),
    rule(goto(CHAIN.acceptSystem)),
  ],
};

const relayMaps = ({ uplinks }: Facts, learners: readonly number[]): readonly NftMap[] => [
  {
    name: 'relay_of_way',
    key: 'mark',
    data: 'verdict',
    elements: uplinks.map(({ id }) => toRelay(wayMark(id))),
  },
  { name: 'relay_of_app', key: 'mark', data: 'verdict', elements: learners.map(toRelay) },
];

const wayOfOwn = ({ uplinks }: Facts): NftMap => ({
  name: 'way_of_own',
  key: 'mark',
  data: 'verdict',
  elements: uplinks.map(({ id }) => ({
    key: BigInt(wayMark(id)),
    data: { kind: 'verdict', verdict: { kind: 'goto', chain: acceptVia(id) } },
  })),
});

export interface CompiledDns {
  readonly sets: readonly NftSet[];
  readonly maps: readonly NftMap[];
  readonly chains: readonly Chain[];
  /** Matches of queries to resolvers on loopback whose senders have to be told; empty where none has to. */
  readonly loopbackQueries: readonly (readonly Expression[])[];
  /** Queries are redirected. */
  readonly relays: boolean;
  /** The daemon's own sockets have ways: it relays queries, or asks whether uplinks work. */
  readonly owns: boolean;
}

/** `used`: parts that some map leads to. */
export function compileDns(input: DnsInput, used: readonly AppPart[], forwards: boolean): CompiledDns {
  const { facts, parts, defaultPart, appIds } = input;
  const { whenAway } = input.policySet.systemDefault;
  const remote = resolverSets('resolvers', facts.resolvers);
  const local = resolverSets('loopback_resolvers', loopbackResolvers(facts));
  const all = [...new Set([...parts.values(), defaultPart])];
  const choices = used.flatMap((part) => [...part.choices.values()]);
  const learns = all.some((part) => part.namesHosts);
  const follows =
    facts.uplinks.length > 0 && all.some(({ choices, queryChoices }) => choices.size + queryChoices.size > 0);
  const relays = (learns || follows) && remote.sets.length + local.sets.length > 0;
  const queryChoices = new Map(all.flatMap((part) => [...part.queryChoices]));
  const isToldOnLoopback = learns || queryChoices.size > 0;
  const needsLocal = choices.length > 0 && remote.sets.length > 0;
  const asked = [...remote.matches, ...local.matches];
  const zoned = relays ? zones(input, asked) : { maps: [], chains: [] };
  const named = [...parts].filter(([, part]) => part.namesHosts).map(([{ app }]) => appIds.get(app) ?? 0);
  // Any name may be one that a policy of what is behind it speaks of.
  const learners = learns && facts.userModeNetworks === true ? [...named, APP_SERVED] : named;
  const owns = relays || facts.uplinks.length > 0;
  const toResolvers = { queries: remote.matches, forwards };
  return {
    relays,
    owns,
    loopbackQueries: isToldOnLoopback ? local.matches : [],
    sets: [
      ...(relays || needsLocal ? remote.sets : []),
      ...(relays || queryChoices.size > 0 ? local.sets : []),
      ...(relays ? [noisySet] : []),
      ...(relays && whenAway === 'open' ? [aliveSet] : []),
    ],
    maps: [...(relays ? [...relayMaps(facts, learners), ...zoned.maps] : []), ...(owns ? [wayOfOwn(facts)] : [])],
    chains: [
      ...(needsLocal ? localRulesOf(choices, facts).flatMap((local) => localChains(local, toResolvers)) : []),
      ...[...queryChoices].map(([name, via]) => queryChoice(name, via, input, local.matches)),
      ...(owns ? [own] : []),
      ...(relays ? [...zoned.chains, ...redirectChains(asked, whenAway)] : []),
    ],
  };
}
