/**
 * Who asks all at once (SSDP, WS-Discovery, NetBIOS, one-shot mDNS) is answered one by one, from any port: conntrack knows of no
 * question to that. The port that asked is remembered for a while, by the device that it asked by. Only where somebody says
 * who may connect.
 */
import type { Prefix } from '../net/address.ts';
import { prefixRange } from '../net/address.ts';
import { IPPROTO_UDP } from '../net/protocol.ts';
import type { Facts } from '../policy/facts.ts';
import { broadcastAddresses } from '../policy/housekeeping.ts';
import { LINK4, LINK6, MULTICAST6, multicastSet } from './compile-housekeeping.ts';
import { accept, inSet, is, rule } from './nft/expressions.ts';
import { hook } from './nft/marks.ts';
import type { Chain, Expression, NftSet, Rule } from './nft/ruleset.ts';
import { PRIORITY_ASKED } from './reserved.ts';

const EVERYBODY4 = 'everybody4';
const ASKED4 = 'asked4';
const ASKED6 = 'asked6';
export const ANSWERED_WITHIN_SECONDS = 10;
/** Of more ports than these answers are refused, until some have been forgotten. */
const MAX_ASKED = 65_536;
/** Of this machine's own packets. */
const NO_DEVICE = 0;

const isUdp = is({ kind: 'meta l4proto' }, IPPROTO_UDP);

const asked = (name: string): NftSet => ({
  name,
  comment: 'ports from which all were asked at once, and by which device',
  key: ['inet_service', 'iface_index'],
  flags: ['dynamic', 'timeout'],
  size: MAX_ASKED,
  elements: [],
});

const remember = (set: string): Expression => ({
  kind: 'update set',
  set,
  fields: [{ kind: 'th sport' }, { kind: 'meta oif' }],
  timeoutSeconds: ANSWERED_WITHIN_SECONDS,
});

export function solicitedSets(facts: Facts): readonly NftSet[] {
  const networks: readonly Prefix[] = broadcastAddresses(facts.onLink);
  return [multicastSet(EVERYBODY4, networks.map(prefixRange)), asked(ASKED4), asked(ASKED6)];
}

/** Behind every chain that refuses. */
export const solicitingChain: Chain = {
  name: 'asks_all',
  comment: 'who asks all at once is answered one by one',
  hook: hook('filter', 'postrouting', PRIORITY_ASKED),
  rules: [
    rule(isUdp, is({ kind: 'meta iif' }, NO_DEVICE), inSet(EVERYBODY4, { kind: 'ip daddr' }), remember(ASKED4)),
    rule(isUdp, is({ kind: 'meta iif' }, NO_DEVICE), inSet(MULTICAST6, { kind: 'ip6 daddr' }), remember(ASKED6)),
  ],
};

/** From those on the link alone. */
export const solicited: readonly Rule[] = [
  rule(isUdp, inSet(LINK4, { kind: 'ip saddr' }), inSet(ASKED4, { kind: 'th dport' }, { kind: 'meta iif' }), accept),
  rule(isUdp, inSet(LINK6, { kind: 'ip6 saddr' }), inSet(ASKED6, { kind: 'th dport' }, { kind: 'meta iif' }), accept),
];
