/** The neighbour table over NETLINK_ROUTE: who has which link-layer address (linux/neighbour.h, `struct ndmsg`). */
import type { Address } from '../net/address.ts';
import { decodeFamily, encodeFamily } from './address-family.ts';
import { decodeAddress, decodeAttributes, encodeAddress, requireAttribute } from './attribute.ts';
import { concatBytes, readI32, readU8, readU16, u32 } from './bytes.ts';
import { DecodeError } from './errors.ts';
import { hardwareAddressText } from './hardware-address.ts';
import type { NetlinkMessage, NetlinkRequest } from './message.ts';
import { requireMessageType } from './nfnetlink.ts';
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST } from './uapi.ts';

export const RTM_NEWNEIGH = 28;
export const RTM_DELNEIGH = 29;
const RTM_GETNEIGH = 30;

const NDMSG_BYTES = 12;
const NDA_DST = 1;
const NDA_LLADDR = 2;
/** `ndm_flags`: find out the address, as if something were to be sent. */
const NTF_USE = 0x01;

/** NUD_* that stand for an address which is known, right or presumably right. */
const NUD_REACHABLE = 0x02;
const NUD_STALE = 0x04;
const NUD_DELAY = 0x08;
const NUD_PROBE = 0x10;
const NUD_PERMANENT = 0x80;
const NUD_KNOWN = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;

/** One of those that a device leads to directly. */
export interface NeighbourKey {
  readonly linkIndex: number;
  readonly address: Address;
}

/** An entry of the table. */
export interface Neighbour extends NeighbourKey {
  /** Absent where the kernel does not know it (now), or there is none. */
  readonly hardwareAddress?: string;
  /** It was right when it was last used, and nobody has asked since. */
  readonly isStale: boolean;
}

/** Exactly this one; ENOENT where there is none. Kernels before 5.0 do not know the request: EOPNOTSUPP. */
export function encodeNeighbourGet(key: NeighbourKey): NetlinkRequest {
  return { type: RTM_GETNEIGH, flags: NLM_F_REQUEST, body: encodeKey(key, 0) };
}

/**
 * Has the kernel find out (ARP, neighbour discovery) who the neighbour is, without sending him anything. `isThere`: whether there is
 * an entry. Of one with the state NUD_PERMANENT the kernel would take this state away: so it is never asked of those, and
 * EEXIST is the answer where somebody has made an entry meanwhile.
 */
export function encodeNeighbourUse(key: NeighbourKey, { isThere }: { readonly isThere: boolean }): NetlinkRequest {
  const flags = NLM_F_REQUEST | NLM_F_ACK | (isThere ? 0 : NLM_F_CREATE | NLM_F_EXCL);
  return { type: RTM_NEWNEIGH, flags, body: encodeKey(key, NTF_USE) };
}

function encodeKey({ linkIndex, address }: NeighbourKey, flags: number): Uint8Array {
  const head = [new Uint8Array([encodeFamily(address.family), 0, 0, 0]), u32(linkIndex)];
  return concatBytes([...head, new Uint8Array([0, 0, flags, 0]), encodeAddress(NDA_DST, address)]);
}

/** RTM_NEWNEIGH or RTM_DELNEIGH: of one that is gone nothing is known. Throws DecodeError, also for the entries of bridges. */
export function decodeNeighbour(message: NetlinkMessage): Neighbour {
  requireMessageType(message, [RTM_NEWNEIGH, RTM_DELNEIGH]);
  const { body } = message;
  const attributes = decodeAttributes(body, NDMSG_BYTES);
  const family = decodeFamily(readU8(body));
  const address = decodeAddress(requireAttribute(attributes, NDA_DST, 'NDA_DST'));
  if (address.family !== family) throw new DecodeError('NDA_DST is of another family');
  const state = message.type === RTM_DELNEIGH ? 0 : readU16(body, 8);
  const bytes = (state & NUD_KNOWN) === 0 ? undefined : attributes.get(NDA_LLADDR);
  return {
    linkIndex: readI32(body, 4),
    address,
    ...(bytes !== undefined && bytes.length > 0 && { hardwareAddress: hardwareAddressText(bytes) }),
    isStale: state === NUD_STALE,
  };
}
