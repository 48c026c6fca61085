/**
 * Connections that come in: the socket that would receive them tells the application, and its `accept` whether they may.
 * Where no policy says anything about it these chains do not exist.
 */
import { IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE } from '../net/protocol.ts';
import { HOUSEKEEPING_DHCP } from '../policy/decide.ts';
import { type AppPart, CHAIN } from './compile-app.ts';
import { governsForwarded } from './compile-forwarded.ts';
import { appMaps, cgroupKeys, howTold, type IdentityInput, type KeyKind, programKeys } from './compile-identity.ts';
import { report } from './compile-refusal.ts';
import { accept, goto, is, isNot, rule, setBits, vmap } from './nft/expressions.ts';
import { ctBits, hook, isDecided, isReply, metaBits } from './nft/marks.ts';
import type { Chain, MapElement, NftMap, Rule } from './nft/ruleset.ts';
import {
  APP_DAEMON,
  MARK_FOREIGN,
  MARK_OURS,
  MARK_UPLINK,
  MARK_WAY,
  PRIORITY_OUTPUT,
  PROGRAM_DAEMON,
  programMark,
  UPLINK_INBOUND,
  wayMark,
} from './reserved.ts';

const PREFIX = 'inbound_';
const UNNAMED = 'inbound_unnamed';
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
    ...passDecided(forwards),
    rule(isReply, accept),
    rule(isNot({ kind: 'meta l4proto' }, ...ACCEPTED_PROTOCOLS), accept),
    rule(isNot({ kind: 'ct state' }, 'new', 'untracked'), accept),
    // A connection that was there before us goes on.
    rule(isNot({ kind: 'tcp flags' }, 'syn'), accept),
    ...HOUSEKEEPING_DHCP.map(({ source, destination }) =>
      rule(
        is({ kind: 'meta l4proto' }, IPPROTO_UDP),
        is({ kind: 'th sport' }, destination),
        is({ kind: 'th dport' }, source),
        accept,
      ),
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
  { name: CHAIN.denyInbound, rules: [...report('not accepted'), rule(goto('refuse'))] },
];

/** A socket is there, whatever its mark: without one nothing is compared. */
const anySocket = isNot({ kind: 'socket mark' }, 0xffffffff);

export interface CompiledInbound {
  readonly maps: readonly NftMap[];
  readonly chains: readonly Chain[];
}

export interface InboundInput extends IdentityInput {
  readonly defaultPart: AppPart;
}

/** Whether anything is said about connections that come in. */
export const governsInbound = ({ parts, defaultPart }: InboundInput): boolean =>
  defaultPart.accept !== undefined || [...parts.values()].some(({ accept: own }) => own !== undefined);

function lookUp(kind: KeyKind, input: InboundInput, chainOf: (part: AppPart) => string) {
  const { ids, rules } = appMaps(kind, input, PREFIX, chainOf);
  const { field } = kind;
  return {
    ids,
    rules,
    phrases: [rule({ kind: 'map mark', to: 'ct mark', field, map: ids.name }), rule(vmap(field, rules.name))],
  };
}

/** A user's sockets cannot be told here: a packet that comes in has no user. */
const namesUsers = ({ index }: InboundInput): boolean => index.byUser.size > 0 || index.byGroup.size > 0;

export function compileInbound(input: InboundInput): CompiledInbound {
  if (!governsInbound(input)) return { maps: [], chains: [] };
  const told = howTold(input);
  const byDefault = input.defaultPart.accept?.name ?? CHAIN.acceptInbound;
  const chainOf = (part: AppPart): string => part.accept?.name ?? byDefault;
  const askAny: Rule = rule(anySocket, goto(CHAIN.ask));
  const nobody: readonly Rule[] = [...(namesUsers(input) ? [askAny] : []), rule(goto(byDefault))];
  const cgroups = told === 'asked' ? [] : cgroupKeys(input).map((kind) => lookUp(kind, input, chainOf));
  const byCgroup = cgroups.flatMap(({ phrases }) => phrases);
  const cgroupMaps = cgroups.flatMap(({ ids, rules }) => [ids, rules]);
  const identify = (rules: readonly Rule[]): Chain => ({ name: 'identify_inbound', rules });
  const common = [inputChain(governsForwarded(input)), ...verdicts];
  if (told === 'asked') return { maps: [], chains: [...common, identify([askAny, rule(goto(byDefault))])] };
  if (told === 'directly') return { maps: cgroupMaps, chains: [...common, identify([...byCgroup, ...nobody])] };
  const { ids, rules, phrases } = lookUp(programKeys(input, 'socket mark'), input, chainOf);
  const leadingTo = (number: number, chain: string): MapElement => ({
    key: BigInt(programMark(number)),
    data: { kind: 'verdict', verdict: { kind: 'goto', chain } },
  });
  const none = input.host.programs === undefined ? [] : [leadingTo(input.host.programs.none, UNNAMED)];
  const daemon: MapElement = { key: BigInt(programMark(PROGRAM_DAEMON)), data: { kind: 'mark', mark: APP_DAEMON } };
  return {
    maps: [
      { ...ids, elements: [...ids.elements, daemon] },
      { ...rules, elements: [...rules.elements, leadingTo(PROGRAM_DAEMON, CHAIN.acceptInbound), ...none] },
      ...cgroupMaps,
    ],
    chains: [
      ...common,
      identify([...phrases, askAny, rule(goto(byDefault))]),
      { name: UNNAMED, rules: [...byCgroup, ...nobody] },
    ],
  };
}
