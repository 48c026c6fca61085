/** Whom to ask whether a family of an uplink works. */
import { type Address, type Family, formatAddress } from '../net/address.ts';
import type { UplinkState } from '../policy/facts.ts';
import type { Uplink, UplinkProbe } from '../policy/model.ts';

export type ProbeTarget =
  | { readonly kind: 'icmp'; readonly address: Address; readonly isGateway?: true }
  | { readonly kind: 'tcp'; readonly address: Address; readonly port: number }
  | { readonly kind: 'dns'; readonly server: Address; readonly name: string }
  | ({ readonly kind: 'http' } & NonNullable<UplinkProbe['http']>);

/** HTTP comes last: it costs most. A family without a target of its own has its gateway; where there is none, nobody is asked. */
export function probeTargets(
  { probe }: Pick<Uplink, 'probe'>,
  { gateways }: Pick<UplinkState, 'gateways'>,
  family: Family,
): readonly ProbeTarget[] {
  if (probe === 'off') return [];
  const stated = probe === undefined ? [] : statedTargets(probe).filter((target) => isOf(family, target));
  if (stated.length > 0) return stated;
  const gateway = family === 4 ? gateways.v4 : gateways.v6;
  return gateway === undefined ? [] : [{ kind: 'icmp', address: gateway, isGateway: true }];
}

function statedTargets({ icmp, tcp, dns, http }: UplinkProbe): ProbeTarget[] {
  return [
    ...icmp.map((address): ProbeTarget => ({ kind: 'icmp', address })),
    ...(dns === undefined ? [] : [{ kind: 'dns', ...dns } as const]),
    ...tcp.map((target): ProbeTarget => ({ kind: 'tcp', ...target })),
    ...(http === undefined ? [] : [{ kind: 'http', ...http } as const]),
  ];
}

/** A name may have addresses of both families. */
function isOf(family: Family, target: ProbeTarget): boolean {
  switch (target.kind) {
    case 'icmp':
    case 'tcp':
      return target.address.family === family;
    case 'dns':
      return target.server.family === family;
    case 'http':
      return typeof target.host === 'string' || target.host.family === family;
  }
}

/** The same for the same target; for people too. */
export function describeTarget(target: ProbeTarget): string {
  switch (target.kind) {
    case 'icmp':
      return `icmp ${formatAddress(target.address)}`;
    case 'tcp':
      return `tcp ${formatAddress(target.address)} port ${target.port}`;
    case 'dns':
      return `dns ${formatAddress(target.server)}`;
    case 'http':
      return `http ${typeof target.host === 'string' ? target.host : formatAddress(target.host)} port ${target.port}`;
  }
}
