/** Where the packets of the kernel's own tunnels go: IFLA_INFO_DATA (linux/if_tunnel.h, linux/if_link.h). */
import type { Address } from '../net/address.ts';
import { type Attributes, decodeAddress } from './attribute.ts';
import { readU32 } from './bytes.ts';

interface EndAttributes {
  readonly remotes: readonly number[];
  readonly mark?: number;
}

/** IFLA_GRE_REMOTE, IFLA_GRE_FWMARK. */
const GRE: EndAttributes = { remotes: [7], mark: 20 };
/** IFLA_IPTUN_REMOTE, IFLA_IPTUN_FWMARK. */
const IPTUN: EndAttributes = { remotes: [3], mark: 20 };
/** IFLA_VTI_REMOTE, IFLA_VTI_FWMARK. */
const VTI: EndAttributes = { remotes: [5], mark: 6 };
const ENDS: Readonly<Record<string, EndAttributes>> = {
  gre: GRE,
  gretap: GRE,
  erspan: GRE,
  ip6gre: GRE,
  ip6gretap: GRE,
  ip6erspan: GRE,
  ipip: IPTUN,
  sit: IPTUN,
  ip6tnl: IPTUN,
  vti: VTI,
  vti6: VTI,
  // IFLA_VXLAN_GROUP and GROUP6, IFLA_GENEVE_REMOTE and REMOTE6.
  vxlan: { remotes: [2, 16] },
  geneve: { remotes: [2, 7] },
};

export interface TunnelEnds {
  /** Absent: many, or none that is fixed. */
  readonly remote?: Address;
  /** That its packets have when they are routed. */
  readonly mark: number;
}

/** Undefined for other kinds. Throws DecodeError. */
export function decodeTunnelEnds(kind: string, data: Attributes): TunnelEnds | undefined {
  const ends = ENDS[kind];
  if (ends === undefined) return undefined;
  const [remote] = ends.remotes
    .flatMap((type) => data.get(type) ?? [])
    .map(decodeAddress)
    .filter(({ value }) => value !== 0n);
  const mark = ends.mark === undefined ? undefined : data.get(ends.mark);
  return { ...(remote !== undefined && { remote }), mark: mark === undefined ? 0 : readU32(mark) };
}
