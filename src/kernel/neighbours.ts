import { formatAddress } from '../net/address.ts';
import {
  decodeNeighbour,
  encodeNeighbourGet,
  encodeNeighbourProbe,
  encodeNeighbourUse,
  type NeighbourKey,
} from '../netlink/neighbour.ts';
import { decodeReply } from './decode-reply.ts';
import type { Neighbours } from './kernel.ts';
import { KernelError } from './kernel-error.ts';
import type { NetlinkSocket } from './netlink-socket.ts';

/** `socket` is a NETLINK_ROUTE socket of the namespace that is meant. */
export function openNeighbours(socket: NetlinkSocket): Neighbours {
  const find: Neighbours['find'] = (key) => {
    const subject = { operation: 'get neighbour', object: keyText(key) };
    try {
      const [answer] = socket.request(encodeNeighbourGet(key), subject);
      return answer && decodeReply(subject, () => decodeNeighbour(answer));
    } catch (error) {
      if (error instanceof KernelError && error.isNotFound) return undefined;
      throw error;
    }
  };
  return {
    find,
    resolve: (key) => {
      const entry = find(key);
      // Of one that somebody made permanent the kernel would take this away.
      if (entry?.isPermanent) return;
      const isKnown = entry?.hardwareAddress !== undefined;
      const request = isKnown ? encodeNeighbourProbe(key) : encodeNeighbourUse(key, { isThere: entry !== undefined });
      try {
        socket.request(request, { operation: 'resolve neighbour', object: keyText(key) });
      } catch (error) {
        // Somebody wants to know just now as well, or no longer.
        if (!(error instanceof KernelError && (error.isExists || error.isNotFound))) throw error;
      }
    },
  };
}

const keyText = ({ address, linkIndex }: NeighbourKey): string => `${formatAddress(address)} device ${linkIndex}`;
