/**
 * A connection that a helper of conntrack expects (data of FTP, media of SIP) begins with the mark of the one that announced it, whoever begins it:
 * `init_conntrack()`, net/netfilter/nf_conntrack_core.c. It belongs to its own program, and is decided as any other.
 */
import { IPPROTO_ICMP, IPPROTO_ICMPV6 } from '../net/protocol.ts';
import { is, jump, rule, setBits } from './nft/expressions.ts';
import type { Chain, Rule, Verdict } from './nft/ruleset.ts';
import { MARK_FOREIGN } from './reserved.ts';

const CHAIN_EXPECTED = 'expected';
const RETURN: Verdict = { kind: 'return' };

/** Before anybody reads the mark of the connection. */
export const beginsExpected: Rule = rule(is({ kind: 'ct state' }, 'related'), jump(CHAIN_EXPECTED));

export const expectedChain: Chain = {
  name: CHAIN_EXPECTED,
  comment: 'a connection that another one has announced: of its mark only what others have written stays',
  rules: [
    // An error is about the connection that has the mark.
    rule(is({ kind: 'meta l4proto' }, IPPROTO_ICMP, IPPROTO_ICMPV6), { kind: 'verdict', verdict: RETURN }),
    // It has sent before: the mark is its own.
    rule(is({ kind: 'ct status' }, 'confirmed'), { kind: 'verdict', verdict: RETURN }),
    rule(setBits('ct mark', ~MARK_FOREIGN >>> 0, 0)),
  ],
};
