/**
 * The networks that uplinks are in, for a daemon: looked at in each round as far as profiles speak of them, and in between it is told
 * when one of them is another.
 */
import type { Background } from '../kernel/background.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Neighbour, NeighbourKey } from '../netlink/neighbour.ts';
import type { UplinkState } from '../policy/facts.ts';
import type { Profile } from '../policy/model.ts';
import { ALL_OF_NETWORKS, networkInterest } from '../policy/network-interest.ts';
import { attachNetworks, gatewaysOf, type NetworkSources } from './attached-network.ts';
import { GatewayMacs } from './gateway-macs.ts';
import type { ManagedDevices } from './managed-devices.ts';
import type { Network } from './network.ts';
import { INIT_PID } from './network-domains.ts';
import { networkSources } from './network-sources.ts';
import { NetworkdWatch } from './networkd-watch.ts';
import { isInOurNetwork } from './own-network.ts';

export interface NetworkWatchOptions {
  readonly background: Background;
  readonly kernel: Pick<Kernel, 'neighbours' | 'wireless'>;
  readonly managed: Pick<ManagedDevices, 'device'>;
  readonly onChange: () => void;
}

export class NetworkWatch implements Disposable {
  readonly #macs: GatewayMacs;
  readonly #networkd: NetworkdWatch;
  readonly #sources: NetworkSources;

  constructor({ background, kernel, managed, onChange }: NetworkWatchOptions) {
    const nowMs = (): number => performance.now();
    this.#macs = new GatewayMacs({ background, neighbours: kernel.neighbours, nowMs, onChange });
    this.#networkd = new NetworkdWatch(onChange, background);
    this.#sources = networkSources({ kernel, managed });
  }

  /** With the networks that they are in, as far as some profile asks. */
  attach(uplinks: readonly UplinkState[], network: Network, profiles?: readonly Profile[]): readonly UplinkState[] {
    const interest = networkInterest(profiles);
    this.#macs.follow(interest.gatewayMacs ? uplinks.flatMap((uplink) => gatewaysOf(uplink, network)) : []);
    // It writes leases, too, which no profile has to ask for.
    this.#networkd.watch({ on: isInOurNetwork(INIT_PID) });
    return attachNetworks(uplinks, network, interest, {
      ...this.#sources,
      macOf: (gateway) => this.#macs.macOf(gateway),
    });
  }

  /** The same with all that is known, whoever asks. */
  describe(uplinks: readonly UplinkState[], network: Network): readonly UplinkState[] {
    return attachNetworks(uplinks, network, ALL_OF_NETWORKS, {
      ...this.#sources,
      macOf: (gateway) => this.#macs.macOf(gateway) ?? this.#sources.macOf(gateway),
    });
  }

  /** Whose news `hear` wants. */
  get watched(): readonly NeighbourKey[] {
    return this.#macs.watched;
  }

  hear(neighbours: readonly Neighbour[]): void {
    this.#macs.hear(neighbours);
  }

  [Symbol.dispose](): void {
    this.#macs[Symbol.dispose]();
    this.#networkd[Symbol.dispose]();
  }
}
