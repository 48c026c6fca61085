import type { Tunnels } from '../kernel/kernel.ts';
import { type Address, formatAddress } from '../net/address.ts';
import type { Link } from '../netlink/link.ts';

/** By which WireGuard devices send, each once, in order. */
export function wireGuardPorts(links: readonly Link[], tunnels: Tunnels | undefined): readonly number[] {
  const ports = links
    .filter(({ kind }) => kind === 'wireguard')
    .flatMap(({ index }) => tunnels?.portOfWireGuard(index) ?? []);
  return [...new Set(ports)].sort((a, b) => a - b);
}

/** The other ends of this machine's tunnels that the kernel itself carries, each once, in the order of their text. */
export function tunnelEnds(links: readonly Link[], tunnels: Tunnels | undefined): readonly Address[] {
  const ends = new Map<string, Address>();
  for (const { tunnel, kind, index } of links) {
    if (tunnel?.remote !== undefined) ends.set(formatAddress(tunnel.remote), tunnel.remote);
    for (const flow of kind === 'wireguard' ? (tunnels?.ofWireGuard(index) ?? []) : [])
      if ('remote' in flow) ends.set(formatAddress(flow.remote), flow.remote);
  }
  return [...ends].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, address]) => address);
}
