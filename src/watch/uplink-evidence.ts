/** What the machine says of its ways out, as the join with the files needs it. */
import type { Link } from '../netlink/link.ts';
import type { Telling, UplinkEvidence } from '../policy/join-uplinks.ts';
import type { SystemDefault, Uplink } from '../policy/model.ts';
import { deviceClass } from './device-class.ts';
import { discoverUplinks, toldByKernel } from './discover-uplinks.ts';
import type { Network } from './network.ts';
import { networkdManages } from './networkd-links.ts';

/** What others than the kernel say, by device, whoever is to be believed first. */
export type OutsideTellings = ReadonlyMap<string, readonly Telling[]>;

/** Those who set devices up. */
export interface Outside {
  readonly tellings: () => OutsideTellings;
  readonly device: (name: string) => { readonly isSetUp: boolean } | undefined;
}

export function uplinkEvidence(
  network: Network,
  stated: readonly Uplink[],
  systemDefault: SystemDefault,
  outside: Outside | undefined,
): UplinkEvidence {
  const { uplinks, trustFound } = systemDefault;
  const isAdmitted = ({ name, index }: Link): boolean =>
    trustFound === true || outside?.device(name)?.isSetUp === true || networkdManages(index);
  const found = uplinks === 'files' ? [] : discoverUplinks(network, isAdmitted);
  const outsideTellings = outside?.tellings();
  const devices = new Set([...found, ...stated].map(({ device }) => device));
  const tellings = new Map<string, readonly Telling[]>();
  for (const link of network.links) {
    if (!devices.has(link.name)) continue;
    // Devices that a driver makes by software say by their kind what they are.
    const told = toldByKernel(link, link.kind === undefined ? deviceClass(link) : undefined);
    tellings.set(link.name, [...(outsideTellings?.get(link.name) ?? []), { by: 'kernel', ...told }]);
  }
  return { found, tellings };
}
