import { existsSync } from 'node:fs';
import { decodeFamilyAnswer, encodeFamilyGet } from '../netlink/generic.ts';
import { decodeInterface, encodeInterfaceDump, NL80211_FAMILY } from '../netlink/nl80211.ts';
import { decodeReply } from './decode-reply.ts';
import type { Wireless } from './kernel.ts';
import { KernelError } from './kernel-error.ts';
import type { NetlinkSocket } from './netlink-socket.ts';

/** Is there where cfg80211 is. Asked for its family without it, the kernel would load it, for nobody. */
const CFG80211_CLASS = '/sys/class/ieee80211';

/** `socket` is a NETLINK_GENERIC socket of the namespace that is meant. */
export function openWireless(socket: NetlinkSocket): Wireless {
  return {
    ssids: () => {
      if (!existsSync(CFG80211_CLASS)) return new Map();
      const family = familyNumber(socket);
      return family === undefined ? new Map() : ssids(socket, family);
    },
  };
}

/** Another one when the module was loaded anew. */
function familyNumber(socket: NetlinkSocket): number | undefined {
  const subject = { operation: 'get family', object: NL80211_FAMILY };
  try {
    const [answer] = socket.request(encodeFamilyGet(NL80211_FAMILY), subject);
    return answer && decodeReply(subject, () => decodeFamilyAnswer(answer)).id;
  } catch (error) {
    if (error instanceof KernelError && error.isNotFound) return undefined;
    throw error;
  }
}

function ssids(socket: NetlinkSocket, family: number): ReadonlyMap<number, string> {
  const subject = { operation: 'list', object: 'wireless devices' };
  const messages = socket.dump(encodeInterfaceDump(family), subject);
  const interfaces = decodeReply(subject, () => messages.map((message) => decodeInterface(message, family)));
  return new Map(
    interfaces.flatMap(({ linkIndex, ssid }): (readonly [number, string])[] =>
      linkIndex === undefined || ssid === undefined ? [] : [[linkIndex, ssid]],
    ),
  );
}
