import { formatAddress } from '../net/address.ts';
import {
  type ConntrackEntry,
  decodeConntrackEntry,
  encodeConntrackDelete,
  encodeConntrackDump,
  encodeConntrackGetByReply,
  encodeConntrackMark,
} from '../netlink/conntrack.ts';
import { MARK_OURS } from '../plan/reserved.ts';
import { decodeReply } from './decode-reply.ts';
import type { Conntrack } from './kernel.ts';
import { KernelError } from './kernel-error.ts';
import type { NetlinkSocket } from './netlink-socket.ts';

/** `socket` is a NETLINK_NETFILTER socket of the namespace that is meant. */
export function openConntrack(socket: NetlinkSocket): Conntrack {
  return {
    ownEntries: () => {
      const request = encodeConntrackDump({ mark: { value: MARK_OURS, mask: MARK_OURS } });
      const subject = { operation: 'list', object: 'conntrack entries' };
      const messages = socket.dump(request, subject);
      // Kernels before 5.8 take no mask in a dump's filter.
      const entries = decodeReply(subject, () => messages.map(decodeConntrackEntry));
      return entries.filter(({ mark }) => (mark & MARK_OURS) !== 0);
    },
    entryOfReply: (reply) => {
      const subject = { operation: 'look up conntrack entry', object: formatAddress(reply.destination) };
      try {
        const [message] = socket.request(encodeConntrackGetByReply(reply), subject);
        return message && decodeReply(subject, () => decodeConntrackEntry(message));
      } catch (error) {
        if (error instanceof KernelError && error.isNotFound) return undefined;
        throw error;
      }
    },
    updateMark: (entry, value, mask) => {
      const subject = { operation: 'mark conntrack entry', object: entryText(entry) };
      socket.request(encodeConntrackMark(entry, { value, mask }), subject);
    },
    deleteEntry: (entry) => {
      socket.request(encodeConntrackDelete(entry), { operation: 'delete conntrack entry', object: entryText(entry) });
    },
  };
}

function entryText({ original }: ConntrackEntry): string {
  const port = original.destinationPort === undefined ? '' : ` port ${original.destinationPort}`;
  return `${formatAddress(original.source)} -> ${formatAddress(original.destination)}${port}`;
}
