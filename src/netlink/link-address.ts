/** Addresses of devices over NETLINK_ROUTE (linux/if_addr.h, `struct ifaddrmsg`). */
import type { Address, Family } from '../net/address.ts';
import { decodeFamily, encodeFamily } from './address-family.ts';
import { decodeAddress, decodeAttributes } from './attribute.ts';
import { readU8, readU32 } from './bytes.ts';
import { DecodeError } from './errors.ts';
import type { NetlinkMessage, NetlinkRequest } from './message.ts';
import { requireMessageType } from './nfnetlink.ts';
import { NLM_F_DUMP, NLM_F_REQUEST } from './uapi.ts';

export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
const RTM_GETADDR = 22;

const IFADDRMSG_BYTES = 8;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_FLAGS = 8;
const IFA_F_SECONDARY = 0x01;
const IFA_F_DADFAILED = 0x08;
const IFA_F_DEPRECATED = 0x20;
const IFA_F_TENTATIVE = 0x40;

/** `tentative` and `dadFailed` addresses cannot be a source; `deprecated` ones should not be. */
export interface LinkAddress {
  readonly linkIndex: number;
  readonly address: Address;
  readonly prefixLength: number;
  /** The other end of a point-to-point link, which then is what `prefixLength` belongs to. */
  readonly peer?: Address;
  /** RT_SCOPE_*: 0 universe, 253 link, 254 host. */
  readonly scope: number;
  readonly tentative: boolean;
  readonly deprecated: boolean;
  readonly dadFailed: boolean;
  /** IPv4: not the first of its prefix; IPv6: temporary (RFC 8981). */
  readonly secondary: boolean;
}

export function encodeAddressDump(family: Family): NetlinkRequest {
  const body = new Uint8Array(IFADDRMSG_BYTES);
  body[0] = encodeFamily(family);
  return { type: RTM_GETADDR, flags: NLM_F_REQUEST | NLM_F_DUMP, body };
}

/** RTM_NEWADDR or RTM_DELADDR: the caller looks at the message's type. Throws DecodeError. */
export function decodeLinkAddress(message: NetlinkMessage): LinkAddress {
  requireMessageType(message, [RTM_NEWADDR, RTM_DELADDR]);
  const attributes = decodeAttributes(message.body, IFADDRMSG_BYTES);
  const family = decodeFamily(readU8(message.body));
  // On a point-to-point link IFA_ADDRESS is the peer; IPv6 sends IFA_LOCAL only there.
  const ownBytes = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
  const address = ownBytes && decodeAddress(ownBytes);
  if (address?.family !== family) throw new DecodeError('IFA_ADDRESS is missing or of another family');
  const otherBytes = attributes.get(IFA_ADDRESS);
  const other = otherBytes && decodeAddress(otherBytes);
  const wideFlags = attributes.get(IFA_FLAGS);
  const flags = wideFlags === undefined ? readU8(message.body, 2) : readU32(wideFlags);
  return {
    linkIndex: readU32(message.body, 4),
    address,
    prefixLength: readU8(message.body, 1),
    ...(other !== undefined && other.value !== address.value && { peer: other }),
    scope: readU8(message.body, 3),
    tentative: (flags & IFA_F_TENTATIVE) !== 0,
    deprecated: (flags & IFA_F_DEPRECATED) !== 0,
    dadFailed: (flags & IFA_F_DADFAILED) !== 0,
    secondary: (flags & IFA_F_SECONDARY) !== 0,
  };
}
