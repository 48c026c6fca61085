/** Where WireGuard's packets go (linux/wireguard.h, generic netlink family `wireguard`). Keys are passed over. */
import { type Address, addressFromBytes } from '../net/address.ts';
import { attributeList, decodeAttributes, decodeString, encodeU32 } from './attribute.ts';
import { readU16, readU32 } from './bytes.ts';
import { DecodeError } from './errors.ts';
import { decodeGeneric, encodeGeneric } from './generic.ts';
import type { NetlinkMessage, NetlinkRequest } from './message.ts';
import { NLM_F_DUMP, NLM_F_REQUEST } from './uapi.ts';

export const WIREGUARD_FAMILY = 'wireguard';
const WG_CMD_GET_DEVICE = 0;
const WGDEVICE_A_IFINDEX = 1;
const WGDEVICE_A_IFNAME = 2;
const WGDEVICE_A_LISTEN_PORT = 6;
const WGDEVICE_A_FWMARK = 7;
const WGDEVICE_A_PEERS = 8;
const WGPEER_A_ENDPOINT = 4;
const AF_INET = 2;
const AF_INET6 = 10;
/** Of the address in struct sockaddr_in and sockaddr_in6. */
const IN_OFFSET = 4;
const IN6_OFFSET = 8;

export interface WireGuardPart {
  readonly device?: string;
  /** By which it sends, too. Absent: while it is down, it may have none. */
  readonly port?: number;
  /** That its packets have when they are routed. */
  readonly mark: number;
  /** Of peers that have one. */
  readonly endpoints: readonly Address[];
}

export function encodeWireGuardDump(family: number, linkIndex: number): NetlinkRequest {
  const header = { family, command: WG_CMD_GET_DEVICE, flags: NLM_F_REQUEST | NLM_F_DUMP };
  return encodeGeneric(header, [encodeU32(WGDEVICE_A_IFINDEX, linkIndex)]);
}

/** One of several messages about a device: peers may be spread over them. Throws DecodeError. */
export function decodeWireGuard(message: NetlinkMessage, family: number): WireGuardPart {
  const attributes = decodeGeneric(message, { family, command: WG_CMD_GET_DEVICE });
  const [name, port, mark, peers] = [
    WGDEVICE_A_IFNAME,
    WGDEVICE_A_LISTEN_PORT,
    WGDEVICE_A_FWMARK,
    WGDEVICE_A_PEERS,
  ].map((type) => attributes.get(type));
  const number = port === undefined ? 0 : readU16(port);
  return {
    ...(name !== undefined && { device: decodeString(name) }),
    ...(number !== 0 && { port: number }),
    mark: mark === undefined ? 0 : readU32(mark),
    endpoints: (peers === undefined ? [] : attributeList(peers)).flatMap(({ payload }) => {
      const endpoint = decodeAttributes(payload).get(WGPEER_A_ENDPOINT);
      return endpoint === undefined ? [] : [decodeEndpoint(endpoint)];
    }),
  };
}

function decodeEndpoint(sockaddr: Uint8Array): Address {
  const family = readU16(sockaddr);
  const [start, end] =
    family === AF_INET ? [IN_OFFSET, IN_OFFSET + 4] : family === AF_INET6 ? [IN6_OFFSET, IN6_OFFSET + 16] : [0, 0];
  if (end === 0 || sockaddr.length < end) throw new DecodeError(`an endpoint of family ${family}`);
  return addressFromBytes(sockaddr.subarray(start, end));
}
