/** What the machine says of its ways out, as the join with the files needs it. */
import type { Link } from '../netlink/link.ts';
import type { Carrier, Telling, UplinkEvidence } from '../policy/join-uplinks.ts';
import type { SystemDefault, Uplink } from '../policy/model.ts';
import { type CarrierSources, carrierOf } from './carriers.ts';
import { deviceClass } from './device-class.ts';
import { discoverUplinks, hasBothHalves, toldByKernel } from './discover-uplinks.ts';
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
  sources: CarrierSources,
): UplinkEvidence {
  const { uplinks, trustFound } = systemDefault;
  const isAdmitted = ({ name, index }: Link): boolean =>
    trustFound === true || outside?.device(name)?.isSetUp === true || networkdManages(index);
  const found = uplinks === 'files' ? [] : discoverUplinks(network, isAdmitted);
  const outsideTellings = outside?.tellings();
  const devices = new Set([...found, ...stated].map(({ device }) => device));
  const tellings = new Map<string, readonly Telling[]>();
  const carriers = new Map<string, Carrier>();
  const byName = new Map(network.links.map((link) => [link.name, link]));
  // Those that carry others are added while this runs.
  for (const device of devices) {
    const link = byName.get(device);
    if (link === undefined) continue;
    const carrier = carrierOf(link, network, sources);
    if (carrier !== undefined) carriers.set(device, carrier);
    if (carrier?.kind === 'devices') for (const below of carrier.devices) devices.add(below);
    // Devices that a driver makes by software say by their kind what they are.
    const told = toldByKernel(
      link,
      link.kind === undefined ? deviceClass(link) : undefined,
      hasBothHalves(link, network),
    );
    tellings.set(link.name, [...(outsideTellings?.get(link.name) ?? []), { by: 'kernel', ...told }]);
  }
  return { found, tellings, carriers };
}
