/**
 * Connections that come in: the socket that would receive them tells the application, and its `accept` whether they may.
 * Where no policy says anything about it these chains do not exist.
 */
import { IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE } from '../net/protocol.ts';
import { speaksOfUsers } from '../policy/told-by.ts';
import { type AppPart, CHAIN } from './compile-app.ts';
import { beginsExpected } from './compile-expected.ts';
import { governsForwarded } from './compile-forwarded.ts';
import { dhcpReplies, dhcpReplyChain } from './compile-housekeeping.ts';
import { type CompiledIdentity, cgroupKeys, lookUp, lookUpProgram, type ToldInput } from './compile-identity.ts';
import { report } from './compile-refusal.ts';
import { solicited, solicitingChains } from './compile-solicited.ts';
import { accept, goto, is, isNot, jump, rule, setBits } from './nft/expressions.ts';
import { ctBits, hook, isDecided, isReply, metaBits } from './nft/marks.ts';
import type { Chain, Rule } from './nft/ruleset.ts';
import { NOT_ACCEPTED_LOG } from './refusal-log.ts';
import {
  MARK_FOREIGN,
  MARK_OURS,
  MARK_UPLINK,
  MARK_WAY,
  PRIORITY_OUTPUT,
  UPLINK_INBOUND,
  wayMark,
} from './reserved.ts';

const PREFIX = 'inbound_';
const UNNAMED = 'inbound_unnamed';
const TAKEN = 'inbound_taken';
/** What a program can receive, and what `accept` is about: the rest is the kernel's own business. */
const ACCEPTED_PROTOCOLS = [IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE, IPPROTO_SCTP];

/**
 * A container's connection to this machine was decided for the container, and is yet to be accepted. Only packets from
 * containers come in with our bit.
 */
const passDecided = (forwards: boolean): readonly Rule[] =>
  forwards
    ? [
        rule(isDecided, isNot(metaBits(MARK_OURS), MARK_OURS), accept),
        rule(isDecided, isNot({ kind: 'ct state' }, 'new'), accept),
      ]
    : [rule(isDecided, accept)];

/** The way of a container's connection is no reason to ask. */
const askForeign = (forwards: boolean): readonly Rule[] =>
  forwards
    ? [
        rule(isNot(ctBits(MARK_FOREIGN), 0), goto(CHAIN.ask)),
        rule(isNot(ctBits(MARK_OURS), MARK_OURS), isNot(ctBits(MARK_UPLINK), 0), goto(CHAIN.ask)),
      ]
    : [rule(isNot(ctBits((MARK_FOREIGN | MARK_UPLINK) >>> 0), 0), goto(CHAIN.ask))];

const inputChain = (forwards: boolean): Chain => ({
  name: 'input',
  comment: 'what comes in and opens a connection: the receiving application says whether it may',
  hook: hook('filter', 'input', PRIORITY_OUTPUT),
  rules: [
    rule(is({ kind: 'meta iifname' }, 'lo'), accept),
    beginsExpected,
    ...passDecided(forwards),
    rule(isReply, accept),
    rule(isNot({ kind: 'meta l4proto' }, ...ACCEPTED_PROTOCOLS), accept),
    rule(isNot({ kind: 'ct state' }, 'new', 'related', 'untracked'), accept),
    // A connection that was there before us goes on.
    rule(isNot({ kind: 'tcp flags' }, 'syn'), accept),
    ...dhcpReplies,
    ...solicited,
    rule(
      is({ kind: 'meta l4proto' }, IPPROTO_UDP, IPPROTO_UDPLITE),
      is({ kind: 'fib daddr type' }, 'local'),
      jump(TAKEN),
    ),
    ...askForeign(forwards),
    rule(goto('identify_inbound')),
  ],
});

const verdicts: readonly Chain[] = [
  {
    name: CHAIN.acceptInbound,
    rules: [rule(setBits('ct mark', MARK_WAY, wayMark(UPLINK_INBOUND))), rule(accept)],
  },
  { name: CHAIN.denyInbound, rules: [...report(NOT_ACCEPTED_LOG), rule(goto('refuse'))] },
];

/** A socket is there, whatever its mark: without one nothing is compared. */
const anySocket = isNot({ kind: 'socket mark' }, 0xffffffff);

/**
 * At a port that nobody has, a datagram is answered as the kernel itself would (RFC 1122 section 3.2.2.1), and here already: conntrack
 * forgets it then, and whoever takes the port a moment later begins anew.
 */
const takenChain: Chain = {
  name: TAKEN,
  rules: [
    rule(anySocket, { kind: 'verdict', verdict: { kind: 'return' } }),
    rule({ kind: 'reject', with: 'icmpx port-unreachable' }),
  ],
};

export interface InboundInput extends ToldInput {
  readonly defaultPart: AppPart;
}

/** Whether anything is said about connections that come in. */
export const governsInbound = ({ parts, defaultPart }: InboundInput): boolean =>
  defaultPart.accept !== undefined || [...parts.values()].some(({ accept: own }) => own !== undefined);

export function compileInbound(input: InboundInput): CompiledIdentity {
  if (!governsInbound(input)) return { maps: [], chains: [] };
  const { told } = input;
  const byDefault = input.defaultPart.accept?.name ?? CHAIN.acceptInbound;
  const target = { prefix: PREFIX, chainOf: (part: AppPart): string => part.accept?.name ?? byDefault };
  const askAny: Rule = rule(anySocket, goto(CHAIN.ask));
  // A user's sockets cannot be told here: a packet that comes in has no user.
  const nobody: readonly Rule[] = [...(speaksOfUsers(input.index) ? [askAny] : []), rule(goto(byDefault))];
  const identify = (rules: readonly Rule[]): Chain => ({ name: 'identify_inbound', rules });
  const common = [inputChain(governsForwarded(input)), dhcpReplyChain, ...solicitingChains, takenChain, ...verdicts];
  if (told === 'asked' || told === 'by user')
    return { maps: [], chains: [...common, identify([askAny, rule(goto(byDefault))])] };
  const cgroups = lookUp(cgroupKeys(input), input, target);
  const byCgroup = [...cgroups.rules, ...nobody];
  if (told === 'directly') return { maps: cgroups.maps, chains: [...common, identify(byCgroup)] };
  const programs = lookUpProgram(input, 'socket mark', {
    ...target,
    daemon: CHAIN.acceptInbound,
    unnamed: UNNAMED,
  });
  return {
    maps: [...programs.maps, ...cgroups.maps],
    chains: [
      ...common,
      identify([...programs.rules, askAny, rule(goto(byDefault))]),
      { name: UNNAMED, rules: byCgroup },
    ],
  };
}
