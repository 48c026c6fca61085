/** One multicast socket of the event thread, drained without blocking. */
import { constants } from 'node:os';
import { kernelErrorFromErrno } from '../kernel/errno.ts';
import { MSG_DONTWAIT, MSG_TRUNC, type NetlinkSocket } from '../kernel/netlink-socket.ts';
import { DecodeError } from '../netlink/errors.ts';
import { decodeMessages, type NetlinkMessage } from '../netlink/message.ts';

/** Events are sent one by one or in parts of a page: 64 KiB holds any datagram of them. */
const RECEIVE_BUFFER_BYTES = 65_536;
/** So many datagrams at most before other sources have their turn. */
const DATAGRAMS_A_TURN = 256;

/** `overrun`: the kernel has dropped some, or one was not what it should be. */
export interface Drained {
  readonly messages: readonly NetlinkMessage[];
  readonly overrun: boolean;
}

/** What has arrived by now. The messages are copies. Throws KernelError where the socket itself has failed. */
export function drainEvents(socket: NetlinkSocket, object: string): Drained {
  const buffer = new Uint8Array(RECEIVE_BUFFER_BYTES);
  const messages: NetlinkMessage[] = [];
  let overrun = false;
  for (let datagram = 0; datagram < DATAGRAMS_A_TURN; datagram += 1) {
    const received = socket.receiveInto(buffer, MSG_DONTWAIT | MSG_TRUNC);
    if (received === -constants.errno.EAGAIN) break;
    if (received === -constants.errno.EINTR) continue;
    if (received === -constants.errno.ENOBUFS || received > buffer.length) {
      overrun = true;
      continue;
    }
    if (received < 0) throw kernelErrorFromErrno('receive', -received, object);
    const datagramMessages = decodeOrNothing(buffer.slice(0, received));
    if (datagramMessages === undefined) overrun = true;
    else messages.push(...datagramMessages);
  }
  return { messages, overrun };
}

/** Runs a decoder over what is of its kind; what it cannot read counts as lost. */
export function decodeEach<T>(
  messages: readonly NetlinkMessage[],
  types: readonly number[],
  decode: (message: NetlinkMessage) => T,
): { readonly values: T[]; readonly unreadable: boolean } {
  const values: T[] = [];
  let unreadable = false;
  for (const message of messages) {
    if (!types.includes(message.type)) continue;
    try {
      values.push(decode(message));
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      unreadable = true;
    }
  }
  return { values, unreadable };
}

function decodeOrNothing(bytes: Uint8Array): NetlinkMessage[] | undefined {
  try {
    return decodeMessages(bytes);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}
