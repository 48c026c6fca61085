/** Wireless devices over generic netlink (linux/nl80211.h), whoever manages them. */
import { requireAttribute } from './attribute.ts';
import { readU32 } from './bytes.ts';
import { decodeGeneric, encodeGeneric } from './generic.ts';
import type { NetlinkMessage, NetlinkRequest } from './message.ts';
import { decodeUtf8 } from './text.ts';
import { NLM_F_DUMP, NLM_F_REQUEST } from './uapi.ts';

export const NL80211_FAMILY = 'nl80211';

const NL80211_CMD_GET_INTERFACE = 5;
const NL80211_CMD_NEW_INTERFACE = 7;
const NL80211_ATTR_IFINDEX = 3;
const NL80211_ATTR_IFTYPE = 5;
const NL80211_ATTR_SSID = 52;

const NL80211_IFTYPE_ADHOC = 1;
const NL80211_IFTYPE_STATION = 2;
const NL80211_IFTYPE_P2P_CLIENT = 8;
/** Those that are in a network of others; an access point's own SSID says nothing of where it is. */
const GUESTS: readonly number[] = [NL80211_IFTYPE_ADHOC, NL80211_IFTYPE_STATION, NL80211_IFTYPE_P2P_CLIENT];

export interface WirelessInterface {
  /** Absent for what is no network device (P2P). */
  readonly linkIndex?: number;
  /** Of the network that it is in; absent where it is in none. What is not UTF-8 became U+FFFD. */
  readonly ssid?: string;
}

/** `family`: the number of NL80211_FAMILY. */
export function encodeInterfaceDump(family: number): NetlinkRequest {
  return encodeGeneric({ family, command: NL80211_CMD_GET_INTERFACE, flags: NLM_F_REQUEST | NLM_F_DUMP });
}

/** Throws DecodeError. */
export function decodeInterface(message: NetlinkMessage, family: number): WirelessInterface {
  const attributes = decodeGeneric(message, { family, command: NL80211_CMD_NEW_INTERFACE });
  const type = readU32(requireAttribute(attributes, NL80211_ATTR_IFTYPE, 'NL80211_ATTR_IFTYPE'));
  const index = attributes.get(NL80211_ATTR_IFINDEX);
  const ssid = attributes.get(NL80211_ATTR_SSID);
  return {
    ...(index !== undefined && { linkIndex: readU32(index) }),
    ...(ssid !== undefined && ssid.length > 0 && GUESTS.includes(type) && { ssid: decodeUtf8(ssid) }),
  };
}
