/**
 * What the kernel knows of connections, for the accounts: an event of each that ends, and all that are open when somebody asks.
 * Apart from `FlowEvents`, which also tells of those that begin and is for who watches.
 */
import { constants } from 'node:os';
import { kernelErrorFromErrno } from '../kernel/errno.ts';
import { MSG_DONTWAIT, MSG_TRUNC, NetlinkSocket } from '../kernel/netlink-socket.ts';
import { align4 } from '../netlink/attribute.ts';
import { CONNTRACK_DELETE, encodeConntrackDump } from '../netlink/conntrack.ts';
import { type ConntrackCounts, newConntrackCounts, readConntrackCounts } from '../netlink/conntrack-counts.ts';
import { DecodeError } from '../netlink/errors.ts';
import { messageLengthAt, messageTypeAt, NLMSG_HDRLEN } from '../netlink/message.ts';
import { NETLINK_NETFILTER, NFNLGRP_CONNTRACK_DESTROY } from '../netlink/uapi.ts';
import type { TrafficAccounts } from './traffic-accounts.ts';

/**
 * 13,000 events between two turns, half a second: the kernel doubles this, and takes 1280 bytes for each. That it keeps each
 * connection until we have heard of its end (NETLINK_BROADCAST_ERROR) is not for us: a daemon that stands still would fill its table.
 */
const RECEIVE_QUEUE_BYTES = 8 * 1024 * 1024;
/** An event has about 300 bytes. */
const RECEIVE_BUFFER_BYTES = 8192;
/** So many at a time, about a millisecond, before others have their turn. */
const EVENTS_A_TURN = 512;
/** What may be taken before a look is not whole: more than the queue holds, so only while they come faster than they are taken. */
const EVENTS_A_LOOK = 65_536;
const OBJECT = 'ended connections';

export class ConntrackAccountSource implements Disposable {
  readonly #events: NetlinkSocket;
  /** Apart from the events: an answer must not be looked for among them. */
  readonly #requests: NetlinkSocket;
  readonly #accounts: TrafficAccounts;
  readonly #buffer = new Uint8Array(RECEIVE_BUFFER_BYTES);
  /** Filled anew for each, so that none makes an object. */
  readonly #counts: ConntrackCounts = newConntrackCounts();

  private constructor(events: NetlinkSocket, requests: NetlinkSocket, accounts: TrafficAccounts) {
    this.#events = events;
    this.#requests = requests;
    this.#accounts = accounts;
  }

  /** `queueBytes`: what the kernel keeps for us until it is taken. Throws KernelError. */
  static open(accounts: TrafficAccounts, queueBytes: number = RECEIVE_QUEUE_BYTES): ConntrackAccountSource {
    const events = NetlinkSocket.open(NETLINK_NETFILTER);
    try {
      events.setReceiveBuffer(queueBytes);
      events.join(NFNLGRP_CONNTRACK_DESTROY);
      return new ConntrackAccountSource(events, NetlinkSocket.open(NETLINK_NETFILTER), accounts);
    } catch (error) {
      events[Symbol.dispose]();
      throw error;
    }
  }

  /** What is open counts from now on. Throws KernelError. */
  noteStanding(): void {
    this.#dump((counts) => this.#accounts.noteStanding(counts));
  }

  /** Some of the events that have arrived; false where there may be more. Throws KernelError where the socket itself has failed. */
  takeEnded(): boolean {
    return this.#take(EVENTS_A_TURN);
  }

  /** The accounts are then as of now. Throws KernelError. */
  look(): void {
    // First, so that an entry whose place in memory has a new connection now is not taken for that.
    this.#take(EVENTS_A_LOOK);
    this.#accounts.beginLook();
    this.#dump((counts) => this.#accounts.noteOpen(counts));
    // The kernel tells of an end before it takes the entry out of its table: what was not in the table has been told by now.
    this.#accounts.endLook({ isWhole: this.#take(EVENTS_A_LOOK) });
  }

  [Symbol.dispose](): void {
    this.#events[Symbol.dispose]();
    this.#requests[Symbol.dispose]();
  }

  /** Whether all has been taken. */
  #take(most: number): boolean {
    const buffer = this.#buffer;
    for (let event = 0; event < most; event += 1) {
      const received = this.#events.receiveInto(buffer, MSG_DONTWAIT | MSG_TRUNC);
      if (received === -constants.errno.EAGAIN) return true;
      if (received === -constants.errno.EINTR) continue;
      if (received === -constants.errno.ENOBUFS || received > buffer.length) this.#accounts.noteOverrun();
      else if (received < 0) throw kernelErrorFromErrno('receive', -received, OBJECT);
      else this.#read(received);
    }
    return false;
  }

  /** What cannot be read counts as lost. */
  #read(length: number): void {
    const buffer = this.#buffer;
    try {
      for (let offset = 0; offset < length; ) {
        const end = offset + messageLengthAt(buffer, offset);
        if (messageTypeAt(buffer, offset) === CONNTRACK_DELETE) {
          readConntrackCounts(buffer, offset + NLMSG_HDRLEN, end, this.#counts);
          this.#accounts.noteEnded(this.#counts);
        }
        offset = align4(end);
      }
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#accounts.noteOverrun();
    }
  }

  /** All entries, not only ours: one whose mark is taken away for a while has not ended. */
  #dump(each: (counts: ConntrackCounts) => void): void {
    const subject = { operation: 'list', object: 'conntrack entries' };
    for (const { body } of this.#requests.dump(encodeConntrackDump({}), subject)) {
      try {
        readConntrackCounts(body, 0, body.length, this.#counts);
      } catch (error) {
        if (error instanceof DecodeError) continue;
        throw error;
      }
      each(this.#counts);
    }
  }
}
