/** Makes the namespaces, links, addresses, routes and queueing disciplines of the world. */
import { existsSync } from 'node:fs';
import { defaultRoutes } from './default-routes.ts';
import { LabError } from './lab-error.ts';
import { findTool, runTool } from './run-tool.ts';
import { shapeLink } from './shape-link.ts';
import {
  INTERNET_HOSTS,
  LAB_LAN,
  LAB_UPLINKS,
  type LabUplink,
  type LinkAddresses,
  NAMESPACE_PARTS,
  type NamespacePart,
  namespaceName,
  ROUTER_INSIDE,
} from './world.ts';

/** Something the kernel at hand could not do; the world works without it. */
export interface WorldNote {
  readonly about: string;
  readonly text: string;
}

/** The tunnel's packets have to fit into those of any of its underlays. */
const TUNNEL_MTU = 1400;

const TUN_NODE = '/dev/net/tun';

// Fixed text; names and values arrive as positional parameters. /proc/sys/net shows the opener's own namespace.
const WRITE_SYSCTLS = 'while [ "$#" -gt 1 ]; do printf %s "$2" > "/proc/sys/net/$1" || exit 1; shift 2; done';

const MISSING: Readonly<Record<'netem' | 'tbf', string>> = {
  netem: 'no added latency, this kernel has no netem queueing discipline',
  tbf: 'full speed, this kernel has no tbf queueing discipline',
};

/** Builds everything in fresh namespaces. Throws LabError; what it made by then stays for `labDown`. */
export async function buildWorld(id: string): Promise<readonly WorldNote[]> {
  for (const part of NAMESPACE_PARTS) await runTool('ip', ['netns', 'add', namespaceName(id, part)]);
  // Before any link exists: a new device takes its settings from `default`.
  for (const part of NAMESPACE_PARTS) await writeSysctls(id, part);
  await runTool('ip', ['-batch', '-'], linkCommands(id).join('\n'));
  await makeTunnelEnds(id);
  // Both ends of every link first: a gateway is only accepted once the network it is in has a route.
  for (const commands of [upCommands, addressCommands]) {
    for (const part of NAMESPACE_PARTS) {
      await runTool('ip', ['-n', namespaceName(id, part), '-batch', '-'], commands(part).join('\n'));
    }
  }
  const notes: WorldNote[] = [];
  for (const uplink of LAB_UPLINKS) {
    const { missing } = await shapeLink(id, uplink, {});
    notes.push(...missing.map((what) => ({ about: uplink.name, text: MISSING[what] })));
  }
  return notes;
}

// IPv4 settings of a new namespace may be copies of the host's, so each one that matters is written.
function sysctls(part: NamespacePart): readonly (readonly [string, string])[] {
  const routes = part === 'wifi' || part === 'cell' || part === 'vpn';
  const forwards = routes ? '1' : '0';
  const rpFilter = part === 'device' ? '2' : '0';
  return [
    ['ipv6/conf/all/disable_ipv6', '0'],
    ['ipv6/conf/default/disable_ipv6', '0'],
    ['ipv6/conf/all/accept_ra', '0'],
    ['ipv6/conf/default/accept_ra', '0'],
    // Without duplicate address detection an address is usable at once.
    ['ipv6/conf/all/accept_dad', '0'],
    ['ipv6/conf/default/accept_dad', '0'],
    // A link that was down for a while comes back as it was.
    ['ipv6/conf/all/keep_addr_on_down', '1'],
    ['ipv6/conf/default/keep_addr_on_down', '1'],
    ['ipv6/conf/all/forwarding', forwards],
    // The internet carries the tunnel's packets, which are IPv4.
    ['ipv4/ip_forward', routes || part === 'net' ? '1' : '0'],
    ['ipv4/conf/all/rp_filter', rpFilter],
    ['ipv4/conf/default/rp_filter', rpFilter],
  ];
}

async function writeSysctls(id: string, part: NamespacePart): Promise<void> {
  const namespace = `--net=/run/netns/${namespaceName(id, part)}`;
  try {
    await runTool('nsenter', [namespace, '--', findTool('sh'), '-c', WRITE_SYSCTLS, 'sh', ...sysctls(part).flat()]);
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    throw new LabError(
      'missing-kernel-feature',
      `the lab cannot set its namespaces' network settings (is IPv6 disabled, or /proc/sys read-only?)\n${error.message}`,
      { cause: error },
    );
  }
}

/** Both ends are created inside their namespaces: no link ever appears in the host's. */
function linkCommands(id: string): readonly string[] {
  const veth = (name: string, part: NamespacePart, peer: string, peerPart: NamespacePart): string =>
    `link add ${name} netns ${namespaceName(id, part)} type veth peer name ${peer} netns ${namespaceName(id, peerPart)}`;
  return [
    ...LAB_UPLINKS.flatMap((uplink) => [
      ...(uplink.over === undefined ? [veth(uplink.device, 'device', ROUTER_INSIDE, uplink.router)] : []),
      veth('outside', uplink.router, uplink.router, 'net'),
    ]),
    veth(LAB_LAN.device, 'device', 'eth0', 'lan'),
  ];
}

/** Both are without carrier until `tunnel.ts` holds them. */
async function makeTunnelEnds(id: string): Promise<void> {
  for (const { device, router, over } of LAB_UPLINKS) {
    if (over === undefined) continue;
    await requireTun();
    for (const [part, name] of [
      ['device', device],
      [router, ROUTER_INSIDE],
    ] as const) {
      await runTool('ip', ['-n', namespaceName(id, part), 'tuntap', 'add', 'dev', name, 'mode', 'tun']);
      await runTool('ip', ['-n', namespaceName(id, part), 'link', 'set', name, 'mtu', `${TUNNEL_MTU}`]);
    }
  }
}

/** Where nobody has made the node beforehand (udev, kmod), loading the module does. */
async function requireTun(): Promise<void> {
  if (existsSync(TUN_NODE)) return;
  await runTool('modprobe', ['tun']).catch(() => '');
  if (existsSync(TUN_NODE)) return;
  throw new LabError(
    'missing-kernel-feature',
    `the lab's vpn needs ${TUN_NODE}, which is missing: modprobe tun, or give the container that device`,
  );
}

function upCommands(part: NamespacePart): readonly string[] {
  return ['lo', ...linkNames(part)].map((name) => `link set ${name} up`);
}

function linkNames(part: NamespacePart): readonly string[] {
  switch (part) {
    case 'device':
      return [...LAB_UPLINKS.map((uplink) => uplink.device), LAB_LAN.device];
    case 'wifi':
    case 'cell':
    case 'vpn':
      return [ROUTER_INSIDE, 'outside'];
    case 'lan':
      return ['eth0'];
    case 'net':
      return LAB_UPLINKS.map((uplink) => uplink.router);
  }
}

function addressCommands(part: NamespacePart): readonly string[] {
  switch (part) {
    case 'device':
      return [...LAB_UPLINKS.flatMap(deviceCommands), ...ends(LAB_LAN.device, LAB_LAN, 'near')];
    case 'wifi':
    case 'cell':
    case 'vpn':
      return LAB_UPLINKS.filter((uplink) => uplink.router === part).flatMap(routerCommands);
    case 'lan':
      return ends('eth0', LAB_LAN, 'far');
    case 'net':
      return [
        ...INTERNET_HOSTS.flatMap((host) => [`addr add ${host.v4}/32 dev lo`, `addr add ${host.v6}/128 dev lo`]),
        ...LAB_UPLINKS.flatMap(internetCommands),
        // What the internet does not know gets no answer, whether it forwards or not.
        'route add blackhole default',
      ];
  }
}

type Pair = { readonly v4: LinkAddresses; readonly v6: LinkAddresses };

function ends(device: string, link: Pair, end: 'near' | 'far'): readonly string[] {
  return [
    `addr add ${link.v4[end]}/${link.v4.length} dev ${device}`,
    `addr add ${link.v6[end]}/${link.v6.length} dev ${device} nodad`,
  ];
}

function deviceCommands(uplink: LabUplink): readonly string[] {
  return [...ends(uplink.device, uplink.access, 'near'), ...defaultRoutes(uplink).map((route) => `route add ${route}`)];
}

function routerCommands({ access, transit }: LabUplink): readonly string[] {
  return [
    ...ends(ROUTER_INSIDE, access, 'far'),
    ...ends('outside', transit, 'near'),
    `route add default via ${transit.v4.far}`,
    `route add default via ${transit.v6.far} dev outside`,
  ];
}

function internetCommands({ access, transit, router }: LabUplink): readonly string[] {
  return [
    ...ends(router, transit, 'far'),
    `route add ${access.v4.network} via ${transit.v4.near}`,
    `route add ${access.v6.network} via ${transit.v6.near} dev ${router}`,
  ];
}
