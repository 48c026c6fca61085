/**
 * Sockets by address (linux/sock_diag.h, linux/inet_diag.h): who owns a flow. Addresses and ports are in network order, the rest in
 * host order. `struct inet_diag_sockid`, 48 bytes:
 *
 *    0       2       4            20           36       40       48
 *    +-------+-------+------------+------------+--------+--------+
 *    | sport | dport | src        | dst        | if     | cookie |
 *    +-------+-------+------------+------------+--------+--------+
 */
import { type Address, addressToBytes, type Family } from '../net/address.ts';
import { IPPROTO_UDP, IPPROTO_UDPLITE } from '../net/protocol.ts';
import { decodeFamily, encodeFamily } from './address-family.ts';
import { type Attributes, decodeAddress, decodeAttributes } from './attribute.ts';
import { concatBytes, readBytes, readU8, readU16Be, readU32, readU64, u16Be, u32, u64 } from './bytes.ts';
import type { NetlinkMessage, NetlinkRequest } from './message.ts';
import { requireMessageType } from './nfnetlink.ts';
import { decodeTcpInfo, type TcpInfo } from './tcp-info.ts';
import { NLM_F_DUMP, NLM_F_REQUEST } from './uapi.ts';

export const SOCK_DIAG_BY_FAMILY = 20;

/** Socket states of TCP (linux/tcp.h); UDP and raw sockets have TCP_ESTABLISHED when connected, else TCP_CLOSE. */
export const TCP_ESTABLISHED = 1;
export const TCP_SYN_SENT = 2;
export const TCP_SYN_RECV = 3;
export const TCP_TIME_WAIT = 6;
export const TCP_CLOSE = 7;
export const TCP_LISTEN = 10;
/** For a dump of sockets in whatever state. */
export const ALL_SOCKET_STATES = 0xffff_ffff;

const INET_DIAG_INFO = 2;
const INET_DIAG_PROTOCOL = 10;
const INET_DIAG_SKV6ONLY = 11;
const INET_DIAG_MARK = 15;
export const INET_DIAG_CGROUP_ID = 21;
const INET_DIAG_NOCOOKIE = 0xffff_ffff_ffff_ffffn;
export const INET_DIAG_MSG_BYTES = 72;
const SOCKID_OFFSET = 4;

/** As this host sees it: `local` is the sender of an outgoing flow. */
export interface SocketLookup {
  readonly protocol: number;
  readonly local: Address;
  readonly localPort: number;
  readonly remote: Address;
  readonly remotePort: number;
  /** Needed for link-local addresses and sockets bound to a device. */
  readonly interfaceIndex?: number;
}

/**
 * `states`: a bit 1 << TCP_* for each. `rawProtocol`: with IPPROTO_RAW, the protocol of the raw sockets. `tcpInfo`: each TCP socket
 * with its struct tcp_info, which takes longer.
 */
export interface SocketDump {
  readonly family: Family;
  readonly protocol: number;
  readonly states: number;
  readonly rawProtocol?: number;
  readonly tcpInfo?: true;
}

/**
 * A socket that carries IPv4 through an AF_INET6 one has family 6 and mapped addresses (see `unmapAddress`).
 * In TCP_TIME_WAIT and TCP_SYN_RECV, and before accept(), the kernel gives the inode as 0, and the uid too.
 */
export interface InetSocket {
  readonly family: Family;
  readonly state: number;
  readonly local: Address;
  readonly localPort: number;
  readonly remote: Address;
  readonly remotePort: number;
  /** Of the device that the socket is bound to; 0 for none. */
  readonly interfaceIndex: number;
  readonly cookie: bigint;
  readonly uid: number;
  /** As in `/proc/PID/fd`: `socket:[INODE]`. */
  readonly inode: number;
  /** Only with CAP_NET_ADMIN. */
  readonly mark?: number;
  /** Inode number of the directory in the cgroup2 file system; since Linux 5.8. */
  readonly cgroupId?: bigint;
  readonly v6Only?: boolean;
  readonly protocol?: number;
  /** Where the dump asked for it. */
  readonly tcpInfo?: TcpInfo;
}

const UNSPECIFIED: Uint8Array = new Uint8Array(16);

/** As `idiag_src` and `idiag_dst` have it. */
export function paddedAddress(address: Address): Uint8Array {
  const bytes = addressToBytes(address);
  return concatBytes([bytes, new Uint8Array(16 - bytes.length)]);
}

/** `struct inet_diag_req_v2`. */
function encodeRequest(flags: number, header: Uint8Array, states: number, sockid: Uint8Array): NetlinkRequest {
  return { type: SOCK_DIAG_BY_FAMILY, flags, body: concatBytes([header, u32(states), sockid]) };
}

/**
 * The one socket that this flow belongs to, as the kernel's own lookup finds it: also an unconnected UDP socket or a listener.
 * Answered by one message, or by ENOENT. Both addresses must be of one family.
 */
export function encodeSocketLookup(lookup: SocketLookup): NetlinkRequest {
  if (lookup.local.family !== lookup.remote.family) throw new RangeError('addresses of two families');
  // udp_dump_one() in net/ipv4/udp_diag.c takes source and destination the other way round, "for historical reasons".
  const swapped = lookup.protocol === IPPROTO_UDP || lookup.protocol === IPPROTO_UDPLITE;
  const local = { address: paddedAddress(lookup.local), port: u16Be(lookup.localPort) };
  const remote = { address: paddedAddress(lookup.remote), port: u16Be(lookup.remotePort) };
  const [source, destination] = swapped ? [remote, local] : [local, remote];
  const sockid = [source.port, destination.port, source.address, destination.address];
  const tail = [u32(lookup.interfaceIndex ?? 0), u64(INET_DIAG_NOCOOKIE)];
  const header = new Uint8Array([encodeFamily(lookup.local.family), lookup.protocol, 0, 0]);
  return encodeRequest(NLM_F_REQUEST, header, ALL_SOCKET_STATES, concatBytes([...sockid, ...tail]));
}

/** Every socket of one family and protocol in one of the states. A dump of family 4 has no AF_INET6 sockets that carry IPv4. */
export function encodeSocketDump(dump: SocketDump): NetlinkRequest {
  // idiag_ext: a bit for each attribute up to 8.
  const extensions = dump.tcpInfo === true ? 1 << (INET_DIAG_INFO - 1) : 0;
  const header = new Uint8Array([encodeFamily(dump.family), dump.protocol, extensions, dump.rawProtocol ?? 0]);
  const sockid = concatBytes([u16Be(0), u16Be(0), UNSPECIFIED, UNSPECIFIED, u32(0), u64(INET_DIAG_NOCOOKIE)]);
  return encodeRequest(NLM_F_REQUEST | NLM_F_DUMP, header, dump.states, sockid);
}

/** `struct inet_diag_msg` and its attributes. Throws DecodeError. */
export function decodeSocket(message: NetlinkMessage): InetSocket {
  requireMessageType(message, [SOCK_DIAG_BY_FAMILY]);
  const { body } = message;
  const attributes = decodeAttributes(body, INET_DIAG_MSG_BYTES);
  const family = decodeFamily(readU8(body));
  const width = family === 4 ? 4 : 16;
  return {
    family,
    state: readU8(body, 1),
    localPort: readU16Be(body, SOCKID_OFFSET),
    remotePort: readU16Be(body, SOCKID_OFFSET + 2),
    local: decodeAddress(readBytes(body, SOCKID_OFFSET + 4, width)),
    remote: decodeAddress(readBytes(body, SOCKID_OFFSET + 20, width)),
    interfaceIndex: readU32(body, SOCKID_OFFSET + 36),
    cookie: readU64(body, SOCKID_OFFSET + 40),
    uid: readU32(body, 64),
    inode: readU32(body, 68),
    ...socketAttributes(attributes),
  };
}

function socketAttributes(attributes: Attributes): Partial<InetSocket> {
  const mark = attributes.get(INET_DIAG_MARK);
  const cgroupId = attributes.get(INET_DIAG_CGROUP_ID);
  const v6Only = attributes.get(INET_DIAG_SKV6ONLY);
  const protocol = attributes.get(INET_DIAG_PROTOCOL);
  const tcpInfo = attributes.get(INET_DIAG_INFO);
  return {
    ...(mark !== undefined && { mark: readU32(mark) }),
    ...(cgroupId !== undefined && { cgroupId: readU64(cgroupId) }),
    ...(v6Only !== undefined && { v6Only: readU8(v6Only) !== 0 }),
    ...(protocol !== undefined && { protocol: readU8(protocol) }),
    ...(tcpInfo !== undefined && { tcpInfo: decodeTcpInfo(tcpInfo) }),
  };
}
