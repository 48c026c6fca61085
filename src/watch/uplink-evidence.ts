/** What the machine says of its ways out, as the join with the files needs it. */
import type { Telling, UplinkEvidence } from '../policy/join-uplinks.ts';
import type { SystemDefault, Uplink } from '../policy/model.ts';
import { deviceClass } from './device-class.ts';
import { discoverUplinks, toldByKernel } from './discover-uplinks.ts';
import type { Network } from './network.ts';

/** What others than the kernel say, by device, whoever is to be believed first. */
export type OutsideTellings = ReadonlyMap<string, readonly Telling[]>;

export function uplinkEvidence(
  network: Network,
  stated: readonly Uplink[],
  systemDefault: SystemDefault,
  outside: OutsideTellings,
): UplinkEvidence {
  const found = systemDefault.uplinks === 'files' ? [] : discoverUplinks(network);
  const devices = new Set([...found, ...stated].map(({ device }) => device));
  const tellings = new Map<string, readonly Telling[]>();
  for (const link of network.links) {
    if (!devices.has(link.name)) continue;
    // Devices that a driver makes by software say by their kind what they are.
    const told = toldByKernel(link, link.kind === undefined ? deviceClass(link) : undefined);
    tellings.set(link.name, [...(outside.get(link.name) ?? []), { by: 'kernel', ...told }]);
  }
  return { found, tellings };
}
