/**
 * What the last guard drops, it tells: nobody can be refused any more where it is certain by which device a packet leaves. A datagram's
 * sender hears of it all the same (EPERM), a connection would hang: the daemon ends it (`daemon/guard-drops.ts`).
 */
import { drop, goto, is, rule } from './nft/expressions.ts';
import type { Chain, Expression, Rule } from './nft/ruleset.ts';
import { GUARD_LOG_GROUP, LOG_PER_SECOND, MARK_APP, MARK_WAY } from './reserved.ts';

const OTHER_DEVICE = 'other_device';
const OPENS = 'other_device_opens';
const OTHER_ANSWER = 'other_answer';
/** How the log calls what answers by an uplink whose address it does not have. */
export const ANSWERS_PREFIX = 'answers by another uplink';

/** Marked for one way, and about to leave by the device of another one. */
export const dropOtherDevice: Rule = rule(goto(OTHER_DEVICE));
/** A reply that would leave by another uplink than that of its address. */
export const dropOtherAnswer: Expression = goto(OTHER_ANSWER);

/** Whose it is, and which way it was given, as the connection has it; of an untracked packet, as itself. */
const markOfFlow = rule({ kind: 'copy mark', to: 'meta mark', from: 'ct mark', keep: (MARK_WAY | MARK_APP) >>> 0 });

/** A flood of one kind leaves the others' share of the log alone. */
const told = (prefix: string): readonly Rule[] => [
  rule({ kind: 'log', group: GUARD_LOG_GROUP, prefix, perSecond: LOG_PER_SECOND }),
  rule({ kind: 'counter' }, drop),
];

/** Where there are uplinks. */
export const guardChains: readonly Chain[] = [
  {
    name: OTHER_DEVICE,
    comment: 'marked for one way, and about to leave by the device of another one',
    rules: [markOfFlow, rule(is({ kind: 'tcp flags' }, 'syn'), goto(OPENS)), ...told('another device')],
  },
  { name: OPENS, rules: told('another device') },
  { name: OTHER_ANSWER, rules: [markOfFlow, ...told(ANSWERS_PREFIX)] },
];
