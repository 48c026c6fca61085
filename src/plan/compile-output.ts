/** The hook that every outgoing packet passes: a decided flow takes its way, others are told and decided. */
import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP } from '../net/protocol.ts';
import type { Facts } from '../policy/facts.ts';
import { CHAIN } from './compile-app.ts';
import { CHAIN_OWN, isOwn } from './compile-dns.ts';
import { beginsExpected, expectedChain } from './compile-expected.ts';
import { CHAIN_HOUSEKEEPING, housekeepingChains } from './compile-housekeeping.ts';
import type { Passes } from './compile-sources.ts';
import type { CompiledTunnels } from './compile-tunnels.ts';
import { accept, goto, is, isNot, jump, rule, setBits, verdict, vmap } from './nft/expressions.ts';
import { ctBits, hook, isDecided, isReply } from './nft/marks.ts';
import type { Chain, Expression, Rule, Verdict } from './nft/ruleset.ts';
import {
  FOREIGN_MARKS,
  MARK_FOREIGN,
  MARK_UPLINK,
  MARK_WAY,
  PRIORITY_OUTPUT,
  UPLINK_LOCAL,
  UPLINK_NONE,
  UPLINK_SYSTEM,
  wayMark,
} from './reserved.ts';

const isAnswer = (pass: Verdict): Rule => rule(isReply, verdict(pass));
/** ICMP errors follow the connection they are about. */
const isError = (pass: Verdict): Rule =>
  rule(is({ kind: 'ct state' }, 'related'), is({ kind: 'meta l4proto' }, IPPROTO_ICMP, IPPROTO_ICMPV6), verdict(pass));
export const followsConnection = (pass: Verdict): readonly Rule[] => [isAnswer(pass), isError(pass)];
/** Somebody else's bits on an undecided connection: the maps would overwrite them, the slow path adds to them. */
const askForeign: Rule = rule(isNot(ctBits((MARK_FOREIGN | MARK_UPLINK) >>> 0), 0), goto(CHAIN.ask));
/** A connection older than our rules may have come in: conntrack takes the direction of the first packet it sees for the original one. */
const askMidstream: Rule = rule(is({ kind: 'ct state' }, 'new'), isNot({ kind: 'tcp flags' }, 'syn'), goto(CHAIN.ask));

/** Nothing in it is TCP, so that a connection's first packet passes it by. */
export const isHousekeeping: Rule = rule(isNot({ kind: 'meta l4proto' }, IPPROTO_TCP), jump(CHAIN_HOUSEKEEPING));

const CHAIN_OPENING = 'opening';
const isOpening: Rule = rule(is({ kind: 'tcp flags' }, 'syn'), jump(CHAIN_OPENING));
/**
 * A SYN in a connection that has been answered begins another one from the same port: conntrack has not noticed how the one before
 * ended, and its decision is not that of whoever sends now. Where it was never answered, nobody can tell this from its SYN, sent again.
 */
const beginsAnew: Rule = rule(
  is({ kind: 'ct state' }, 'established'),
  isNot({ kind: 'ct direction' }, 'reply'),
  setBits('ct mark', ~MARK_FOREIGN >>> 0, 0),
);
const CHAIN_UNDECIDED = 'undecided';
/** Nobody has decided it, nor written anything else into it. What else is looked for below, a SYN is not. */
const isUndecided: Rule = rule(
  is({ kind: 'ct mark' }, 0),
  is({ kind: 'ct direction' }, 'original'),
  goto(CHAIN_UNDECIDED),
);

export interface OutputOptions {
  readonly facts: Facts;
  /** How what has no way of an uplink's goes on. */
  readonly passes: Passes;
  /** Containers are governed. */
  readonly forwards: boolean;
  readonly tunnels: Pick<CompiledTunnels, 'first' | 'undecided'>;
  /** The daemon's own sockets have ways: it relays queries, and asks whether uplinks work. */
  readonly owns: boolean;
}

/** A container's connection to this machine has the way that its application was given; the way back is another. */
const answersContainer = (pass: Verdict): Rule =>
  rule(isReply, isNot(ctBits(MARK_WAY), wayMark(UPLINK_NONE)), verdict(pass));

export function outputChains(options: OutputOptions): readonly Chain[] {
  const { system, answer } = options.passes;
  const notTold = [
    rule(is({ kind: 'meta mark' }, ...FOREIGN_MARKS.map(({ mark }) => mark)), accept),
    ...(options.owns ? [rule(isOwn, goto(CHAIN_OWN))] : []),
    ...options.tunnels.undecided,
  ];
  return [
    {
      name: 'output',
      comment: 'every packet that leaves: a decided flow takes its way, others are decided',
      hook: hook('route', 'output', PRIORITY_OUTPUT),
      rules: [
        beginsExpected,
        ...options.tunnels.first,
        rule(is({ kind: 'meta oifname' }, 'lo'), goto('loopback')),
        ...(options.forwards ? [answersContainer(answer)] : []),
        isOpening,
        rule(vmap(ctBits(MARK_WAY), 'way_of_flow')),
        rule(isDecided, goto('ended')),
        isAnswer(answer),
        isHousekeeping,
        ...notTold,
        askForeign,
        askMidstream,
        rule(goto('identify')),
      ],
    },
    expectedChain,
    ...housekeepingChains(options.facts, answer, [isError(answer)]),
    {
      name: CHAIN_OPENING,
      comment: 'the first segment of a connection; of another one, perhaps, of which conntrack knows nothing yet',
      rules: [beginsAnew, isUndecided],
    },
    { name: CHAIN_UNDECIDED, rules: [...notTold, rule(goto('identify'))] },
    {
      name: CHAIN.acceptSystem,
      rules: [rule(setBits('ct mark', MARK_WAY, wayMark(UPLINK_SYSTEM))), rule(verdict(system))],
    },
    {
      name: CHAIN.acceptLocal,
      rules: [rule(setBits('ct mark', MARK_WAY, wayMark(UPLINK_LOCAL))), rule(goto('via_local'))],
    },
    {
      name: CHAIN.acceptLoopback,
      rules: [rule(setBits('ct mark', MARK_WAY, wayMark(UPLINK_LOCAL))), rule(accept)],
    },
    {
      name: 'via_local',
      comment: 'on-link: marked, so that no default route can take it when the link is gone',
      rules: [rule(setBits('meta mark', MARK_WAY, wayMark(UPLINK_LOCAL))), rule(accept)],
    },
  ];
}

/**
 * `identify`: where what has to be told is told; without it, everything passes. `queries`: of these packets alone the program
 * matters.
 */
export function loopbackChains(
  identify: string | undefined,
  { queries, relays }: { readonly queries?: readonly (readonly Expression[])[]; readonly relays: boolean },
): readonly Chain[] {
  const name = 'loopback';
  if (identify === undefined) return [{ name, rules: [rule(accept)] }];
  const rules = [
    rule(isDecided, accept),
    ...followsConnection({ kind: 'accept' }),
    ...(relays ? [rule(isOwn, accept)] : []),
    askForeign,
    rule(goto(identify)),
  ];
  if (queries === undefined) return [{ name, rules }];
  const told = 'loopback_query';
  return [
    { name, rules: [...queries.map((match) => rule(...match, goto(told))), rule(accept)] },
    { name: told, rules },
  ];
}
