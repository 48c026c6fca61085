/** Networks that the machine is directly connected to, by the main table. */
import { comparePrefix, formatPrefix, type Prefix } from '../net/address.ts';
import type { Link } from '../netlink/link.ts';
import { type Route, RT_SCOPE_HOST, RT_TABLE_MAIN, RTN_UNICAST } from '../netlink/route.ts';
import type { Network } from './network.ts';

/** Halves of everything (0.0.0.0/1, as VPN clients add them) are default routes in disguise, not networks. */
export const SHORTEST_NETWORK = 2;
/** fe80::/10 is on every device, and has a group of its own; so has multicast. */
const V6_LINK_LOCAL_HIGH_BITS = 0xfe80n >> 6n;

/** Destinations that main reaches without a next hop by the chosen devices: sorted, each once. */
export function connectedNetworks({ links, routes }: Network, chosen: (link: Link) => boolean): Prefix[] {
  const devices = new Set(links.filter((link) => chosen(link) && !link.loopback).map(({ index }) => index));
  const prefixes = new Map<string, Prefix>();
  for (const route of routes) {
    if (isConnected(route) && route.oif !== undefined && devices.has(route.oif)) {
      prefixes.set(formatPrefix(route.destination), route.destination);
    }
  }
  return [...prefixes.values()].toSorted(comparePrefix);
}

function isConnected({ table, type, scope, gateway, destination }: Route): boolean {
  if (table !== RT_TABLE_MAIN || type !== RTN_UNICAST || gateway !== undefined || scope === RT_SCOPE_HOST) return false;
  return destination.length >= SHORTEST_NETWORK && !isElsewhere(destination);
}

function isElsewhere({ address: { family, value } }: Prefix): boolean {
  return family === 6 ? value >> 118n === V6_LINK_LOCAL_HIGH_BITS || value >> 120n === 0xffn : value >> 28n === 0xen;
}
