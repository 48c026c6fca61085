/** Chains that refuse, and tell user space whom. */
import { IPPROTO_TCP } from '../net/protocol.ts';
import { CHAIN } from './compile-app.ts';
import { drop, goto, is, rule } from './nft/expressions.ts';
import type { Chain, Rule } from './nft/ruleset.ts';
import { DROPPED_LOG, REFUSAL_LOG } from './refusal-log.ts';
import { LOG_GROUP, LOG_PER_SECOND, MARK_APP } from './reserved.ts';

/** The packet mark tells user space which application was refused; the packet itself goes no further. */
export const report = (prefix: string): readonly Rule[] => [
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

/** `blocksLocal`: some `via` blocks what is local. */
export const refusals = (blocksLocal: boolean): readonly Chain[] => [
  { name: CHAIN.deny, rules: [...report(REFUSAL_LOG.denied), rule(goto('refuse'))] },
  {
    name: CHAIN.noUplink,
    rules: [...report(REFUSAL_LOG['no-uplink']), refuseConnect6, rule(goto('refuse_no_uplink'))],
  },
  ...(blocksLocal
    ? [{ name: CHAIN.localBlocked, rules: [...report(REFUSAL_LOG['local-blocked']), rule(goto('refuse'))] }]
    : []),
  { name: CHAIN.dropped, rules: [...report(DROPPED_LOG), rule(drop)] },
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
