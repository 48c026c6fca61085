/** What `policy/housekeeping.ts` lets pass before any policy, by where it goes. Nothing of it is TCP. */
import { type Address, type Prefix, prefixRange } from '../net/address.ts';
import { IPPROTO_IGMP, IPPROTO_UDP } from '../net/protocol.ts';
import type { Facts } from '../policy/facts.ts';
import {
  DHCP_ANY_SERVER,
  DHCP4,
  DHCP6,
  LISTENER_DISCOVERY,
  multicastNetworks,
  NEIGHBOUR_DISCOVERY,
  uplinkOfServer,
} from '../policy/housekeeping.ts';
import { linkNetworks } from '../policy/local-networks.ts';
import { viaUplink } from './compile-uplinks.ts';
import { addressElements } from './nft/elements.ts';
import { goto, inSet, is, jump, rule, verdict } from './nft/expressions.ts';
import type { Chain, Expression, Interval, NftSet, Rule, Verdict } from './nft/ruleset.ts';

export const CHAIN_HOUSEKEEPING = 'housekeeping';
const CHAIN_DHCP = 'dhcp';
const CHAIN_DHCP_REPLY = 'dhcp_reply';
/** All that is on a link of this machine. */
export const LINK4 = 'link4';
export const LINK6 = 'link6';
export const MULTICAST4 = 'multicast4';
export const MULTICAST6 = 'multicast6';
const DHCP_ANY4 = 'dhcp_any4';
const DHCP_ANY6 = 'dhcp_any6';
/** Servers of leases: all of them, those that the system's route leads to, and those that are asked by one uplink. */
const DHCP_SERVERS = 'dhcp_servers4';
const DHCP_BY_SYSTEM = 'dhcp_servers4_by_system';
const dhcpBy = (id: number): string => `dhcp_servers4_by_${id}`;

const SOURCE4 = { kind: 'ip saddr' } as const;
const SOURCE6 = { kind: 'ip6 saddr' } as const;
const TO4 = { kind: 'ip daddr' } as const;
const TO6 = { kind: 'ip6 daddr' } as const;

const setOf = (name: string, networks: readonly Prefix[], family: Address['family']): NftSet => ({
  name,
  key: [family === 4 ? 'ipv4_addr' : 'ipv6_addr'],
  flags: ['interval'],
  elements: addressElements(networks.filter(({ address }) => address.family === family).map(prefixRange)),
});

/** IPv4 groups and broadcast, and more. */
export const multicastSet = (name: string, more: readonly Interval[]): NftSet => ({
  ...setOf(name, [], 4),
  elements: addressElements([...multicastNetworks().filter(isIpv4).map(prefixRange), ...more]),
});

const isIpv4 = ({ address }: Prefix): boolean => address.family === 4;
const single = (address: Address): Prefix => ({ address, length: address.family === 4 ? 32 : 128 });

export function housekeepingSets(facts: Facts): readonly NftSet[] {
  const link = linkNetworks(facts.onLink);
  const servers = (facts.dhcpServers ?? []).map(({ address }) => address);
  const by = (id: number | undefined): readonly Prefix[] =>
    servers.filter((server) => uplinkOfServer(facts, server)?.id === id).map(single);
  return [
    setOf(LINK4, link, 4),
    setOf(LINK6, link, 6),
    setOf(MULTICAST4, multicastNetworks(), 4),
    setOf(MULTICAST6, multicastNetworks(), 6),
    setOf(DHCP_ANY4, DHCP_ANY_SERVER, 4),
    setOf(DHCP_ANY6, DHCP_ANY_SERVER, 6),
    setOf(DHCP_SERVERS, servers.map(single), 4),
    setOf(DHCP_BY_SYSTEM, by(undefined), 4),
    ...facts.uplinks.map(({ id }) => setOf(dhcpBy(id), by(id), 4)),
  ];
}

const ports = (source: number, destination: number): readonly Expression[] => [
  is({ kind: 'th sport' }, source),
  is({ kind: 'th dport' }, destination),
];
const isUdp = is({ kind: 'meta l4proto' }, IPPROTO_UDP);

/** `first`: rules before all others. `pass`: how a packet goes by the system's route. */
export function housekeepingChains(facts: Facts, pass: Verdict, first: readonly Rule[]): readonly Chain[] {
  const asks4 = ports(DHCP4.client, DHCP4.server);
  const asks6 = ports(DHCP6.client, DHCP6.server);
  const answers4 = ports(DHCP4.server, DHCP4.client);
  const answers6 = ports(DHCP6.server, DHCP6.client);
  const done = verdict(pass);
  return [
    {
      name: CHAIN_HOUSEKEEPING,
      comment: 'what nobody decides: errors of connections that are decided, and what keeps the link and its addresses',
      rules: [
        ...first,
        rule(is({ kind: 'icmpv6 type' }, ...NEIGHBOUR_DISCOVERY), inSet(LINK6, TO6), done),
        rule(is({ kind: 'icmpv6 type' }, ...LISTENER_DISCOVERY), inSet(MULTICAST6, TO6), done),
        rule(is({ kind: 'meta l4proto' }, IPPROTO_IGMP), inSet(MULTICAST4, TO4), done),
        rule(isUdp, is({ kind: 'th dport' }, DHCP4.server, DHCP4.client, DHCP6.server, DHCP6.client), jump(CHAIN_DHCP)),
      ],
    },
    {
      name: CHAIN_DHCP,
      rules: [
        rule(...asks4, inSet(DHCP_ANY4, TO4), done),
        rule(...asks4, inSet(DHCP_BY_SYSTEM, TO4), done),
        ...facts.uplinks.map(({ id }) => rule(...asks4, inSet(dhcpBy(id), TO4), goto(viaUplink(id)))),
        rule(...asks6, inSet(DHCP_ANY6, TO6), done),
        rule(...answers4, inSet(LINK4, TO4), done),
        rule(...answers6, inSet(LINK6, TO6), done),
      ],
    },
  ];
}

const accept = verdict({ kind: 'accept' });

/** What a server answers that was asked as all servers were, so that conntrack knows of no question. */
export const dhcpReplies: readonly Rule[] = [
  rule(isUdp, is({ kind: 'th dport' }, DHCP4.client, DHCP6.client), jump(CHAIN_DHCP_REPLY)),
];
export const dhcpReplyChain: Chain = {
  name: CHAIN_DHCP_REPLY,
  rules: [
    rule(...ports(DHCP4.server, DHCP4.client), inSet(LINK4, SOURCE4), accept),
    rule(...ports(DHCP4.server, DHCP4.client), inSet(DHCP_ANY4, TO4), accept),
    rule(...ports(DHCP4.server, DHCP4.client), inSet(DHCP_SERVERS, SOURCE4), accept),
    rule(...ports(DHCP6.server, DHCP6.client), inSet(LINK6, SOURCE6), accept),
    rule(...ports(DHCP6.server, DHCP6.client), inSet(DHCP_ANY6, TO6), accept),
  ],
};
