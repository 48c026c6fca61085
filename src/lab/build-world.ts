/** Makes the namespaces, links, addresses, routes and queueing disciplines of the world. */
import { LabError } from './lab-error.ts';
import { findTool, runTool } from './run-tool.ts';
import {
  INTERNET_HOSTS,
  LAB_LAN,
  LAB_UPLINKS,
  type LabUplink,
  type LinkAddresses,
  NAMESPACE_PARTS,
  type NamespacePart,
  namespaceName,
} from './world.ts';

/** Something the kernel at hand could not do; the world works without it. */
export interface WorldNote {
  readonly about: string;
  readonly text: string;
}

const TBF_BURST_BYTES = 8 * 1024;
const TBF_LATENCY_MS = 300;

// Fixed text; names and values arrive as positional parameters. /proc/sys/net shows the opener's own namespace.
const WRITE_SYSCTLS = 'while [ "$#" -gt 1 ]; do printf %s "$2" > "/proc/sys/net/$1" || exit 1; shift 2; done';

/** Builds everything in fresh namespaces. Throws LabError; what it made by then stays for `labDown`. */
export async function buildWorld(id: string): Promise<readonly WorldNote[]> {
  for (const part of NAMESPACE_PARTS) await runTool('ip', ['netns', 'add', namespaceName(id, part)]);
  // Before any link exists: a new device takes its settings from `default`.
  for (const part of NAMESPACE_PARTS) await writeSysctls(id, part);
  await runTool('ip', ['-batch', '-'], linkCommands(id).join('\n'));
  // Both ends of every link first: a gateway is only accepted once the network it is in has a route.
  for (const commands of [upCommands, addressCommands]) {
    for (const part of NAMESPACE_PARTS) {
      await runTool('ip', ['-n', namespaceName(id, part), '-batch', '-'], commands(part).join('\n'));
    }
  }
  const notes: WorldNote[] = [];
  for (const uplink of LAB_UPLINKS) notes.push(...(await shape(id, uplink)));
  return notes;
}

// IPv4 settings of a new namespace may be copies of the host's, so each one that matters is written.
function sysctls(part: NamespacePart): readonly (readonly [string, string])[] {
  const forwards = part === 'wifi' || part === 'cell' ? '1' : '0';
  const rpFilter = part === 'device' ? '2' : '0';
  return [
    ['ipv6/conf/all/disable_ipv6', '0'],
    ['ipv6/conf/default/disable_ipv6', '0'],
    ['ipv6/conf/all/accept_ra', '0'],
    ['ipv6/conf/default/accept_ra', '0'],
    // Without duplicate address detection an address is usable at once.
    ['ipv6/conf/all/accept_dad', '0'],
    ['ipv6/conf/default/accept_dad', '0'],
    ['ipv6/conf/all/forwarding', forwards],
    ['ipv4/ip_forward', forwards],
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
      veth(uplink.device, 'device', 'inside', uplink.router),
      veth('outside', uplink.router, uplink.router, 'net'),
    ]),
    veth(LAB_LAN.device, 'device', 'eth0', 'lan'),
  ];
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
      return ['inside', 'outside'];
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
      return LAB_UPLINKS.filter((uplink) => uplink.router === part).flatMap(routerCommands);
    case 'lan':
      return ends('eth0', LAB_LAN, 'far');
    case 'net':
      return [
        ...INTERNET_HOSTS.flatMap((host) => [`addr add ${host.v4}/32 dev lo`, `addr add ${host.v6}/128 dev lo`]),
        ...LAB_UPLINKS.flatMap(internetCommands),
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

/** Default routes as NetworkManager leaves them: one per uplink in the main table, the metric ranks them. */
function deviceCommands(uplink: LabUplink): readonly string[] {
  const { access, device, metric } = uplink;
  return [
    ...ends(device, access, 'near'),
    `route add default via ${access.v4.far} dev ${device} proto dhcp src ${access.v4.near} metric ${metric}`,
    `route add default via ${access.v6.far} dev ${device} proto ra metric ${metric}`,
  ];
}

function routerCommands({ access, transit }: LabUplink): readonly string[] {
  return [
    ...ends('inside', access, 'far'),
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

/** Shapes in the router, both directions, so that the device's own queueing disciplines stay free for policies. */
async function shape(id: string, uplink: LabUplink): Promise<readonly WorldNote[]> {
  if (uplink.shape === undefined) return [];
  const { rateBitsPerSecond, delayMs } = uplink.shape;
  const router = namespaceName(id, uplink.router);
  const tbf = [
    'tbf',
    'rate',
    `${rateBitsPerSecond}bit`,
    'burst',
    `${TBF_BURST_BYTES}b`,
    'latency',
    `${TBF_LATENCY_MS}ms`,
  ];
  const notes: WorldNote[] = [];
  for (const device of ['inside', 'outside']) {
    if (!(await addQdisc(router, device, tbf))) {
      notes.push({ about: uplink.name, text: `${device}: full speed, this kernel has no tbf queueing discipline` });
    }
  }
  if (!(await addQdisc(namespaceName(id, 'net'), uplink.router, ['netem', 'delay', `${delayMs}ms`]))) {
    notes.push({ about: uplink.name, text: 'no added latency, this kernel has no netem queueing discipline' });
  }
  return notes;
}

async function addQdisc(namespace: string, device: string, kind: readonly string[]): Promise<boolean> {
  try {
    await runTool('tc', ['-n', namespace, 'qdisc', 'add', 'dev', device, 'root', ...kind]);
    return true;
  } catch (error) {
    // Other failures than a kernel without this discipline are real ones.
    if (error instanceof LabError && /kind is unknown|No such file/.test(error.message)) return false;
    throw error;
  }
}
