/**
 * Which devices are ways out, and what the kernel tells of them. A device is one where somebody else's default route leads out
 * by it, or where it is a tunnel with a global address and a route: and never loopback, nor a port of a bridge, a bond or a VRF,
 * which has no routes that count, nor one whose name cannot be written in a ruleset. So bridges of containers, and this machine's ends of their devices, are none.
 */
import { isUsableDeviceName } from '../net/device-name.ts';
import type { Link } from '../netlink/link.ts';
import { RT_SCOPE_HOST, RTPROT_RA, RTPROT_REDIRECT } from '../netlink/route.ts';
import type { FoundDevice, Told } from '../policy/join-uplinks.ts';
import type { UplinkType } from '../policy/model.ts';
import { ARPHRD_ETHER, type DeviceRoute, defaultRoutes, type Network, routesBy, usableAddresses } from './network.ts';

/** What sysfs knows of a device and netlink does not say. */
export type DeviceClass = 'wifi' | 'wwan' | 'bluetooth';

const ARPHRD_PPP = 512;
const ARPHRD_RAWIP = 519;
const ARPHRD_TUNNEL = 768;
const ARPHRD_TUNNEL6 = 769;
const ARPHRD_SIT = 776;
const ARPHRD_IPGRE = 778;
const ARPHRD_IP6GRE = 823;
/** tun, WireGuard, xfrm. */
const ARPHRD_NONE = 65534;
const TUNNELS: ReadonlySet<number> = new Set([
  ...[ARPHRD_PPP, ARPHRD_TUNNEL, ARPHRD_TUNNEL6, ARPHRD_SIT, ARPHRD_IPGRE, ARPHRD_IP6GRE, ARPHRD_NONE],
]);
/** IFLA_INFO_KIND of what is made for a VPN and nothing else. */
const VPN_KINDS: ReadonlySet<string> = new Set(['wireguard', 'ovpn', 'xfrm', 'vti', 'vti6']);
/** IFLA_INFO_KIND of what encrypts by itself, whoever set it up. */
const ENCRYPTING: readonly string[] = ['wireguard'];
/** Half of everything and more: default routes, also those in disguise (0.0.0.0/1 and 128.0.0.0/1). */
const LONGEST_DEFAULT = 1;
/** The largest in uplink files. Also of tunnels without a default route: who knows how far they lead. */
const LAST_PRIORITY = 1000;

/** The kernel's word, and what of it is a guess. */
export interface KernelTold {
  readonly told: Told;
  readonly guesses: readonly (keyof Told)[];
}

/** What one packet of a neighbour puts into the routing tables (RTPROT_*), without a program of this machine. */
const ANNOUNCED: ReadonlySet<number> = new Set([RTPROT_RA, RTPROT_REDIRECT]);

/**
 * In the order of the kernel's indexes. `isAdmitted`: somebody on this machine set the device up to go out by it; of others, what the
 * network alone announced is no more than found.
 */
export function discoverUplinks(
  network: Network,
  isAdmitted: (link: Link) => boolean = () => false,
): readonly FoundDevice[] {
  return network.links.flatMap((link) => {
    const ways = waysOutBy(link, network);
    if (ways === undefined) return [];
    const untaken = ways.routes.every(({ protocol }) => ANNOUNCED.has(protocol)) && !isAdmitted(link);
    return [{ device: link.name, priority: ways.priority, ...(untaken && { untaken }) }];
  });
}

/**
 * The routes that make it a way out, and its priority: that of the kernel's best default route by it, so that the kernel's order
 * holds; undefined where it is no way out.
 */
function waysOutBy(
  link: Link,
  network: Network,
): { readonly routes: readonly DeviceRoute[]; readonly priority: number } | undefined {
  if (link.loopback || link.masterIndex !== undefined || !isUsableDeviceName(link.name)) return undefined;
  const whole = defaultRoutes(link, network);
  const halves = isTunnel(link) ? routesBy(link, network).filter(({ destination }) => isHalf(destination.length)) : [];
  const routes = [...whole, ...halves];
  const priority = Math.min(...routes.map(({ metric }) => metric), LAST_PRIORITY);
  if (routes.length > 0) return { routes, priority };
  const somewhere = routesBy(link, network).filter(
    ({ scope, destination }) => scope !== RT_SCOPE_HOST && !isLocal(destination),
  );
  const isWay = isTunnel(link) && somewhere.length > 0 && usableAddresses(link, network.addresses).length > 0;
  return isWay ? { routes: somewhere, priority } : undefined;
}

const isHalf = (length: number): boolean => length <= LONGEST_DEFAULT;

/** fe80::/64 and ff00::/8 are on every device. */
function isLocal({ address: { family, value } }: Network['routes'][number]['destination']): boolean {
  return family === 6 && (value >> 118n === 0xfe80n >> 6n || value >> 120n === 0xffn);
}

export const isTunnel = ({ type }: Link): boolean => TUNNELS.has(type);

/** Both halves of one family: nobody but a VPN client adds them, so that they win over every default route and leave it as it is. */
export function hasBothHalves(link: Link, network: Network): boolean {
  const halves = routesBy(link, network).filter(({ destination: { length } }) => length === LONGEST_DEFAULT);
  return ([4, 6] as const).some(
    (family) => new Set(halves.filter((route) => route.family === family).map(halfOf)).size === 2,
  );
}
const halfOf = ({ destination }: DeviceRoute): bigint => destination.address.value;

/** `carriesAll`: see `hasBothHalves`. */
export function toldByKernel(link: Link, deviceClass: DeviceClass | undefined, carriesAll = false): KernelTold {
  const known = typeOf(link, deviceClass);
  const isPerhapsVpn = known === undefined && link.kind === 'tun' && carriesAll;
  const type = isPerhapsVpn ? 'vpn' : known;
  const isPerhapsMetered = type === 'cellular' || type === 'bluetooth';
  return {
    told: {
      ...(type !== undefined && { type }),
      ...(isPerhapsMetered && { metered: true }),
      ...(link.kind !== undefined && ENCRYPTING.includes(link.kind) && { encrypted: true }),
    },
    guesses: [...(isPerhapsMetered ? ['metered' as const] : []), ...(isPerhapsVpn ? ['type' as const] : [])],
  };
}

/** Undefined where the kernel does not tell: PPP may be a telephone line, a modem or a VPN, a tun device anything. */
function typeOf({ type, kind }: Link, deviceClass: DeviceClass | undefined): UplinkType | undefined {
  if (deviceClass === 'wifi' || kind === 'virt_wifi') return 'wifi';
  if (deviceClass === 'bluetooth') return 'bluetooth';
  if (deviceClass === 'wwan' || kind === 'wwan' || kind === 'rmnet' || type === ARPHRD_RAWIP) return 'cellular';
  if (kind !== undefined && VPN_KINDS.has(kind)) return 'vpn';
  // A tunnel alone hides nothing: what is in a tun or GRE device may go on in clear. A tap device has addresses of Ethernet.
  if (TUNNELS.has(type) || kind === 'tun') return undefined;
  return type === ARPHRD_ETHER ? 'ethernet' : undefined;
}
