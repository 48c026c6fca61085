/** Next hops that stand for themselves, and that routes name by number (linux/nexthop.h, `struct nhmsg`). */
import type { Address } from '../net/address.ts';
import { decodeAddress, decodeAttributes, requireAttribute } from './attribute.ts';
import { readU8, readU32 } from './bytes.ts';
import type { NetlinkMessage, NetlinkRequest } from './message.ts';
import type { Nexthop } from './nexthop.ts';
import { requireMessageType } from './nfnetlink.ts';
import { NLM_F_DUMP, NLM_F_REQUEST } from './uapi.ts';

const RTM_NEWNEXTHOP = 104;
const RTM_GETNEXTHOP = 106;
const NHMSG_BYTES = 8;
const NHA_ID = 1;
const NHA_GROUP = 2;
const NHA_OIF = 5;
const NHA_GATEWAY = 6;
/** `struct nexthop_grp`: id, weight less 1, and what is reserved. */
const NEXTHOP_GRP_BYTES = 8;

/** By a device, or several others; neither: it refuses. */
export interface NexthopObject {
  readonly id: number;
  readonly oif?: number;
  readonly gateway?: Address;
  readonly group?: readonly { readonly id: number; readonly weight: number }[];
}

export function encodeNexthopDump(): NetlinkRequest {
  return { type: RTM_GETNEXTHOP, flags: NLM_F_REQUEST | NLM_F_DUMP, body: new Uint8Array(NHMSG_BYTES) };
}

/** Throws DecodeError. */
export function decodeNexthopObject(message: NetlinkMessage): NexthopObject {
  requireMessageType(message, [RTM_NEWNEXTHOP]);
  const attributes = decodeAttributes(message.body, NHMSG_BYTES);
  const [group, oif, gateway] = [NHA_GROUP, NHA_OIF, NHA_GATEWAY].map((type) => attributes.get(type));
  return {
    id: readU32(requireAttribute(attributes, NHA_ID, 'NHA_ID')),
    ...(oif !== undefined && { oif: readU32(oif) }),
    ...(gateway !== undefined && { gateway: decodeAddress(gateway) }),
    ...(group !== undefined && { group: decodeGroup(group) }),
  };
}

function decodeGroup(payload: Uint8Array): { readonly id: number; readonly weight: number }[] {
  return Array.from({ length: Math.floor(payload.length / NEXTHOP_GRP_BYTES) }, (_, i) => {
    const offset = i * NEXTHOP_GRP_BYTES;
    return { id: readU32(payload, offset), weight: readU8(payload, offset + 4) + 1 };
  });
}

/** The next hops of a number, those of a group one by one: a group has no groups. */
export function nexthopsOf(objects: readonly NexthopObject[], id: number): readonly Nexthop[] {
  const byId = new Map(objects.map((object) => [object.id, object]));
  const members = byId.get(id)?.group ?? [{ id, weight: 1 }];
  return members.flatMap((member): Nexthop[] => {
    const { oif, gateway } = byId.get(member.id) ?? {};
    if (oif === undefined) return [];
    return [{ oif, weight: member.weight, onlink: false, ...(gateway !== undefined && { gateway }) }];
  });
}
