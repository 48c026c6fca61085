/** The one place from which flows go to user space, what each user may send there, and what is done with the answer. */
import type { SystemDefault, Verb } from '../policy/model.ts';
import { CHAIN } from './compile-app.ts';
import { accept, drop, goto, is, isNot, rule, setBits, vmap } from './nft/expressions.ts';
import { ctBits, hook, isDecided, metaBits } from './nft/marks.ts';
import type { Chain, Expression, MapElement, NftMap, NftSet, Rule } from './nft/ruleset.ts';
import {
  CODE_DENIED,
  CODE_NO_UPLINK,
  CODE_QUEUE,
  MARK_APP,
  MARK_FOREIGN,
  MARK_FORWARDED,
  MARK_OURS,
  MARK_SOCKET,
  MARK_WAY,
  MAX_CODES,
  PRIORITY_VERDICT,
  QUEUE_NUMBER,
} from './reserved.ts';

/** Without a conntrack entry there is nowhere to keep an answer: nobody is asked, and the owner counts as unknown. */
const UNTRACKED: Record<Verb, string> = { allow: CHAIN.acceptSystem, deny: CHAIN.deny, drop: CHAIN.dropped };

const isForwarded = is(metaBits(MARK_FORWARDED), MARK_FORWARDED);
/** The xtables rule stands where programs send and receive. Until names are known, containers have to try again. */
const notForwarded: Rule = rule(isForwarded, drop);

/** What is asked about for one user: so many packets at once, and so many a second; nobody but root fills the queue alone. */
export const ASKED_AT_ONCE = 512;
export const ASKED_PER_SECOND = 1000;
/** Users who were refused because they asked for more, for a while after the last refusal. */
export const LOUD_USERS = 'loud_users';
const ASKED_BY_USER = 'asked_by_user';
const ASKED_BY_DEVICE = 'asked_by_device';
const TOO_MUCH = 'asked_too_much';
const ASKED_FOR_SECONDS = 60;
/** Of more, those that come later ask without a bound of their own. */
const MAX_ASKERS = 65_536;
const MAX_LOUD = 1024;
const ROOT = 0;
/** Of this machine's own packets. */
const NO_DEVICE = 0;

/** `by`: whose packets are counted together. */
const isTooMuch = (set: string, by: 'meta skuid' | 'meta iif'): Expression => ({
  kind: 'over rate',
  set,
  fields: [{ kind: by }],
  timeoutSeconds: ASKED_FOR_SECONDS,
  perSecond: ASKED_PER_SECOND,
  burst: ASKED_AT_ONCE,
});

/** Before anybody waits: what is beyond a user's share takes nobody's place in the queue. Root is all system services at once. */
const shares: readonly Rule[] = [
  rule(isNot({ kind: 'meta skuid' }, ROOT), isTooMuch(ASKED_BY_USER, 'meta skuid'), goto(TOO_MUCH)),
  // From others, and from containers: there is no user.
  rule(isNot({ kind: 'meta iif' }, NO_DEVICE), isTooMuch(ASKED_BY_DEVICE, 'meta iif'), goto('refuse')),
];

const counted = (name: string, key: NftSet['key'], size: number): NftSet => ({
  ...{ name, key, size, flags: ['dynamic', 'timeout'] },
  elements: [],
});

export const askSets: readonly NftSet[] = [
  counted(ASKED_BY_USER, ['uid'], MAX_ASKERS),
  counted(ASKED_BY_DEVICE, ['iface_index'], MAX_ASKERS),
  counted(LOUD_USERS, ['uid'], MAX_LOUD),
];

const tooMuch: Chain = {
  name: TOO_MUCH,
  comment: 'a user who begins more at once than his share is refused the rest, also where the files say open',
  rules: [
    rule({
      ...{ kind: 'update set', set: LOUD_USERS, timeoutSeconds: ASKED_FOR_SECONDS },
      fields: [{ kind: 'meta skuid' }],
    }),
    rule(goto('refuse')),
  ],
};

/**
 * The one place from which flows go to user space. `forwards`: containers are governed. While nobody answers the queue, packets pass
 * it by; the mark that they keep then tells the chain behind it, which refuses them where the files say closed.
 */
export function askChains(
  queue: 'nft' | 'xtables',
  forwards: boolean,
  { whenAway, unknown: { do: unknown } }: SystemDefault,
): readonly Chain[] {
  const open = whenAway === 'open';
  const invalid = rule(is({ kind: 'ct state' }, 'invalid'), open ? accept : drop);
  const untracked = rule(is({ kind: 'ct state' }, 'untracked'), goto(UNTRACKED[unknown]));
  const marked = rule(setBits('meta mark', (MARK_WAY | MARK_APP) >>> 0, (MARK_OURS | CODE_QUEUE) >>> 0));
  const queued: Expression = { kind: 'queue', number: QUEUE_NUMBER };
  const hold: readonly Rule[] =
    queue === 'xtables'
      ? [...(forwards ? [notForwarded] : []), marked, rule(accept)]
      : open
        ? [rule(queued)]
        : // A container's packets have a mark already that no decided one has.
          [...(forwards ? [rule(isForwarded, queued)] : []), marked, rule(queued)];
  return [{ name: CHAIN.ask, rules: [invalid, untracked, ...shares, ...hold] }, tooMuch];
}

const code = (value: number, chain: string): MapElement => ({
  key: BigInt((MARK_OURS | value) >>> 0),
  data: { kind: 'verdict', verdict: { kind: 'goto', chain } },
});

function rememberBitwise(): Chain {
  const ourBits = [...Array(32).keys()].map((bit) => (1 << bit) >>> 0).filter((bit) => (bit & MARK_FOREIGN) === 0);
  return {
    name: 'remember_bitwise',
    comment: 'where the connection carries bits of others: nft cannot join two marks in one expression',
    rules: [
      rule(setBits('ct mark', ~MARK_FOREIGN >>> 0, 0)),
      ...ourBits.map((bit) => rule(is(metaBits(bit), bit), setBits('ct mark', bit, bit))),
    ],
  };
}

/** The packet mark of a verdict goes into the conntrack mark; the bits of others stay in both. */
const remember = (pass: Rule): readonly Rule[] => [
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
  pass,
];

/** The packet goes its way by the mark. */
const passMarked = rule({ kind: 'copy mark', to: 'meta mark', from: 'meta mark', keep: ~MARK_APP >>> 0 }, accept);
/** It has arrived: a socket may inherit its mark (tcp_fwmark_accept). */
const passUnmarked = rule({ kind: 'copy mark', to: 'meta mark', from: 'meta mark', keep: MARK_FOREIGN }, accept);

/** A socket's number has served: nobody behind us is to see it. Here, where a changed mark does not route the packet again. */
const clearProgram: Rule = rule(
  is(metaBits(MARK_SOCKET), MARK_SOCKET),
  { kind: 'copy mark', to: 'meta mark', from: 'meta mark', keep: ~MARK_APP >>> 0 },
  accept,
);

const notAsked: Chain = {
  name: 'not_asked',
  comment: 'nobody was there to ask, and the files say: open',
  rules: [rule(setBits('meta mark', (MARK_WAY | MARK_APP) >>> 0, 0)), rule(accept)],
};

export interface AskOptions {
  readonly whenAway: SystemDefault['whenAway'];
  /** Sockets carry marks. */
  readonly marked: boolean;
  /** Flows that come in are asked about, too. */
  readonly inbound: boolean;
  /** Containers are governed. */
  readonly forwards: boolean;
}

export function verdictChains({ whenAway, marked, inbound, forwards }: AskOptions): { chains: Chain[]; map: NftMap } {
  const notOurs = rule(isNot(metaBits(MARK_OURS), MARK_OURS), accept);
  const answered = (name: string, hookName: 'output' | 'input'): Chain => ({
    name,
    comment: 'just after the queue: carries out refusals, and remembers what was decided',
    hook: hook('filter', hookName, PRIORITY_VERDICT),
    rules:
      hookName === 'input'
        ? [notOurs, ...remember(passUnmarked)]
        : [notOurs, ...(marked ? [clearProgram] : []), ...remember(passMarked)],
  });
  // Still as it was when it was queued: nobody was there to answer.
  const away = whenAway === 'open' ? 'not_asked' : 'refuse';
  const unanswered = rule(isForwarded, goto(away));
  const answeredForwarded: Chain = {
    name: 'verdict_forwarded',
    comment: 'the same for what containers send',
    hook: hook('filter', 'prerouting', PRIORITY_VERDICT),
    rules: [notOurs, unanswered, clearProgram, ...remember(passMarked)],
  };
  return {
    map: {
      name: 'code_of_verdict',
      key: 'mark',
      data: 'verdict',
      size: MAX_CODES,
      elements: [code(CODE_DENIED, 'refuse'), code(CODE_NO_UPLINK, 'refuse_no_uplink'), code(CODE_QUEUE, away)],
    },
    chains: [
      answered('verdict', 'output'),
      ...(inbound ? [answered('verdict_inbound', 'input')] : []),
      ...(forwards ? [answeredForwarded] : []),
      rememberBitwise(),
      ...(whenAway === 'open' ? [notAsked] : []),
    ],
  };
}
