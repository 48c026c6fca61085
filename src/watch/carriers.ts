/**
 * What carries the packets of devices that carry none themselves: VLANs, bridges and tunnels. What these cost, and in whose network
 * they are, is as of the uplink by which their packets leave at the moment.
 */
import type { OuterFlow, Routing, Tunnels } from '../kernel/kernel.ts';
import { type Address, parseAddress, parsePrefix, prefixContains } from '../net/address.ts';
import type { Link } from '../netlink/link.ts';
import type { Carrier } from '../policy/join-uplinks.ts';
import { isTunnel } from './discover-uplinks.ts';
import type { Network } from './network.ts';

export interface CarrierSources {
  readonly routing: Pick<Routing, 'deviceTo'>;
  /** Absent: nobody asks, and what only they tell is not known. */
  readonly tunnels?: Tunnels;
}

/** Another name of the link below. */
const SAME_LINK: ReadonlySet<string> = new Set(['vlan', 'macvlan', 'macvtap', 'ipvlan', 'ipvtap']);
/** Of two ends of a wire neither stands on the other. */
const PAIRS: ReadonlySet<string> = new Set(['veth', 'netkit', 'vxcan']);
const MODEMS: ReadonlySet<string> = new Set(['wwan', 'rmnet']);
/** IPv4 over IPv6 by the network's own means: 464XLAT and DS-Lite (RFC 7335). */
const SERVICE_CONTINUITY = parsePrefix('192.0.0.0/29');
const CLAT_NAME = /^clat\d*$/;
/** As Android and those after it call it: the rest is the device below. */
const CLAT_OF = /^v4-(.+)$/;
/** In the well-known prefix of RFC 6052: where no route is for it, the way to any other translator is the same. */
const TRANSLATED = parseAddress('64:ff9b::1');

/** Undefined for devices that carry their packets themselves. */
export function carrierOf(link: Link, network: Network, sources: CarrierSources): Carrier | undefined {
  const { links } = network;
  if (link.loopback || (link.kind !== undefined && PAIRS.has(link.kind))) return undefined;
  const clat = clatOf(link, network);
  if (clat !== undefined) return named(clat.below ?? deviceTo(TRANSLATED, 0, sources), links, { sameNetwork: true });
  const ports = links.filter(({ masterIndex }) => masterIndex === link.index);
  if (ports.length > 0) return { kind: 'devices', devices: ports.map(({ name }) => name) };
  if (link.lowerIndex !== undefined) {
    const sameNetwork = link.kind !== undefined && SAME_LINK.has(link.kind);
    return named(link.lowerIndex, links, { sameNetwork });
  }
  if (link.tunnel !== undefined) {
    const carrier = byFlows(flowsTo(link.tunnel), links, link, sources);
    // DS-Lite: to somebody whom the route to him tells.
    const isService = carrier.kind === 'devices' && hasServiceAddress(link.index, network.addresses);
    return isService ? { ...carrier, sameNetwork: true } : carrier;
  }
  if (link.kind === 'wireguard') return byFlows(sources.tunnels?.ofWireGuard(link.index), links, link, sources);
  if (link.kind === 'tun') {
    // Without a carrier nobody holds it, and nobody need look for him.
    return byFlows(link.lowerUp ? sources.tunnels?.ofTun(link.name) : undefined, links, link, sources);
  }
  return isTunnel(link) && !(link.kind === undefined || MODEMS.has(link.kind)) ? { kind: 'unknown' } : undefined;
}

/** `below`: an index, where the name tells it. */
function clatOf({ name, index, kind }: Link, { links, addresses }: Network): { readonly below?: number } | undefined {
  const [, lowerName] = CLAT_OF.exec(name) ?? [];
  const lower = links.find((link) => link.name === lowerName);
  if (lower !== undefined) return { below: lower.index };
  if (kind !== 'tun') return undefined;
  return CLAT_NAME.test(name) || hasServiceAddress(index, addresses) ? {} : undefined;
}

const hasServiceAddress = (index: number, addresses: Network['addresses']): boolean =>
  addresses.some(
    ({ linkIndex, address }) =>
      linkIndex === index && SERVICE_CONTINUITY !== undefined && prefixContains(SERVICE_CONTINUITY, address),
  );

const flowsTo = ({ remote, mark }: NonNullable<Link['tunnel']>): readonly OuterFlow[] | undefined =>
  remote === undefined ? undefined : [{ remote, mark }];

function byFlows(
  flows: readonly OuterFlow[] | undefined,
  links: readonly Link[],
  link: Link,
  sources: CarrierSources,
): Carrier {
  if (flows === undefined) return { kind: 'unknown' };
  const indexes = flows.map((flow) =>
    'deviceIndex' in flow ? flow.deviceIndex : deviceTo(flow.remote, flow.mark, sources),
  );
  const carriers = indexes.map((index) => links.find((candidate) => candidate.index === index));
  // By itself, by loopback, or by nothing at all: then somebody else carries it on.
  if (carriers.some((carrier) => carrier === undefined || carrier.loopback || carrier.index === link.index))
    return { kind: 'unknown' };
  return { kind: 'devices', devices: [...new Set(carriers.flatMap((carrier) => carrier?.name ?? []))].sort() };
}

const deviceTo = (address: Address | undefined, mark: number, { routing }: CarrierSources): number | undefined =>
  address === undefined ? undefined : routing.deviceTo(address, mark);

function named(index: number | undefined, links: readonly Link[], more: { readonly sameNetwork: boolean }): Carrier {
  const below = links.find((link) => link.index === index);
  if (below === undefined) return { kind: 'unknown' };
  return { kind: 'devices', devices: [below.name], ...(more.sameNetwork && { sameNetwork: true }) };
}
