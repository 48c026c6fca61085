/** What the kernel says of uplinks and directly connected networks, as decisions and plans need it. */

import {
  type Address,
  compareAddress,
  equalAddress,
  type Family,
  formatAddress,
  isLoopbackAddress,
  type Prefix,
  parseAddress,
  prefixContains,
} from '../net/address.ts';
import type { Link } from '../netlink/link.ts';
import { type DownCause, heldAddresses, type UplinkState } from '../policy/facts.ts';
import type { InsideAddress } from '../policy/inside-address.ts';
import type { Uplink } from '../policy/model.ts';
import { connectedNetworks } from './connected-networks.ts';
import { doubtedNetworks, isVpn, overstatedNetworks } from './doubted-networks.ts';
import { ARPHRD_ETHER, defaultRoutes, deprecatedAddresses, type Network, usableAddresses } from './network.ts';

export interface HostFacts {
  readonly uplinks: readonly UplinkState[];
  readonly onLink: readonly Prefix[];
  /** Those of `onLink` that are not believed: see `doubtedNetworks`. */
  readonly doubted: readonly Prefix[];
  /** The same for `on-link`: see `overstatedNetworks`. */
  readonly overstated: readonly Prefix[];
  /** Sorted by address. */
  readonly inside: readonly InsideAddress[];
}

/** Uplinks without an id are left out. */
export function observeHost(
  network: Network,
  uplinks: readonly Uplink[],
  uplinkIds: ReadonlyMap<string, number>,
): HostFacts {
  return {
    uplinks: uplinks.flatMap((uplink) => {
      const id = uplinkIds.get(uplink.name);
      if (id === undefined) return [];
      const state = uplinkState(uplink, id, network);
      const ofVpn = addressesOfVpns(uplink, state, network, uplinks);
      return [ofVpn.length > 0 ? { ...state, ofVpn } : state];
    }),
    onLink: connectedNetworks(network, ({ loopback }) => !loopback),
    doubted: doubtedNetworks(network, uplinks),
    overstated: overstatedNetworks(network, uplinks),
    inside: insideAddresses(network, uplinks),
  };
}

/**
 * A lease of another uplink may have the address of a VPN: what answers to that would leave in clear. Not where a file states the network: a
 * tunnel may well borrow the address of the link that carries it.
 */
function addressesOfVpns(
  { properties, networks = [], device }: Uplink,
  state: UplinkState,
  network: Network,
  uplinks: readonly Uplink[],
): readonly Address[] {
  if (isVpn(properties)) return [];
  const vpns = new Set(
    uplinks.filter((one) => one.device !== device && isVpn(one.properties)).map((one) => one.device),
  );
  const links = network.links.filter(({ name }) => vpns.has(name));
  const theirs = links.flatMap((link) => [
    ...usableAddresses(link, network.addresses),
    ...deprecatedAddresses(link, network.addresses),
  ]);
  return heldAddresses(state)
    .filter((address) => theirs.some((one) => equalAddress(one, address)))
    .filter((address) => !networks.some((stated) => prefixContains(stated, address)));
}

/** By which this machine is reached, asks, and reaches others, whether an uplink is used or not. */
function insideAddresses(network: Network, uplinks: readonly Uplink[]): InsideAddress[] {
  const found = new Map<string, InsideAddress>();
  const add = (address: Address | undefined, is: InsideAddress['is']): void => {
    if (address !== undefined && !found.has(formatAddress(address))) found.set(formatAddress(address), { address, is });
  };
  for (const { address } of network.addresses) if (!isLoopbackAddress(address)) add(address, 'own');
  for (const { resolvers = [], gateways } of uplinks) {
    for (const resolver of resolvers) add(resolver, 'resolver');
    for (const gateway of [gateways.v4, gateways.v6]) add(statedGateway(gateway), 'gateway');
  }
  for (const link of network.links) {
    if (link.loopback) continue;
    for (const { gateway } of defaultRoutes(link, network)) add(gateway, 'gateway');
  }
  return [...found.values()].toSorted((a, b) => compareAddress(a.address, b.address));
}

function uplinkState({ name, device, gateways: stated }: Uplink, id: number, network: Network): UplinkState {
  const link = network.links.find((candidate) => candidate.name === device);
  if (link === undefined) {
    return { name, id, device, up: false, v4: false, v6: false, addresses: [], onLink: [], gateways: {} };
  }
  const addresses = usableAddresses(link, network.addresses);
  const deprecated = deprecatedAddresses(link, network.addresses);
  // A file's comes first: of several gateways on one device it tells which one is meant.
  const v4 = statedGateway(stated.v4) ?? gatewayOf(4, link, network);
  const v6 = statedGateway(stated.v6) ?? gatewayOf(6, link, network);
  const carries = (family: Family, gateway: Address | undefined): boolean =>
    link.up &&
    link.lowerUp &&
    addresses.some((address) => address.family === family) &&
    (gateway !== undefined || needsNoGateway(family, link, network));
  const state = { v4: carries(4, v4), v6: carries(6, v6) };
  return {
    name,
    id,
    device,
    deviceIndex: link.index,
    up: state.v4 || state.v6,
    ...(!state.v4 && !state.v6 && { downBecause: downCause(link, addresses) }),
    ...state,
    addresses,
    ...(deprecated.length > 0 && { deprecated }),
    onLink: connectedNetworks(network, ({ index }) => index === link.index),
    gateways: { ...(v4 !== undefined && { v4 }), ...(v6 !== undefined && { v6 }) },
  };
}

function downCause({ up, lowerUp }: Link, addresses: readonly Address[]): DownCause {
  if (!up) return 'device down';
  if (!lowerUp) return 'no carrier';
  return addresses.length === 0 ? 'no address' : 'no default route';
}

const statedGateway = (text: string | undefined): Address | undefined =>
  text === undefined ? undefined : parseAddress(text);

function gatewayOf(family: Family, link: Link, network: Network): Address | undefined {
  return defaultRoutes(link, network, family).find(({ gateway }) => gateway !== undefined)?.gateway;
}

/** Tunnels and modems have nobody to resolve; elsewhere the kernel's own default route may say so. */
function needsNoGateway(family: Family, link: Link, network: Network): boolean {
  return link.type !== ARPHRD_ETHER || defaultRoutes(link, network, family).length > 0;
}
