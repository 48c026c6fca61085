/** Network devices over NETLINK_ROUTE (linux/if_link.h, linux/if.h; `struct ifinfomsg` in linux/rtnetlink.h). */
import { decodeAttributes, decodeNested, decodeString, requireAttribute } from './attribute.ts';
import { readI32, readU8, readU16, readU32 } from './bytes.ts';
import { hardwareAddressText } from './hardware-address.ts';
import type { NetlinkMessage, NetlinkRequest } from './message.ts';
import { requireMessageType } from './nfnetlink.ts';
import { decodeTunnelEnds, type TunnelEnds } from './tunnel-ends.ts';
import { NLM_F_DUMP, NLM_F_REQUEST } from './uapi.ts';

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
const RTM_GETLINK = 18;

const AF_BRIDGE = 7;
const IFINFOMSG_BYTES = 16;
const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;
const IFF_RUNNING = 0x40;
const IFF_LOWER_UP = 0x10000;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_OPERSTATE = 16;
const IFLA_LINKINFO = 18;
const IFLA_LINK_NETNSID = 37;
const IFLA_CARRIER_DOWN_COUNT = 48;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;

/** IF_OPER_* of linux/if.h, in the words of ip(8); the index is the kernel's number. */
const OPERATIONAL_STATES = ['unknown', 'notpresent', 'down', 'lowerlayerdown', 'testing', 'dormant', 'up'] as const;

export type OperationalState = (typeof OPERATIONAL_STATES)[number];

/** `up`: by the administrator. `lowerUp`: carrier. `running`: operational, as RFC 2863 means it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** ARPHRD_*: 1 Ethernet, 772 loopback, 65534 none (tun, WireGuard). */
  readonly type: number;
  readonly up: boolean;
  readonly running: boolean;
  readonly lowerUp: boolean;
  readonly loopback: boolean;
  /** A bridge's news of a port: RTM_DELLINK then means that the device left the bridge, not that it is gone. */
  readonly bridgePortEvent: boolean;
  readonly operationalState: OperationalState;
  /** IFLA_INFO_KIND: `veth`, `wireguard`, `bridge`...; absent for hardware. */
  readonly kind?: string;
  /** Link-layer address in hexadecimal, as sysfs shows it: `02:00:5e:10:00:01`; absent where there is none. */
  readonly hardwareAddress?: string;
  readonly mtu: number;
  /** How often the carrier was lost; absent before Linux 4.17. */
  readonly carrierLosses?: number;
  /** The bridge, bond or VRF that it is a port of. */
  readonly masterIndex?: number;
  /** The device that it stands on, of this namespace: of a VLAN, macvlan or a tunnel that is bound to one; of veth the other end. */
  readonly lowerIndex?: number;
  /** Of a tunnel that the kernel alone carries: where its packets go. */
  readonly tunnel?: TunnelEnds;
  /** The network namespace that its other end is in, as this one numbers it; absent where that is here too. */
  readonly linkNamespaceId?: number;
}

export function encodeLinkDump(): NetlinkRequest {
  return { type: RTM_GETLINK, flags: NLM_F_REQUEST | NLM_F_DUMP, body: new Uint8Array(IFINFOMSG_BYTES) };
}

/** RTM_NEWLINK or RTM_DELLINK: the caller looks at the message's type. Throws DecodeError. */
export function decodeLink(message: NetlinkMessage): Link {
  requireMessageType(message, [RTM_NEWLINK, RTM_DELLINK]);
  const attributes = decodeAttributes(message.body, IFINFOMSG_BYTES);
  const flags = readU32(message.body, 8);
  const address = attributes.get(IFLA_ADDRESS);
  const mtu = attributes.get(IFLA_MTU);
  const master = attributes.get(IFLA_MASTER);
  const state = attributes.get(IFLA_OPERSTATE);
  const linkNamespace = attributes.get(IFLA_LINK_NETNSID);
  const carrierLosses = attributes.get(IFLA_CARRIER_DOWN_COUNT);
  const info = decodeNested(attributes, IFLA_LINKINFO);
  const kindBytes = info.get(IFLA_INFO_KIND);
  const kind = kindBytes === undefined ? undefined : decodeString(kindBytes);
  const tunnel = kind === undefined ? undefined : decodeTunnelEnds(kind, decodeNested(info, IFLA_INFO_DATA));
  const index = readI32(message.body, 4);
  const lower = attributes.get(IFLA_LINK);
  const lowerIndex = lower === undefined || linkNamespace !== undefined ? 0 : readU32(lower);
  return {
    index,
    name: decodeString(requireAttribute(attributes, IFLA_IFNAME, 'IFLA_IFNAME')),
    type: readU16(message.body, 2),
    up: (flags & IFF_UP) !== 0,
    running: (flags & IFF_RUNNING) !== 0,
    lowerUp: (flags & IFF_LOWER_UP) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    bridgePortEvent: readU8(message.body) === AF_BRIDGE,
    operationalState: OPERATIONAL_STATES[state === undefined ? 0 : readU8(state)] ?? 'unknown',
    ...(kind !== undefined && { kind }),
    ...(address !== undefined && address.length > 0 && { hardwareAddress: hardwareAddressText(address) }),
    mtu: mtu === undefined ? 0 : readU32(mtu),
    ...(carrierLosses !== undefined && { carrierLosses: readU32(carrierLosses) }),
    ...(master !== undefined && { masterIndex: readU32(master) }),
    ...(lowerIndex !== 0 && lowerIndex !== index && { lowerIndex }),
    ...(tunnel !== undefined && { tunnel }),
    ...(linkNamespace !== undefined && { linkNamespaceId: readI32(linkNamespace) }),
  };
}
