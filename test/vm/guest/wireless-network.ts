/** A wireless device without a radio (mac80211_hwsim), and what a wireless manager does with it (linux/nl80211.h). */
import { execFileSync } from 'node:child_process';
import { NetlinkSocket } from '../../../src/kernel/netlink-socket.ts';
import { encodeAttribute, encodeU32 } from '../../../src/netlink/attribute.ts';
import { decodeFamilyAnswer, encodeFamilyGet, encodeGeneric } from '../../../src/netlink/generic.ts';
import { NL80211_FAMILY } from '../../../src/netlink/nl80211.ts';
import { NETLINK_GENERIC, NLM_F_ACK, NLM_F_REQUEST } from '../../../src/netlink/uapi.ts';

const NL80211_CMD_SET_INTERFACE = 6;
const NL80211_CMD_JOIN_IBSS = 43;
const NL80211_CMD_LEAVE_IBSS = 44;
const NL80211_ATTR_IFINDEX = 3;
const NL80211_ATTR_IFTYPE = 5;
const NL80211_ATTR_WIPHY_FREQ = 38;
const NL80211_ATTR_SSID = 52;
const NL80211_IFTYPE_ADHOC = 1;
/** Channel 1: permitted everywhere. */
const FREQUENCY_MHZ = 2412;

export const WIRELESS_DEVICE = 'wlan0';

export class WirelessNetwork implements Disposable {
  readonly #socket: NetlinkSocket;
  readonly #family: number;
  readonly #linkIndex: number;

  private constructor(socket: NetlinkSocket, family: number, linkIndex: number) {
    this.#socket = socket;
    this.#family = family;
    this.#linkIndex = linkIndex;
  }

  /** Loads the module; the device is in no network. */
  static open(indexOf: (name: string) => number): WirelessNetwork {
    execFileSync('modprobe', ['mac80211_hwsim', 'radios=1']);
    const socket = NetlinkSocket.open(NETLINK_GENERIC);
    const [answer] = socket.request(encodeFamilyGet(NL80211_FAMILY), { operation: 'get family', object: '' });
    if (answer === undefined) throw new Error('no answer');
    const network = new WirelessNetwork(socket, decodeFamilyAnswer(answer).id, indexOf(WIRELESS_DEVICE));
    network.#request(NL80211_CMD_SET_INTERFACE, [encodeU32(NL80211_ATTR_IFTYPE, NL80211_IFTYPE_ADHOC)]);
    execFileSync('ip', ['link', 'set', WIRELESS_DEVICE, 'up']);
    return network;
  }

  /** Makes an open network where there is none; the carrier comes some seconds later. */
  join(ssid: string): void {
    const name = encodeAttribute(NL80211_ATTR_SSID, new TextEncoder().encode(ssid));
    this.#request(NL80211_CMD_JOIN_IBSS, [name, encodeU32(NL80211_ATTR_WIPHY_FREQ, FREQUENCY_MHZ)]);
  }

  leave(): void {
    this.#request(NL80211_CMD_LEAVE_IBSS, []);
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
    execFileSync('modprobe', ['-r', 'mac80211_hwsim']);
  }

  #request(command: number, attributes: readonly Uint8Array[]): void {
    const header = { family: this.#family, command, flags: NLM_F_REQUEST | NLM_F_ACK };
    const request = encodeGeneric(header, [encodeU32(NL80211_ATTR_IFINDEX, this.#linkIndex), ...attributes]);
    this.#socket.request(request, { operation: 'wireless', object: `command ${command}` });
  }
}
