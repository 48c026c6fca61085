/**
 * What keeps a link and its addresses alive, and passes before any policy: without it no uplink would stay up. It is told by where
 * it goes as much as by what it is, so that nothing of it reaches a host that is not on the link, but for the server that an
 * uplink's addresses are leased from.
 */
import { type Address, equalAddress, type Prefix, parsePrefix, prefixContains, prefixRange } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_ICMPV6, IPPROTO_IGMP, IPPROTO_UDP } from '../net/protocol.ts';
import type { Decision, Way } from './decision.ts';
import type { Facts, UplinkState } from './facts.ts';
import { groupPrefixes } from './groups.ts';
import { linkNetworks } from './local-networks.ts';

/** ICMPv6 types of router and neighbour discovery (RFC 4861). */
export const NEIGHBOUR_DISCOVERY: readonly number[] = [133, 134, 135, 136];
/** ICMPv6 types of multicast listener discovery (RFC 2710, RFC 3810): reports go to the group itself. */
export const LISTENER_DISCOVERY: readonly number[] = [130, 131, 132, 143];
/** RFC 2131, RFC 8415. */
export const DHCP4 = { client: 68, server: 67 };
export const DHCP6 = { client: 546, server: 547 };

const MAX_BROADCAST_LENGTH = 30;

const prefixes = (...texts: readonly string[]): readonly Prefix[] =>
  texts.map(parsePrefix).filter((prefix) => prefix !== undefined);

/** Where a client asks whose server is not known yet, or is on the link: link-local addresses, and all servers at once. */
export const DHCP_ANY_SERVER: readonly Prefix[] = prefixes(
  '255.255.255.255',
  '169.254.0.0/16',
  'ff02::1:2',
  'fe80::/10',
);
export const multicastNetworks = (): readonly Prefix[] => groupPrefixes('multicast');

/** Of networks on a link: IPv4's last address is all of them at once, where there is room for it (RFC 919, RFC 3021). */
export const broadcastAddresses = (onLink: readonly Prefix[]): readonly Prefix[] =>
  onLink
    .filter(({ address: { family }, length }) => family === 4 && length <= MAX_BROADCAST_LENGTH)
    .map((network) => ({ address: { family: 4 as const, value: prefixRange(network).last }, length: 32 }));

const isIn = (networks: readonly Prefix[], address: Address): boolean =>
  networks.some((network) => prefixContains(network, address));

/** The uplink that the server's address was told of, and by which it is asked; undefined where it is on a link, or told of by several. */
export function uplinkOfServer({ onLink, uplinks, dhcpServers = [] }: Facts, server: Address): UplinkState | undefined {
  if (isIn(linkNetworks(onLink), server)) return undefined;
  const devices = dhcpServers.filter(({ address }) => equalAddress(address, server)).map(({ device }) => device);
  const [uplink, other] = uplinks.filter(({ device }) => devices.includes(device));
  return other === undefined ? uplink : undefined;
}

const isLeaseServer = ({ dhcpServers = [] }: Facts, address: Address): boolean =>
  dhcpServers.some((server) => equalAddress(server.address, address));

const pass = (protocol: string, way: Way = { kind: 'system' }): Decision => ({
  verdict: 'accept',
  way,
  reason: { kind: 'housekeeping', protocol },
});

/** Undefined: it is a flow as any other. */
export function housekeeping(flow: Flow, facts: Facts): Decision | undefined {
  const { protocol, icmp, inbound, destination } = flow;
  // What comes in of these is for the kernel alone.
  if (protocol === IPPROTO_ICMPV6 && icmp !== undefined) {
    if (LISTENER_DISCOVERY.includes(icmp.type) && (inbound || isIn(multicastNetworks(), destination)))
      return pass('multicast listener discovery');
    if (NEIGHBOUR_DISCOVERY.includes(icmp.type) && (inbound || isIn(linkNetworks(facts.onLink), destination)))
      return pass('neighbour discovery');
  }
  if (protocol === IPPROTO_IGMP && (inbound || isIn(multicastNetworks(), destination))) return pass('IGMP');
  return protocol === IPPROTO_UDP ? dhcp(flow, facts) : undefined;
}

function dhcp(flow: Flow, facts: Facts): Decision | undefined {
  const { client, server } = flow.destination.family === 4 ? DHCP4 : DHCP6;
  const isFrom = (source: number, destination: number): boolean =>
    flow.sourcePort === source && flow.destinationPort === destination;
  if (isFrom(server, client)) {
    const peer = flow.inbound ? flow.source : flow.destination;
    const isThere = isIn(linkNetworks(facts.onLink), peer) || isIn(DHCP_ANY_SERVER, flow.destination);
    return isThere || (flow.inbound && isLeaseServer(facts, peer)) ? pass('DHCP') : undefined;
  }
  if (flow.inbound || !isFrom(client, server)) return undefined;
  if (isIn(DHCP_ANY_SERVER, flow.destination)) return pass('DHCP');
  if (!isLeaseServer(facts, flow.destination)) return undefined;
  const uplink = uplinkOfServer(facts, flow.destination);
  if (uplink === undefined) return pass('DHCP');
  const { name, id, up } = uplink;
  if (up) return pass('DHCP', { kind: 'uplink', name, id });
  return { verdict: 'reject', cause: 'no-uplink', reason: { kind: 'housekeeping', protocol: 'DHCP' } };
}
