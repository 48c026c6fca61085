/** What the kernel, network managers and their files say of the networks that uplinks are in, at this moment. */
import type { Kernel } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { NetworkSources } from './attached-network.ts';
import type { ManagedDevices } from './managed-devices.ts';
import { INIT_PID, networkdDomains, resolvConfDomains } from './network-domains.ts';
import { isInOurNetwork } from './own-network.ts';

export interface NetworkSourcesOptions {
  readonly kernel: Pick<Kernel, 'neighbours' | 'wireless'>;
  /** Absent: nobody asks them. */
  readonly managed?: Pick<ManagedDevices, 'device'>;
}

/** Nobody is asked for a gateway that the kernel does not know. */
export function networkSources({ kernel, managed }: NetworkSourcesOptions): NetworkSources {
  const seesNetworkd = isInOurNetwork(INIT_PID);
  return {
    macOf: (gateway) => orUndefined(() => kernel.neighbours.find(gateway)?.hardwareAddress),
    ssids: () => orUndefined(() => kernel.wireless.ssids()) ?? new Map(),
    managed: ({ name, index }) => {
      const { ssid, domains = [] } = managed?.device(name) ?? {};
      const told = domains.length > 0 || !seesNetworkd ? domains : networkdDomains(index);
      return { ...(ssid !== undefined && { ssid }), domains: told };
    },
    ownDomains: () => resolvConfDomains(),
  };
}

/** What the kernel does not tell, or is not allowed to, is not known. */
function orUndefined<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}
