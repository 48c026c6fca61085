/** The neighbour table over NETLINK_ROUTE: who has which link-layer address (linux/neighbour.h, `struct ndmsg`). */
import { type Address, formatAddress } from '../net/address.ts';
import { decodeFamily, encodeFamily } from './address-family.ts';
import { decodeAddress, decodeAttributes, encodeAddress, requireAttribute } from './attribute.ts';
import { concatBytes, readI32, readU8, readU16, readU32, u16, u32 } from './bytes.ts';
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
/** `struct nda_cacheinfo`, of which the first field is since when it is confirmed. */
const NDA_CACHEINFO = 3;
/** Its times are in clock ticks of USER_HZ, 100 a second wherever this runs. */
const TICK_MS = 10;
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

/** Equal for the same neighbour, and for no others. */
export const neighbourText = ({ linkIndex, address }: NeighbourKey): string => `${linkIndex} ${formatAddress(address)}`;

/** An entry of the table. */
export interface Neighbour extends NeighbourKey {
  /** Absent where the kernel does not know it (now), or there is none. */
  readonly hardwareAddress?: string;
  /** Somebody has said so, and nobody asks. */
  readonly isPermanent: boolean;
  /** It was right when it was last used, and nobody has asked since. */
  readonly isStale: boolean;
  /** How long ago it is that the neighbour was heard of himself. Absent where that is not known. */
  readonly confirmedAgoMs?: number;
}

/** Exactly this one; ENOENT where there is none. Kernels before 5.0 do not know the request: EOPNOTSUPP. */
export function encodeNeighbourGet(key: NeighbourKey): NetlinkRequest {
  return { type: RTM_GETNEIGH, flags: NLM_F_REQUEST, body: encodeKey(key) };
}

/**
 * Has the kernel find out (ARP, neighbour discovery) who the neighbour is, without sending him anything else. `isThere`: whether there is
 * an entry, which has no address. EEXIST where somebody has made one meanwhile.
 */
export function encodeNeighbourUse(key: NeighbourKey, { isThere }: { readonly isThere: boolean }): NetlinkRequest {
  const flags = NLM_F_REQUEST | NLM_F_ACK | (isThere ? 0 : NLM_F_CREATE | NLM_F_EXCL);
  return { type: RTM_NEWNEIGH, flags, body: encodeKey(key, { flags: NTF_USE }) };
}

/**
 * Has the kernel make sure of an address that it knows: it asks at once, up to three times, and forgets the address where nobody
 * answers. Not for a permanent entry, which would be one no longer. Without NLM_F_REPLACE, or the entry would no longer be a
 * router's. ENOENT where there is none.
 */
export function encodeNeighbourProbe(key: NeighbourKey): NetlinkRequest {
  return { type: RTM_NEWNEIGH, flags: NLM_F_REQUEST | NLM_F_ACK, body: encodeKey(key, { state: NUD_PROBE }) };
}

function encodeKey({ linkIndex, address }: NeighbourKey, { state = 0, flags = 0 } = {}): Uint8Array {
  const head = [new Uint8Array([encodeFamily(address.family), 0, 0, 0]), u32(linkIndex), u16(state)];
  return concatBytes([...head, new Uint8Array([flags, 0]), encodeAddress(NDA_DST, address)]);
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
  const times = attributes.get(NDA_CACHEINFO);
  return {
    linkIndex: readI32(body, 4),
    address,
    ...(bytes !== undefined && bytes.length > 0 && { hardwareAddress: hardwareAddressText(bytes) }),
    isPermanent: state === NUD_PERMANENT,
    isStale: state === NUD_STALE,
    ...(bytes !== undefined && times !== undefined && { confirmedAgoMs: readU32(times) * TICK_MS }),
  };
}
