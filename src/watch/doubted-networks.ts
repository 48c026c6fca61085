/**
 * Connected networks that only an uplink's own word makes local, or connected. Whoever runs that network can say of it what he likes, by a
 * lease or a router advertisement: he is believed as far as a network of his may reasonably reach, and not over what others have.
 */
import { comparePrefix, formatPrefix, type Prefix, prefixContains } from '../net/address.ts';
import { isPrivate } from '../policy/local-networks.ts';
import type { Uplink } from '../policy/model.ts';
import { connectedNetworks, SHORTEST_NETWORK } from './connected-networks.ts';
import { type Network, routesBy } from './network.ts';

/** The widest networks that are believed: of one place, as routers give them out (RFC 6177 for IPv6). */
const WIDEST = { 4: 16, 6: 48 } as const;

/** Sorted, each once. */
export function doubtedNetworks(network: Network, uplinks: readonly Uplink[]): readonly Prefix[] {
  const claims = network.links
    .filter(({ loopback }) => !loopback)
    .map((link) => ({
      link,
      networks: connectedNetworks(network, ({ index }) => index === link.index).filter(isPrivate),
    }));
  const doubted = new Map<string, Prefix>();
  for (const { link, networks } of claims) {
    const here = uplinks.filter(({ device }) => device === link.name);
    if (here.length === 0) continue;
    const stated = here.flatMap((uplink) => uplink.networks ?? []);
    const others = [
      ...claims.filter((claim) => claim.link !== link).flatMap((claim) => claim.networks),
      ...vpnRoutes(network, uplinks, link.name),
    ];
    for (const prefix of networks) {
      if (stated.some((one) => contains(one, prefix))) continue;
      const isWide = prefix.length < WIDEST[prefix.address.family];
      if (isWide || others.some((other) => contains(other, prefix) || contains(prefix, other)))
        doubted.set(formatPrefix(prefix), prefix);
    }
  }
  return [...doubted.values()].toSorted(comparePrefix);
}

/**
 * Connected networks of any addresses of which an uplink's own word is too much: wider than one place, or over what a VPN has a route for. That
 * another device has the same is no reason here: whichever of them is right, it is connected. Sorted, each once.
 */
export function overstatedNetworks(network: Network, uplinks: readonly Uplink[]): readonly Prefix[] {
  const isOthers = (link: Network['links'][number], prefix: Prefix): boolean =>
    vpnRoutes(network, uplinks, link.name).some((other) => contains(other, prefix) || contains(prefix, other));
  const overstated = new Map<string, Prefix>();
  for (const link of network.links) {
    const here = uplinks.filter(({ device }) => device === link.name);
    if (here.length === 0) continue;
    const stated = here.flatMap((uplink) => uplink.networks ?? []);
    for (const prefix of connectedNetworks(network, ({ index }) => index === link.index)) {
      if (stated.some((one) => contains(one, prefix))) continue;
      if (prefix.length < WIDEST[prefix.address.family] || isOthers(link, prefix))
        overstated.set(formatPrefix(prefix), prefix);
    }
  }
  return [...overstated.values()].toSorted(comparePrefix);
}

const contains = (outer: Prefix, inner: Prefix): boolean =>
  outer.length <= inner.length && prefixContains(outer, inner.address);

/** What goes by it is for nobody on the way to see. */
export const isVpn = ({ type, encrypted }: Uplink['properties']): boolean => type === 'vpn' || encrypted === true;

/** What leads into VPNs by other devices, but for what takes everything. */
function vpnRoutes(network: Network, uplinks: readonly Uplink[], device: string): readonly Prefix[] {
  const vpns = new Set(uplinks.filter(({ properties }) => isVpn(properties)).map((uplink) => uplink.device));
  return network.links
    .filter(({ name }) => name !== device && vpns.has(name))
    .flatMap((link) => routesBy(link, network).map(({ destination }) => destination))
    .filter(({ length }) => length >= SHORTEST_NETWORK);
}
