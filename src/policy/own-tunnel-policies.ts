/** Policies that name who carries a tunnel on, and whose `via` leads into that very tunnel now. */
import { chooseUplink, waysOut } from './choose-uplink.ts';
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import type { Facts, HeldTunnel, TunnelHolder } from './facts.ts';
import type { ProcessOwner } from './identity.ts';
import { type AppIndex, matchApp } from './match-app.ts';
import type { SourceLocation, Via } from './model.ts';

export interface IntoOwnTunnel {
  readonly app: string;
  readonly pid: number;
  readonly device: string;
  /** Of the `via`. */
  readonly via: SourceLocation;
}

export interface OwnTunnelSources {
  readonly policySet: PolicySet;
  readonly index: AppIndex;
  readonly machine: { readonly facts: Facts };
}

/** One for each process and `via`, in the order of the devices. */
export function intoOwnTunnels({ policySet, index, machine: { facts } }: OwnTunnelSources): readonly IntoOwnTunnel[] {
  return (facts.heldTunnels ?? []).flatMap((tunnel) =>
    tunnel.holders.flatMap((holder) => {
      const policy = matchApp(index, ownerOf(holder), facts)?.policy;
      if (policy === undefined) return [];
      return viasOf(policy)
        .filter((via) => leadsInto(via, tunnel, policySet, facts))
        .map(({ at }) => ({ app: policy.app, pid: holder.pid, device: tunnel.device, via: at }));
    }),
  );
}

const ownerOf = ({ pid, executable, uids: [uid = 0], cgroup }: TunnelHolder): ProcessOwner => ({
  kind: 'process',
  pid,
  uid,
  ...(executable !== undefined && { executable }),
  ...(cgroup !== undefined && { cgroup: cgroup.path }),
});

const viasOf = ({ via, rules }: EffectivePolicy): readonly Via[] => [
  ...(via === undefined ? [] : [via.value]),
  ...rules.flatMap((rule) => rule.via ?? []),
];

function leadsInto(via: Via, { carries }: HeldTunnel, policySet: PolicySet, facts: Facts): boolean {
  return ([4, 6] as const).some((family) => {
    const { way } = chooseUplink(via, family, waysOut(policySet, facts));
    const taken = way.kind === 'uplink' ? facts.uplinks.find(({ name }) => name === way.name) : undefined;
    return taken !== undefined && carries.includes(taken.device);
  });
}
