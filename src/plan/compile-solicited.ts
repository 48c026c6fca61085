/**
 * Who asks all at once (SSDP, WS-Discovery, NetBIOS, one-shot mDNS) is answered one by one, from any port: conntrack knows of no
 * question to that. The port that asked is remembered for a while, with its address and the device that it asked by, where that is
 * certain; and with the mark of the socket, which is that of its program, where there is a socket. Another program may ask from the same
 * port, and in the name of the same address (IP_PKTINFO), so that strangers reach whoever has it there. Only where somebody says who may
 * connect.
 */
import type { Prefix } from '../net/address.ts';
import { prefixRange } from '../net/address.ts';
import { IPPROTO_UDP } from '../net/protocol.ts';
import type { Facts } from '../policy/facts.ts';
import { broadcastAddresses } from '../policy/housekeeping.ts';
import { LINK4, LINK6, MULTICAST6, multicastSet } from './compile-housekeeping.ts';
import { accept, inSet, is, rule } from './nft/expressions.ts';
import { hook } from './nft/marks.ts';
import type { Chain, Expression, Field, NftSet, Rule } from './nft/ruleset.ts';
import { PRIORITY_ASKED } from './reserved.ts';

const EVERYBODY4 = 'everybody4';
const ASKED4 = 'asked4';
const ASKED6 = 'asked6';
const ASKERS = 'askers';
export const ANSWERED_WITHIN_SECONDS = 10;
/** Of more ports than these answers are refused, until some have been forgotten. */
const MAX_ASKED = 65_536;
/** Of this machine's own packets. */
const NO_DEVICE = 0;

const isUdp = is({ kind: 'meta l4proto' }, IPPROTO_UDP);
const isOwn = is({ kind: 'meta iif' }, NO_DEVICE);
const isToAll4 = inSet(EVERYBODY4, { kind: 'ip daddr' });
const isToAll6 = inSet(MULTICAST6, { kind: 'ip6 daddr' });

const remembered = (name: string, comment: string, key: NftSet['key']): NftSet => ({
  name,
  comment,
  key,
  flags: ['dynamic', 'timeout'],
  size: MAX_ASKED,
  elements: [],
});

const remember = (set: string, ...fields: readonly Field[]): Expression => ({
  kind: 'update set',
  set,
  fields,
  timeoutSeconds: ANSWERED_WITHIN_SECONDS,
});

export function solicitedSets(facts: Facts): readonly NftSet[] {
  const networks: readonly Prefix[] = broadcastAddresses(facts.onLink);
  const comment = 'ports from which all were asked at once, and by which device';
  return [
    multicastSet(EVERYBODY4, networks.map(prefixRange)),
    remembered(ASKED4, comment, ['ipv4_addr', 'inet_service', 'iface_index']),
    remembered(ASKED6, comment, ['ipv6_addr', 'inet_service', 'iface_index']),
    remembered(ASKERS, 'ports from which all were asked at once, and by whose socket', ['inet_service', 'mark']),
  ];
}

const asker: Expression = remember(ASKERS, { kind: 'th sport' }, { kind: 'socket mark' });
const port4: Expression = remember(ASKED4, { kind: 'ip saddr' }, { kind: 'th sport' }, { kind: 'meta oif' });
const port6: Expression = remember(ASKED6, { kind: 'ip6 saddr' }, { kind: 'th sport' }, { kind: 'meta oif' });

export const solicitingChains: readonly Chain[] = [
  {
    name: 'asker',
    comment: 'whose socket asks all at once: it is seen here alone',
    hook: hook('filter', 'output', PRIORITY_ASKED),
    rules: [rule(isUdp, isToAll4, asker), rule(isUdp, isToAll6, asker)],
  },
  {
    // Behind every chain that refuses.
    name: 'asks_all',
    comment: 'who asks all at once is answered one by one',
    hook: hook('filter', 'postrouting', PRIORITY_ASKED),
    rules: [rule(isUdp, isOwn, isToAll4, port4), rule(isUdp, isOwn, isToAll6, port6)],
  },
];

/** By the socket that receives it. */
const isAsker = inSet(ASKERS, { kind: 'th dport' }, { kind: 'socket mark' });
const port = (address: 'ip daddr' | 'ip6 daddr'): readonly Field[] => [
  { kind: address },
  { kind: 'th dport' },
  { kind: 'meta iif' },
];

/** From those on the link alone. */
export const solicited: readonly Rule[] = [
  rule(isUdp, inSet(LINK4, { kind: 'ip saddr' }), inSet(ASKED4, ...port('ip daddr')), isAsker, accept),
  rule(isUdp, inSet(LINK6, { kind: 'ip6 saddr' }), inSet(ASKED6, ...port('ip6 daddr')), isAsker, accept),
];
