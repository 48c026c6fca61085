/** Which of the things that tell networks apart somebody asks about: others need not be looked for. Pure. */
import type { AttachedNetwork } from './facts.ts';
import type { Profile } from './model.ts';

export type NetworkInterest = { readonly [K in keyof AttachedNetwork]-?: boolean };

export const ALL_OF_NETWORKS: NetworkInterest = { ssid: true, gatewayMacs: true, domains: true };

export function networkInterest(profiles: readonly Profile[] = []): NetworkInterest {
  const conditions = profiles.flatMap(({ when }) => when);
  return {
    ssid: conditions.some(({ ssids }) => ssids !== undefined),
    gatewayMacs: conditions.some(({ gateways }) => gateways !== undefined),
    domains: conditions.some(({ domains }) => domains !== undefined),
  };
}
