/**
 * The ruleset: the same base chains always, one map lookup to the application, a few set lookups to the verdict. What an
 * undecided flow comes to is written into its conntrack mark; a decided one takes one map lookup and leaves.
 */

import { type Address, type Prefix, prefixRange } from '../net/address.ts';
import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_IGMP, IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import { HOUSEKEEPING_DHCP, HOUSEKEEPING_ICMPV6 } from '../policy/decide.ts';
import type { Facts } from '../policy/facts.ts';
import { localNetworks } from '../policy/local-networks.ts';
import type { SystemDefault, Verb, Via } from '../policy/model.ts';
import { type AppPart, CHAIN } from './compile-app.ts';
import { compileChoice, LOCAL4, LOCAL6 } from './compile-choice.ts';
import { compileIdentity, type IdentityInput, kernelTells } from './compile-identity.ts';
import { type CompiledUplinks, compileUplinks } from './compile-uplinks.ts';
import { addressElements } from './nft/elements.ts';
import { accept, drop, goto, is, isNot, rule, setBits, vmap } from './nft/expressions.ts';
import type { Chain, Expression, Hook, MapElement, NftMap, NftSet, Rule, Ruleset } from './nft/ruleset.ts';
import {
  APP_NONE,
  CODE_DENIED,
  CODE_NO_UPLINK,
  CODE_QUEUE,
  FOREIGN_MARKS,
  LOG_GROUP,
  LOG_PER_SECOND,
  MARK_APP,
  MARK_FOREIGN,
  MARK_OURS,
  MARK_UPLINK,
  MARK_WAY,
  PRIORITY_GUARD,
  PRIORITY_MASQUERADE,
  PRIORITY_OUTPUT,
  PRIORITY_VERDICT,
  QUEUE_NUMBER,
  TABLE,
  UPLINK_LOCAL,
  UPLINK_NONE,
  UPLINK_SYSTEM,
  wayMark,
} from './reserved.ts';

export interface NftInput extends IdentityInput {
  /** The chain for programs without a policy. */
  readonly defaultPart: AppPart;
}

const CT_MARK = { kind: 'ct mark' } as const;
const META_MARK = { kind: 'meta mark' } as const;
const ctBits = (mask: number): { readonly kind: 'ct mark'; readonly mask: number } => ({ ...CT_MARK, mask });
const metaBits = (mask: number): { readonly kind: 'meta mark'; readonly mask: number } => ({ ...META_MARK, mask });

const hook = (type: Hook['type'], name: Hook['hook'], priority: number): Hook => ({
  type,
  hook: name,
  priority,
  policy: 'accept',
});

const isDecided: Expression = is(ctBits(MARK_OURS), MARK_OURS);
const isReply: Expression = is({ kind: 'ct direction' }, 'reply');
/** ICMP errors follow the connection they are about. */
const followsConnection: readonly Rule[] = [
  rule(isReply, accept),
  rule(is({ kind: 'ct state' }, 'related'), is({ kind: 'meta l4proto' }, IPPROTO_ICMP, IPPROTO_ICMPV6), accept),
];
/** Somebody else's bits on an undecided connection: the maps would overwrite them, the slow path adds to them. */
const askForeign: Rule = rule(isNot(ctBits((MARK_FOREIGN | MARK_UPLINK) >>> 0), 0), goto(CHAIN.ask));

/** A connection older than our rules may have come in: conntrack takes the direction of the first packet it sees for the original one. */
const askMidstream: Rule = rule(is({ kind: 'ct state' }, 'new'), isNot({ kind: 'tcp flags' }, 'syn'), goto(CHAIN.ask));

const housekeeping: readonly Rule[] = [
  rule(is({ kind: 'icmpv6 type' }, ...HOUSEKEEPING_ICMPV6), accept),
  rule(is({ kind: 'meta l4proto' }, IPPROTO_IGMP), accept),
  ...HOUSEKEEPING_DHCP.map(({ source, destination }) =>
    rule(
      is({ kind: 'meta l4proto' }, IPPROTO_UDP),
      is({ kind: 'th sport' }, source),
      is({ kind: 'th dport' }, destination),
      accept,
    ),
  ),
];

const outputChain: Chain = {
  name: 'output',
  comment: 'every packet that leaves: a decided flow takes its way, others are decided',
  hook: hook('route', 'output', PRIORITY_OUTPUT),
  rules: [
    rule(is({ kind: 'meta oifname' }, 'lo'), goto('loopback')),
    rule(vmap(ctBits(MARK_WAY), 'way_of_flow')),
    rule(isDecided, goto('ended')),
    ...followsConnection,
    ...housekeeping,
    rule(is(META_MARK, ...FOREIGN_MARKS.map(({ mark }) => mark)), accept),
    askForeign,
    askMidstream,
    rule(goto('identify')),
  ],
};

/** The packet mark tells user space which application was refused; the packet itself goes no further. */
const report = (prefix: string): readonly Rule[] => [
  rule({ kind: 'copy mark', to: 'meta mark', from: 'ct mark', keep: MARK_APP }),
  rule({ kind: 'log', group: LOG_GROUP, prefix, perSecond: LOG_PER_SECOND }),
];

/**
 * A connect() is still busy with its socket when the kernel refuses its first packet, and ICMPv6 errors are then put aside
 * until the next one, a second later; a reset is not. Only for that packet: what is established outlives the loss of an uplink.
 */
const refuseConnect6: Rule = rule(
  is({ kind: 'meta nfproto' }, 'ipv6'),
  is({ kind: 'meta l4proto' }, IPPROTO_TCP),
  is({ kind: 'tcp flags' }, 'syn'),
  { kind: 'reject', with: 'tcp reset' },
);

const refusals: readonly Chain[] = [
  { name: CHAIN.deny, rules: [...report('denied'), rule(goto('refuse'))] },
  { name: CHAIN.noUplink, rules: [...report('no uplink'), refuseConnect6, rule(goto('refuse_no_uplink'))] },
  { name: CHAIN.dropped, rules: [...report('dropped'), rule(drop)] },
  {
    name: 'refuse',
    rules: [
      rule(is({ kind: 'meta l4proto' }, IPPROTO_TCP), { kind: 'reject', with: 'tcp reset' }),
      rule({ kind: 'reject', with: 'icmpx admin-prohibited' }),
    ],
  },
  {
    name: 'refuse_no_uplink',
    comment: 'UDP takes no-route for a passing trouble and stays silent; a connect() takes it as it is meant',
    rules: [
      rule(is({ kind: 'meta l4proto' }, IPPROTO_TCP), { kind: 'reject', with: 'icmpx no-route' }),
      rule({ kind: 'reject', with: 'icmpx admin-prohibited' }),
    ],
  },
  {
    name: 'ended',
    comment: 'flows that have lost their permission, or their uplink for good',
    rules: [rule(goto('refuse'))],
  },
];

const acceptances: readonly Chain[] = [
  { name: CHAIN.acceptSystem, rules: [rule(setBits('ct mark', MARK_WAY, wayMark(UPLINK_SYSTEM))), rule(accept)] },
  {
    name: CHAIN.acceptLocal,
    rules: [rule(setBits('ct mark', MARK_WAY, wayMark(UPLINK_LOCAL))), rule(goto('via_local'))],
  },
  { name: CHAIN.acceptLoopback, rules: [rule(setBits('ct mark', MARK_WAY, wayMark(UPLINK_LOCAL))), rule(accept)] },
  {
    name: 'via_local',
    comment: 'on-link: marked, so that no default route can take it when the link is gone',
    rules: [rule(setBits('meta mark', MARK_WAY, wayMark(UPLINK_LOCAL))), rule(accept)],
  },
];

/** Without a conntrack entry there is nowhere to keep an answer: nobody is asked, and the owner counts as unknown. */
const UNTRACKED: Record<Verb, string> = { allow: CHAIN.acceptSystem, deny: CHAIN.deny, drop: CHAIN.dropped };

/** The one place from which flows go to user space. */
function askChain(queue: 'nft' | 'xtables', { whenAway, unknown: { do: unknown } }: SystemDefault): Chain {
  const open = whenAway === 'open';
  const invalid = rule(is({ kind: 'ct state' }, 'invalid'), open ? accept : drop);
  const untracked = rule(is({ kind: 'ct state' }, 'untracked'), goto(UNTRACKED[unknown]));
  const hold: readonly Rule[] =
    queue === 'nft'
      ? [rule({ kind: 'queue', number: QUEUE_NUMBER, bypass: open })]
      : [rule(setBits('meta mark', (MARK_WAY | MARK_APP) >>> 0, (MARK_OURS | CODE_QUEUE) >>> 0)), rule(accept)];
  return { name: CHAIN.ask, rules: [invalid, untracked, ...hold] };
}

/** The packet mark of a verdict goes into the conntrack mark; the bits of others stay in both. */
function verdictChains(whenAway: SystemDefault['whenAway']): { chains: Chain[]; map: NftMap } {
  const code = (value: number, chain: string): MapElement => ({
    key: BigInt((MARK_OURS | value) >>> 0),
    data: { kind: 'verdict', verdict: chain === 'drop' ? { kind: 'drop' } : { kind: 'goto', chain } },
  });
  const ourBits = [...Array(32).keys()].map((bit) => (1 << bit) >>> 0).filter((bit) => (bit & MARK_FOREIGN) === 0);
  const clearCode = rule(setBits('meta mark', (MARK_WAY | MARK_APP) >>> 0, 0));
  return {
    map: {
      name: 'code_of_verdict',
      key: 'mark',
      data: 'verdict',
      elements: [
        code(CODE_DENIED, 'refuse'),
        code(CODE_NO_UPLINK, 'refuse_no_uplink'),
        code(CODE_QUEUE, whenAway === 'open' ? 'not_asked' : 'drop'),
      ],
    },
    chains: [
      {
        name: 'verdict',
        comment: 'just after the queue: carries out refusals, and remembers what was decided',
        hook: hook('filter', 'output', PRIORITY_VERDICT),
        rules: [
          rule(isNot(metaBits(MARK_OURS), MARK_OURS), accept),
          rule(vmap(metaBits((MARK_OURS | MARK_APP) >>> 0), 'code_of_verdict')),
          rule(isDecided, accept),
          rule(is(ctBits(MARK_FOREIGN), 0), {
            kind: 'copy mark',
            to: 'ct mark',
            from: 'meta mark',
            keep: ~MARK_FOREIGN >>> 0,
          }),
          rule(isNot(ctBits(MARK_OURS), MARK_OURS), {
            kind: 'verdict',
            verdict: { kind: 'jump', chain: 'remember_bitwise' },
          }),
          rule({ kind: 'copy mark', to: 'meta mark', from: 'meta mark', keep: ~MARK_APP >>> 0 }, accept),
        ],
      },
      {
        name: 'remember_bitwise',
        comment: 'where the connection carries bits of others: nft cannot join two marks in one expression',
        rules: [
          rule(setBits('ct mark', ~MARK_FOREIGN >>> 0, 0)),
          ...ourBits.map((bit) => rule(is(metaBits(bit), bit), setBits('ct mark', bit, bit))),
        ],
      },
      {
        name: 'not_asked',
        comment: 'nobody was there to ask, and the files say: open',
        rules: [clearCode, rule(accept)],
      },
    ],
  };
}

function identifyChains(input: NftInput, anyLoopback: boolean): { chains: Chain[]; maps: NftMap[] } {
  const tells = kernelTells(input);
  const anyExecutable = input.index.byExecutable.size > 0;
  const ask = rule(goto(CHAIN.ask));
  const identity = anyExecutable ? undefined : compileIdentity(input, '', (part) => part.chain.name);
  const loopback =
    anyExecutable || !anyLoopback
      ? undefined
      : compileIdentity(input, 'loopback_', (part) => part.loopback?.name ?? CHAIN.acceptLoopback);
  const loopbackRules = !anyLoopback
    ? [rule(accept)]
    : [
        rule(isDecided, accept),
        ...followsConnection,
        askForeign,
        ...(loopback?.rules ?? []),
        tells ? rule(accept) : ask,
      ];
  return {
    maps: [...(identity?.maps ?? []), ...(loopback?.maps ?? [])],
    chains: [
      {
        name: 'identify',
        // An earlier, undecided packet may have left an application's number that no longer holds.
        rules: [
          ...(identity?.rules ?? []),
          ...(tells ? [rule(setBits('ct mark', MARK_APP, APP_NONE)), rule(goto(input.defaultPart.chain.name))] : [ask]),
        ],
      },
      { name: 'loopback', rules: loopbackRules },
    ],
  };
}

const ranges = (prefixes: readonly Prefix[], family: Address['family']) =>
  addressElements(prefixes.filter(({ address }) => address.family === family).map(prefixRange));

function localSets(facts: Facts): NftSet[] {
  const local = localNetworks(facts.onLink);
  return [
    { name: LOCAL4, key: ['ipv4_addr'], flags: ['interval'], elements: ranges(local, 4) },
    { name: LOCAL6, key: ['ipv6_addr'], flags: ['interval'], elements: ranges(local, 6) },
  ];
}

const byName = <T extends { readonly name: string }>(items: readonly T[]): Map<string, T> =>
  new Map(items.map((item) => [item.name, item]));

/** Chains, sets and choices of the applications that some map leads to. */
function reachableParts(input: NftInput): AppPart[] {
  const asked = input.index.byExecutable.size > 0;
  const used = new Set(asked ? [] : input.parts.values());
  return [...(kernelTells(input) ? used.add(input.defaultPart) : used)];
}

function uplinkHooks(uplinks: CompiledUplinks): Chain[] {
  return [
    {
      name: 'source',
      comment: 'a source address that fits the uplink, for flows that were re-routed after it was chosen',
      hook: hook('nat', 'postrouting', PRIORITY_MASQUERADE),
      rules: [rule(vmap(metaBits(MARK_WAY), uplinks.masquerade.name))],
    },
    {
      name: 'guard',
      comment: 'the last word: a flow marked for an uplink leaves by its device or not at all',
      hook: hook('filter', 'postrouting', PRIORITY_GUARD),
      rules: [rule(vmap(metaBits(MARK_WAY), uplinks.guard.name))],
    },
  ];
}

export function compileNft(input: NftInput): Ruleset {
  const { policySet, facts, host } = input;
  const parts = reachableParts(input);
  const anyLoopback = [...input.parts.values()].some(({ loopback }) => loopback !== undefined);
  const uplinks = compileUplinks(facts.uplinks);
  const verdict = verdictChains(policySet.systemDefault.whenAway);
  const identify = identifyChains(input, anyLoopback);
  const choices = new Map<string, Via>(parts.flatMap((part) => [...part.choices]));
  const ways: MapElement[] = [
    { key: BigInt(wayMark(UPLINK_SYSTEM)), data: { kind: 'verdict', verdict: { kind: 'accept' } } },
    ...uplinks.decided,
    { key: BigInt(wayMark(UPLINK_LOCAL)), data: { kind: 'verdict', verdict: { kind: 'goto', chain: 'via_local' } } },
    { key: BigInt(wayMark(UPLINK_NONE)), data: { kind: 'verdict', verdict: { kind: 'goto', chain: 'ended' } } },
  ];
  const chains: Chain[] = [
    ...refusals,
    ...acceptances,
    askChain(host.queue, policySet.systemDefault),
    ...uplinks.chains,
    ...[...choices].map(([name, via]) => compileChoice(name, via, policySet, facts)),
    ...parts.flatMap((part) => (part.loopback === undefined ? [part.chain] : [part.chain, part.loopback])),
    ...identify.chains,
    ...verdict.chains,
    outputChain,
    // Every packet would pass these hooks: where nobody chooses ways, nobody pays for them.
    ...(facts.uplinks.length === 0 ? [] : uplinkHooks(uplinks)),
  ];
  return {
    table: TABLE,
    sets: byName([...localSets(facts), ...uplinks.sets, ...parts.flatMap(({ sets }) => sets)]),
    maps: byName([
      { name: 'way_of_flow', key: 'mark', data: 'verdict', elements: ways },
      verdict.map,
      uplinks.guard,
      uplinks.masquerade,
      ...identify.maps,
    ]),
    chains: byName(chains),
  };
}
