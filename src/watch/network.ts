/** Devices, addresses and routes as they are at one moment: what uplinks are derived from. */
import type { Routing } from '../kernel/kernel.ts';
import { isOwnTable } from '../kernel/planned-routing.ts';
import type { Address, Family } from '../net/address.ts';
import type { Link } from '../netlink/link.ts';
import type { LinkAddress } from '../netlink/link-address.ts';
import { type Route, RT_SCOPE_UNIVERSE, RTN_UNICAST } from '../netlink/route.ts';

export const ARPHRD_ETHER = 1;

export interface Network {
  readonly links: readonly Link[];
  readonly addresses: readonly LinkAddress[];
  readonly routes: readonly Route[];
}

/** Throws KernelError. */
export function readNetwork(routing: Pick<Routing, 'links' | 'addresses' | 'routes'>): Network {
  return { links: routing.links(), addresses: routing.addresses(), routes: routing.routes() };
}

/** Addresses that can be the source of something new, in the kernel's order. */
export function usableAddresses(link: Link, addresses: readonly LinkAddress[]): Address[] {
  return globalAddresses(link, addresses)
    .filter(({ deprecated }) => !deprecated)
    .map(({ address }) => address);
}

/** Addresses that nothing new takes for its source, and that still are the link's. */
export function deprecatedAddresses(link: Link, addresses: readonly LinkAddress[]): Address[] {
  return globalAddresses(link, addresses)
    .filter(({ deprecated }) => deprecated)
    .map(({ address }) => address);
}

function globalAddresses(link: Link, addresses: readonly LinkAddress[]): LinkAddress[] {
  return addresses
    .filter(({ linkIndex, scope }) => linkIndex === link.index && scope === RT_SCOPE_UNIVERSE)
    .filter(({ tentative, dadFailed }) => !tentative && !dadFailed);
}

/** Routes by the device, with the next hop by it: none of ours, and none that refuses. */
export interface DeviceRoute extends Route {
  readonly gateway?: Address;
}

export function routesBy(link: Link, { routes }: Network): DeviceRoute[] {
  return routes
    .filter(({ table, type }) => type === RTN_UNICAST && !isOwnTable(table))
    .flatMap((route) => {
      const { gateway: _, nexthops = [], ...rest } = route;
      if (route.oif !== undefined) return route.oif === link.index ? [route] : [];
      return nexthops
        .filter(({ oif }) => oif === link.index)
        .map(({ gateway }): DeviceRoute => ({ ...rest, ...(gateway !== undefined && { gateway }) }));
    });
}

/** The kernel's own default routes by the device, whatever table they are in; best first. */
export function defaultRoutes(link: Link, network: Network, family?: Family): DeviceRoute[] {
  return routesBy(link, network)
    .filter((route) => route.destination.length === 0 && (family === undefined || route.family === family))
    .toSorted((a, b) => a.metric - b.metric);
}
