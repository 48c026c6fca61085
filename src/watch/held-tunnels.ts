/** Who carries tun and tap devices on, and whose packets go into these: a bridge's, a VLAN's and another tunnel's, too. */
import type { CgroupTree } from '../kernel/cgroup.ts';
import { openProc, type Proc } from '../kernel/proc.ts';
import type { HeldTunnel, TunnelHolder } from '../policy/facts.ts';
import { type CarrierSources, carrierOf } from './carriers.ts';
import type { Network } from './network.ts';

export interface HeldTunnelSources extends CarrierSources {
  readonly cgroups: Pick<CgroupTree, 'idOfPath'> | undefined;
  readonly proc?: Pick<Proc, 'uids' | 'executable' | 'cgroup'>;
}

/** Sorted by device. Nobody is looked for where no such device is in use. */
export function heldTunnels(sources: HeldTunnelSources, network: Network): readonly HeldTunnel[] {
  const { tunnels, proc = openProc() } = sources;
  if (tunnels === undefined) return [];
  const held = network.links.flatMap(({ kind, lowerUp, name: device }) => {
    const use = kind === 'tun' && lowerUp ? tunnels.useOfTun(device) : undefined;
    if (use === undefined) return [];
    return [{ device, sockets: use.sockets, holders: use.pids.map((pid) => holder(pid, proc, sources.cgroups)) }];
  });
  if (held.length === 0) return [];
  const standsOn = carriersByDevice(network, sources);
  return held
    .map((tunnel) => ({ ...tunnel, carries: devicesOn(tunnel.device, standsOn) }))
    .sort((a, b) => (a.device < b.device ? -1 : 1));
}

function holder(
  pid: number,
  proc: NonNullable<HeldTunnelSources['proc']>,
  cgroups: HeldTunnelSources['cgroups'],
): TunnelHolder {
  const executable = proc.executable(pid);
  const path = proc.cgroup(pid);
  const level = path === undefined || path === '/' ? 0 : path.split('/').length - 1;
  const id = path === undefined || level === 0 ? undefined : cgroups?.idOfPath(path);
  return {
    pid,
    uids: proc.uids(pid) ?? [],
    ...(executable !== undefined && { executable }),
    ...(path !== undefined && id !== undefined && { cgroup: { path, id, level } }),
  };
}

function carriersByDevice(network: Network, sources: CarrierSources): ReadonlyMap<string, readonly string[]> {
  return new Map(
    network.links.map((link) => {
      const carrier = carrierOf(link, network, sources);
      return [link.name, carrier?.kind === 'devices' ? carrier.devices : []];
    }),
  );
}

/** Itself, and all that stands on it, directly or on others that do. */
function devicesOn(device: string, standsOn: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const found = new Set([device]);
  // Those that are found are added while this runs.
  for (const below of found) for (const [above, carriers] of standsOn) if (carriers.includes(below)) found.add(above);
  return [...found].sort();
}
