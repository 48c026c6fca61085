/** Which networks uplinks are in: the kernel's word and that of network managers, joined. */
import type { Address } from '../net/address.ts';
import type { Link } from '../netlink/link.ts';
import { RT_TABLE_MAIN } from '../netlink/route.ts';
import type { AttachedNetwork, UplinkState } from '../policy/facts.ts';
import type { NetworkInterest } from '../policy/network-interest.ts';
import type { Gateway } from './gateway-macs.ts';
import { ARPHRD_ETHER, defaultRoutes, type Network } from './network.ts';

/** Of an uplink: default routes by as many routers are nobody's home. */
export const MAX_GATEWAYS = 8;

/** Nothing of it throws. Lists are as in `AttachedNetwork`, but may be empty. */
export interface NetworkSources {
  readonly macOf: (gateway: Gateway) => string | undefined;
  /** By the index of the link. */
  readonly ssids: () => ReadonlyMap<number, string>;
  /** What network managers say of a device. */
  readonly managed: (link: Link) => Pick<AttachedNetwork, 'ssid' | 'domains'>;
  /** Those of the machine as a whole. */
  readonly ownDomains: () => readonly string[];
}

/** By whom the kernel's default routes by the uplink lead, or its file says. Where links have no MAC addresses there are none. */
export function gatewaysOf({ device, up, gateways }: UplinkState, network: Network): readonly Gateway[] {
  const link = network.links.find(({ name }) => name === device);
  if (!up || link?.type !== ARPHRD_ETHER) return [];
  const routed = defaultRoutes(link, network).map(({ gateway }) => gateway);
  const byText = new Map<string, Address>();
  for (const address of [gateways.v4, gateways.v6, ...routed]) {
    if (address !== undefined) byText.set(`${address.family} ${address.value}`, address);
  }
  const { index: linkIndex, carrierLosses = 0 } = link;
  return [...byText.values()].slice(0, MAX_GATEWAYS).map((address) => ({ linkIndex, carrierLosses, address }));
}

/** The uplinks that are up with what somebody wants to know of their networks, as far as it is known. */
export function attachNetworks(
  uplinks: readonly UplinkState[],
  network: Network,
  interest: NetworkInterest,
  sources: NetworkSources,
): readonly UplinkState[] {
  if (!Object.values(interest).includes(true)) return uplinks;
  const ssids = interest.ssid ? sources.ssids() : new Map<number, string>();
  const leading = interest.domains ? mainLink(network) : undefined;
  return uplinks.map((uplink) => {
    const link = network.links.find(({ name }) => name === uplink.device);
    if (!uplink.up || link === undefined) return uplink;
    const managed = sources.managed(link);
    const ssid = ssids.get(link.index) ?? managed.ssid;
    const macs = interest.gatewayMacs ? gatewaysOf(uplink, network).flatMap((each) => sources.macOf(each) ?? []) : [];
    const told = managed.domains ?? [];
    const domains = told.length > 0 || link.index !== leading ? told : sources.ownDomains();
    const attached: AttachedNetwork = {
      ...(interest.ssid && ssid !== undefined && { ssid }),
      ...(macs.length > 0 && { gatewayMacs: [...new Set(macs)].sort() }),
      ...(interest.domains && domains.length > 0 && { domains }),
    };
    return Object.keys(attached).length === 0 ? uplink : { ...uplink, network: attached };
  });
}

/** Where main's best default route leads out: IPv4's, else IPv6's. */
function mainLink(network: Network): number | undefined {
  const best = ([4, 6] as const).flatMap((family) => {
    const routes = network.links.flatMap((link) =>
      defaultRoutes(link, network, family)
        .filter(({ table }) => table === RT_TABLE_MAIN)
        .map(({ metric }) => ({ metric, index: link.index })),
    );
    return routes.toSorted((a, b) => a.metric - b.metric).slice(0, 1);
  });
  return best[0]?.index;
}
